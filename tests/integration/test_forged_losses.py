"""Records that say that a task was lost which the board has as ours: forgotten, it would stay locked for ever."""

from __future__ import annotations

import json
import signal

import pytest

from tests.support.runners import Desk, script

RUN = ("run", "--role", "backend_dev", "--single-task", "--agent-id", "dev_001")
LOST = {"kind": "lost", "reason": "somebody else has it"}


def killed(desk: Desk, point: str) -> int:
    """A task whose runner was killed at the failpoint ``point``, and whose record was then made to say that it is lost."""
    task = desk.board.add_task(description=script({"write": ["a.txt", "hello\n"]}), complexity="major")
    log = str(desk.directory / "points")
    done = desk.hpm(*RUN, HPM_FAILPOINT=f"{point}:kill", HPM_FAILPOINT_LOG=log)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return int(task["id"])


def forge(desk: Desk, step: str) -> None:
    record = desk.record()
    assert record is not None
    path = desk.state / "locks" / "agent-dev_001.lock"
    path.write_text(json.dumps({**record, "step": step, "ending": LOST}), encoding="utf-8")


@pytest.mark.fault("B12")
@pytest.mark.parametrize("step", ["committing", "cleaning"])
def test_a_loss_that_the_board_knows_nothing_of_is_parked(desk: Desk, step: str) -> None:
    task = killed(desk, "agent.starting")
    forge(desk, step)
    done = desk.hpm(*RUN)
    found = desk.board.task(task)
    assert (found["status"], found["locked_by"]) == ("pending", None), done.stdout + done.stderr


@pytest.mark.fault("B12")
def test_what_was_done_for_a_task_that_was_called_lost_is_kept_and_named(desk: Desk) -> None:
    task = killed(desk, "working.decided")
    forge(desk, "committing")
    done = desk.hpm("finish", "--agent-id", "dev_001")
    found = desk.board.task(task)
    said = f"its work: 1 commit on feature/task-{task}" in (found["notes"] or "")
    assert (found["status"], found["locked_by"], said) == ("pending", None, True), done.stdout + done.stderr


def test_a_task_that_somebody_else_has_by_now_stays_theirs(desk: Desk) -> None:
    task = killed(desk, "agent.starting")
    forge(desk, "committing")
    desk.board.put(task, "pm1", "created")
    desk.board.register("dev_002")
    assert desk.hpm("lock", "--agent-id", "dev_002", "--task-id", task).returncode == 0
    desk.hpm(*RUN)
    assert (desk.board.task(task)["locked_by"], desk.record()) == ("dev_002", None)
