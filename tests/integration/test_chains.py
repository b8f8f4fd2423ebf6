"""Several commands in one call of Invoke: each in its turn, and none after the first that fails."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.process.identity import start_time
from tests.support.frontends import BIN
from tests.support.runners import script
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.frontends import Done
    from tests.support.runners import Desk

AGENT = ("--agent-id", "dev_001")
AFTER_LOCK = ("worktree.add", "claude.exec", "finish", "worktree.remove", "unlock")
WRITE = {"write": ["hello.txt", "hello\n"]}
BLOCKED = {"status": "blocked", "summary": "there is no database"}


@pytest.fixture
def desk(desk: Desk) -> Desk:
    """One whose agent dev_001 the board knows, with the commands as tasks of plain Invoke."""
    desk.board.register("dev_001")
    (desk.directory / "tasks.py").write_text("from hpm_tools.tasks import ns\n", encoding="utf-8")
    return desk


def program(desk: Desk) -> list[str]:
    return [str(BIN / "invoke"), "--search-root", str(desk.directory)]


def invoke(desk: Desk, *words: object) -> Done:
    return desk.hpm_as(program(desk), *words)


def lock(task: Any, *agent: str) -> list[Any]:
    return ["lock", *(agent or AGENT), "--task-id", task["id"]]


def whole(task: Any) -> list[Any]:
    """A task from its lock to its release, in the words of one call."""
    return [*lock(task), *(word for step in AFTER_LOCK for word in (step, *AGENT))]


def test_one_call_does_two_tasks_with_every_command_twice(desk: Desk) -> None:
    major = desk.board.add_task(description=script(WRITE), complexity="major")
    minor = desk.board.add_task(description=script(WRITE), complexity="minor")
    done = invoke(desk, *whole(major), *whole(minor))
    assert done.returncode == 0, done.stderr
    tokens, places = done.stdout.splitlines()[::5], done.stdout.splitlines()[1::5]
    assert len({*tokens}) == len({*places}) == len(tokens) == 2
    assert done.stdout.splitlines() == [
        word
        for token, place, task in zip(tokens, places, (major, minor), strict=True)
        for word in (token, place, "done: did as told", "dev_done", str(task["id"]))
    ]
    assert [row[2] for row in desk.agent_starts()] == [major["id"], minor["id"]]
    for task, branch in ((major, f"feature/task-{major['id']}"), (minor, "main")):
        on_board = desk.board.task(task["id"])
        assert (on_board["status"], on_board["locked_by"]) == ("dev_done", None)
        assert desk.git("show", f"{branch}:hello.txt") == "hello"
    assert desk.record() is None
    assert not list(desk.repo.glob(".worktrees/*"))


@pytest.mark.parametrize(("way_on", "code", "status"), [("unlock", 0, "created"), ("finish", 1, "pending")])
def test_a_blocked_agent_ends_the_call_and_the_task_stays_locked(
    desk: Desk, way_on: str, code: int, status: str
) -> None:
    task = desk.board.add_task(description=script(WRITE, outcome=BLOCKED), complexity="major")
    done = invoke(desk, *whole(task))
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[2:] == ["blocked: there is no database"]
    record = desk.record()
    assert record is not None
    assert record["task_id"] == task["id"]
    assert (desk.repo / f".worktrees/task-{task['id']}/hello.txt").exists()
    assert desk.board.task(task["id"])["locked_by"] == "dev_001"

    done = invoke(desk, way_on, *AGENT)
    assert done.returncode == code, done.stderr
    assert desk.board.task(task["id"])["status"] == status
    if way_on == "finish":
        assert "there is no database" in desk.board.task(task["id"])["notes"]
        assert invoke(desk, "worktree.remove", *AGENT, "unlock", *AGENT).returncode == 0
        assert desk.board.task(task["id"])["status"] == status
    assert desk.board.task(task["id"])["locked_by"] is None
    assert desk.record() is None


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_and_the_call_and_the_task_stays_locked(
    desk: Desk, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    task = desk.board.add_task(description=script({"wait_for": str(tmp_path / "never")}), complexity="major")
    with subprocess.Popen(
        [*program(desk), *map(str, whole(task))],
        cwd=desk.repo,
        env=desk.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(desk.agent_starts, what="the agent")
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert len(out.splitlines()) == 2  # of `lock` and `worktree.add`
    record = desk.record()
    assert record is not None
    assert record["task_id"] == task["id"]
    assert start_time(desk.agent_starts()[0][0]) is None


def test_a_task_that_somebody_else_holds_is_left_alone_by_the_whole_call(desk: Desk) -> None:
    desk.board.register("dev_002")
    task = desk.board.add_task(description=script(WRITE), complexity="major")
    assert invoke(desk, *lock(task, "--agent-id", "dev_002")).returncode == 0
    done = invoke(desk, *whole(task))
    assert (done.returncode, done.stdout) == (75, "")
    assert desk.record() is None
    assert desk.agent_starts() == []
    assert not list(desk.repo.glob(".worktrees/*"))


def test_the_same_lock_twice_is_one_and_after_unlock_another(desk: Desk) -> None:
    task = desk.board.add_task()
    unlock = ("unlock", *AGENT)
    done = invoke(desk, *lock(task), *lock(task), *unlock, *lock(task), *unlock)
    assert done.returncode == 0, done.stderr
    first, again, given_back, second, given_back_too = done.stdout.splitlines()
    assert first == again != second
    assert given_back == given_back_too == str(task["id"])
    assert desk.board.task(task["id"])["status"] == "created"


def test_an_option_that_no_command_has_lets_none_of_them_run(desk: Desk) -> None:
    task = desk.board.add_task()
    done = invoke(desk, *lock(task), "worktree.add", *AGENT, "--bse", "main")
    assert done.returncode != 0
    assert "--bse" in done.stderr
    assert "Traceback" not in done.stderr
    assert desk.record() is None
