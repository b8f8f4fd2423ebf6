"""One checkout, several agents: what is left of a dead runner keeps it, its processes and its files."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from hpm_tools.process.identity import start_time
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

RUN = ("run", "--role", "backend_dev", "--single-task", "--agent-id")


def minor(desk: Desk, *acts: dict[str, object]) -> None:
    desk.board.add_task(description=script(*acts), complexity="minor")


def kill_runner(desk: Desk, **more: str) -> int:
    """A runner killed with -9 whose agent lives on in the checkout; the agent's number."""
    with desk.start(*RUN, "dev_001", **more) as runner:
        wait_until(desk.agent_starts, what="the first agent")
        if more:
            runner.wait()
        runner.signal(signal.SIGKILL)
        runner.wait()
    return desk.agent_starts()[0][0]


@pytest.mark.fault("A1")
@pytest.mark.parametrize("window", ["", "before its agent is journalled"])
def test_newcomer_ends_the_agent_of_a_killed_runner_first(desk: Desk, tmp_path: Path, window: str) -> None:
    minor(desk, {"wait_for": str(tmp_path / "go")}, {"write": ["a.txt", "a\n"]})
    minor(desk, {"write": ["b.txt", "b\n"]})
    log = str(desk.directory / "points")
    more = {"HPM_FAILPOINT": "agent.spawned:kill", "HPM_FAILPOINT_LOG": log} if window else {}
    first = kill_runner(desk, **more)
    link = tmp_path / "link"
    link.symlink_to(desk.repo)
    done = desk.hpm(*RUN, "dev_002", "--repo", link)
    assert done.returncode == 0, done.stdout + done.stderr
    assert start_time(first) is None


@pytest.mark.fault("A1")
def test_newcomer_ends_what_outlived_the_agent_in_a_session_of_its_own(desk: Desk, tmp_path: Path) -> None:
    number = tmp_path / "sleeper"
    sleeper = f"setsid sleep 600 >/dev/null 2>&1 & echo $! >{number}.new; mv {number}.new {number}"
    minor(desk, {"run": ["sh", "-c", sleeper]}, {"wait_for": str(tmp_path / "go")})
    minor(desk, {"write": ["b.txt", "b\n"]})
    with desk.start(*RUN, "dev_001") as runner:
        wait_until(number.exists, what="the grandchild")
        runner.signal(signal.SIGKILL)
        runner.wait()
    os.kill(desk.agent_starts()[0][0], signal.SIGKILL)
    done = desk.run_single("backend_dev", "dev_002")
    assert done.returncode == 0, done.stdout + done.stderr
    assert start_time(int(number.read_text(encoding="ascii"))) is None


@pytest.mark.fault("A1")
@pytest.mark.parametrize("record", ["gone", "damaged", "another state directory's"])
def test_newcomer_waits_for_an_agent_that_no_record_answers_for(
    desk: Desk, tmp_path: Path, record: str
) -> None:
    minor(desk, {"wait_for": str(tmp_path / "go")})
    minor(desk, {"write": ["b.txt", "b\n"]})
    first = kill_runner(desk)
    path = desk.state / "locks" / "agent-dev_001.lock"
    other_state = tmp_path / "state"
    other_state.mkdir(mode=0o700)
    shutil.copy2(desk.state / "config.yaml", other_state)
    if record == "gone":
        path.unlink()
    elif record == "damaged":
        path.write_bytes(path.read_bytes()[:40])
    else:
        desk.more = {"HEADLESS_PM_HOME": str(other_state)}
    with desk.start(*RUN, "dev_002") as other:
        wait_until(
            lambda: f"process {first}" in other.output() or len(desk.agent_starts()) > 1, what="the newcomer"
        )
        started = [row[0] for row in desk.agent_starts()]
        os.kill(first, signal.SIGKILL)
        assert other.wait() == 0, other.output()
    assert started == [first]


@pytest.mark.fault("A1", "A5")
def test_minor_task_waits_for_the_unfinished_work_of_a_killed_runner(desk: Desk, tmp_path: Path) -> None:
    go = tmp_path / "go"
    minor(desk, {"write": ["a.txt", "a\n"]}, {"wait_for": str(go)})
    minor(desk, {"write": ["b.txt", "b\n"]})
    with desk.start(*RUN, "dev_001") as runner:
        wait_until(lambda: desk.git("status", "--porcelain"), what="the uncommitted file")
        runner.signal(signal.SIGKILL)
        runner.wait()
    go.touch()
    with desk.start(*RUN, "dev_002") as other:
        wait_until(
            lambda: "hpm unlock --agent-id dev_001" in other.output() or other.process.poll() is not None,
            what="the newcomer",
        )
        resumed = desk.run_single()
        assert resumed.returncode == 0, resumed.stdout + resumed.stderr
        assert other.wait() == 0, other.output()
    branches = desk.git("branch", "--format=%(refname:short)").split()
    newest = desk.git("show", "--format=", "--name-only", "main").split()
    assert (branches, newest) == (["main"], ["b.txt"])


@pytest.mark.fault("A5")
def test_single_command_answers_75_while_another_agents_work_is_in_the_checkout(
    desk: Desk, tmp_path: Path
) -> None:
    minor(desk, {"write": ["a.txt", "a\n"]}, {"wait_for": str(tmp_path / "go")})
    second = desk.board.add_task(description=script({"write": ["b.txt", "b\n"]}), complexity="minor")["id"]
    with desk.start(*RUN, "dev_001") as runner:
        wait_until(lambda: desk.git("status", "--porcelain"), what="the uncommitted file")
        runner.signal(signal.SIGKILL)
        runner.wait()
    desk.board.register("dev_002")
    owner = os.getpid()
    locked = desk.hpm("lock", "--agent-id", "dev_002", "--task-id", second, "--owner-pid", owner)
    assert locked.returncode == 0, locked.stderr
    ran = desk.hpm("claude.exec", "--agent-id", "dev_002", "--cwd", desk.repo)
    assert (ran.returncode, len(desk.agent_starts())) == (75, 1), ran.stderr


@pytest.mark.fault("A5")
def test_other_tasks_are_taken_while_the_checkout_holds_unfinished_work(desk: Desk, tmp_path: Path) -> None:
    minor(desk, {"write": ["a.txt", "a\n"]}, {"wait_for": str(tmp_path / "go")})
    minor(desk, {"write": ["b.txt", "b\n"]})
    major = desk.board.add_task(description=script({"write": ["c.txt", "c\n"]}), complexity="major")["id"]
    with desk.start(*RUN, "dev_001") as runner:
        wait_until(lambda: desk.git("status", "--porcelain"), what="the uncommitted file")
        runner.signal(signal.SIGKILL)
        runner.wait()
    done = desk.run_single("backend_dev", "dev_002")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [desk.board.task(number)["status"] for number in (major, major - 1)] == ["dev_done", "created"]
