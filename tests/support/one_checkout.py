"""Runners that come to one checkout in turns: one that is killed there, and another whose turn comes meanwhile."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.support.runners import script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.runners import Desk

RUN = ("run", "--role", "backend_dev", "--single-task", "--agent-id")
OTHERS = {"run": ["sh", "-ec", "echo $$ >>other.txt; git add other.txt; git commit -qm other"]}


def killed_once(desk: Desk, reached: Callable[[], bool], what: str) -> None:
    """Run dev_001 until ``reached``, which ``what`` names, and kill its runner."""
    with desk.start(*RUN, "dev_001") as runner:
        wait_until(reached, what=what)
        runner.signal(signal.SIGKILL)
        runner.wait()


def killed_at(desk: Desk, point: str) -> None:
    """Run dev_001 up to the failpoint ``point``, where its runner is killed."""
    log = str(desk.directory / "points")
    with desk.start(*RUN, "dev_001", HPM_FAILPOINT=f"{point}:kill", HPM_FAILPOINT_LOG=log) as runner:
        runner.wait()
    assert desk.record() is not None


def others_turn(desk: Desk) -> None:
    """dev_002 commits the work of another minor task to the checkout."""
    theirs = desk.board.add_task(description=script(OTHERS), complexity="minor")
    done = desk.run_single("backend_dev", "dev_002")
    assert desk.board.task(theirs["id"])["status"] == "dev_done", done.stdout + done.stderr
