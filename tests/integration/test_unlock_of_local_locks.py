"""Giving back a task that was locked on this host alone: the board never knew of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.runners import Desk


def test_unlock_of_a_local_lock_tells_of_no_time_that_nobody_knows(desk: Desk) -> None:
    task = desk.board.add_task()["id"]
    assert desk.hpm("lock", "--agent-id", "you", "--task-id", task, "--local").returncode == 0
    done = desk.hpm("unlock", "--agent-id", "you")
    assert done.returncode == 0
    assert done.stderr.splitlines() == [f"the board was not changed: task {task} is held by nobody"]
