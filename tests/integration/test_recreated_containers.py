"""A container is made anew while the state is on a volume: another host name, the same record."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.repos import make_repo
from tests.support.runners import HPM, Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task")
SPIN_FIRST = 'test $(wc -l < "$HPM_TEST_STARTS") -ne 1 || exec sleep 600'


def named(host: str) -> list[str]:
    """What comes before a command so that it is process 1 of a container with this host name."""
    inside = ["sh", "-c", f'hostname {host}; exec "$@"', "sh"]
    return ["unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child", *inside]


@pytest.fixture
def desk(tmp_path: Path, exact_board: BoardUnderTest) -> Iterator[Desk]:
    desk = Desk(tmp_path / "desk", exact_board, make_repo(tmp_path / "repo").root)
    desk.real = True
    yield desk
    desk.end_agents()


@pytest.fixture
def task(desk: Desk) -> int:
    """A task whose first runner was killed while its agent was at work."""
    description = script({"write": ["a.txt", "a\n"]}, {"run": ["sh", "-c", SPIN_FIRST]})
    task = desk.board.add_task(description=description, complexity="major")
    with desk.start(*RUN) as runner:
        wait_until(lambda: len(desk.agent_starts()) == 1, what="the agent")
        runner.signal(signal.SIGKILL)
        runner.wait()
    desk.end_agents()
    return int(task["id"])


def change_record(desk: Desk, **fields: Any) -> None:
    path = desk.state / "locks" / "agent-dev_001.lock"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **fields}), encoding="utf-8")


@pytest.mark.fault("E2")
@pytest.mark.needs("unshare")
def test_new_container_on_the_same_host_resumes_what_the_old_one_left(desk: Desk, task: int) -> None:
    done = desk.hpm_as([*named("f00df00d"), *HPM], *RUN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.board.task(task)["status"] == "dev_done"


@pytest.mark.fault("E2")
def test_new_container_on_another_host_resumes_where_the_volume_is_a_local_disk(
    desk: Desk, task: int
) -> None:
    change_record(desk, host="f00df00d", machine="0" * 32, boot_id="another-boot", pid_ns="pid:[1]")
    done = desk.hpm(*RUN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.board.task(task)["status"] == "dev_done"


@pytest.mark.fault("E2")
@pytest.mark.needs("unshare")
def test_script_of_another_container_is_named_and_recover_goes_on_with_its_task(
    desk: Desk, task: int
) -> None:
    """No guard proves that a script is over, and its number means nothing in another container."""
    change_record(desk, holder="process", host="f00df00d", pid=7, pid_ns="pid:[1]")
    refused = desk.hpm(*RUN)
    assert refused.returncode == 75
    assert "on f00df00d" in refused.stderr
    assert "by hand" not in refused.stderr
    adopted = desk.hpm("recover", "--agent-id", "dev_001", "--adopt")
    assert adopted.returncode == 0, adopted.stderr
    assert desk.board.task(task)["locked_by"] == "dev_001"
