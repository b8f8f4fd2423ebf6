"""A lock that the board let go while nobody took the task: noticed late, it is taken again all the same."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

RUN = ("run", "--role", "backend_dev", "--single-task", "--agent-id", "dev_001")
WRITE = {"write": ["a.txt", "hello\n"]}


def lapse(desk: Desk, task: int, status: str = "under_work") -> None:
    desk.board.sql(
        "UPDATE tasks SET locked_by = NULL, locked_at = NULL, status = ? WHERE id = ?", status, task
    )


def stands(pid: int) -> bool:
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0] == b"T"


@pytest.mark.fault("A2")
@pytest.mark.parametrize("status", ["under_work", "created"])
def test_lock_that_lapsed_before_the_report_is_taken_again(desk: Desk, status: str) -> None:
    task = desk.board.add_task(description=script(WRITE), complexity="major")["id"]
    log = str(desk.directory / "points")
    with desk.start(*RUN, HPM_FAILPOINT="reporting.before:stop", HPM_FAILPOINT_LOG=log) as runner:
        wait_until(lambda: stands(runner.pid), what="the runner standing before its report")
        lapse(desk, task, status)
        runner.signal(signal.SIGCONT)
        runner.wait()
    assert desk.board.task(task)["status"] == "dev_done", runner.output()


@pytest.mark.fault("A2")
@pytest.mark.parametrize("command", ["finish", "unlock"])
def test_command_takes_a_lapsed_lock_again(desk: Desk, command: str) -> None:
    task = desk.board.add_task(description=script(WRITE), complexity="major")["id"]
    desk.board.register("dev_001")
    owner = str(os.getpid())
    for words in (("lock", "--task-id", task, "--owner-pid", owner), ("claude.exec",)):
        done = desk.hpm(words[0], "--agent-id", "dev_001", *words[1:])
        assert done.returncode == 0, done.stderr
    lapse(desk, task)
    done = desk.hpm(command, "--agent-id", "dev_001")
    wanted = {"finish": "dev_done", "unlock": "created"}[command]
    assert desk.board.task(task)["status"] == wanted, done.stderr


@pytest.mark.fault("A2")
def test_task_that_another_agent_worked_meanwhile_is_not_as_it_was_left(desk: Desk, tmp_path: Path) -> None:
    assert worked_by_another(desk, tmp_path, "working") == ("created", 1)


def test_work_is_not_reported_over_another_agents(desk: Desk, tmp_path: Path) -> None:
    assert worked_by_another(desk, tmp_path, "reporting") == ("created", 1)


def worked_by_another(desk: Desk, tmp_path: Path, step: str) -> tuple[str, int]:
    """A runner is killed at ``step``, another agent takes its task and gives it back, and the first starts again.

    The task's status then, and how many agents were started.
    """
    acts = (WRITE, {"wait_for": str(tmp_path / "go")}) if step == "working" else (WRITE,)
    task = desk.board.add_task(description=script(*acts), complexity="major")["id"]
    log = str(desk.directory / "points")
    with desk.start(*RUN, HPM_FAILPOINT="reporting.before:stop", HPM_FAILPOINT_LOG=log) as runner:
        wait_until(lambda: desk.agent_starts() if step == "working" else stands(runner.pid), what="the step")
        runner.signal(signal.SIGKILL)
        runner.wait()
    (tmp_path / "go").touch()
    lapse(desk, task, "created")
    desk.board.register("dev_002")
    desk.board.lock(task, "dev_002")
    for status in ("under_work", "created"):
        desk.board.put(task, "dev_002", status)
    desk.hpm(*RUN)
    return desk.board.task(task)["status"], len(desk.agent_starts())


@pytest.mark.parametrize("beat", ["0.1", "60"], ids=["by a beat", "after the hook"])
def test_hook_may_run_longer_than_the_boards_lock(desk: Desk, tmp_path: Path, beat: str) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    (desk.quick_hooks / "pre_task.sh").write_text(
        f"touch {begun}\nwhile [ ! -e {go} ]; do sleep 0.05; done\n", encoding="utf-8"
    )
    task = desk.board.add_task(description=script(WRITE), complexity="major")["id"]
    with desk.start(*RUN, HEADLESS_PM_HEARTBEAT_INTERVAL=beat) as runner:
        wait_until(begun.exists, what="the hook")
        lapse(desk, task, "created")
        go.touch()
        runner.wait()
    assert (desk.board.task(task)["status"], len(desk.agent_starts())) == ("dev_done", 1), runner.output()


def test_hook_after_the_report_may_see_the_task_taken_by_the_next(desk: Desk, tmp_path: Path) -> None:
    """The report freed the task: what becomes of it while post_task runs is nothing to the runner."""
    begun, go = tmp_path / "begun", tmp_path / "go"
    (desk.quick_hooks / "post_task.sh").write_text(
        f"touch {begun}\nwhile [ ! -e {go} ]; do sleep 0.05; done\n", encoding="utf-8"
    )
    task = desk.board.add_task(description=script(WRITE), complexity="major")["id"]
    with desk.start(*RUN) as runner:
        wait_until(begun.exists, what="the hook")
        desk.board.register("qa_001", "qa")
        desk.board.lock(task, "qa_001")
        go.touch()
        assert runner.wait() == 0, runner.output()
    row = desk.board.task(task)
    assert (row["status"], row["locked_by"], desk.record()) == ("dev_done", "qa_001", None)
