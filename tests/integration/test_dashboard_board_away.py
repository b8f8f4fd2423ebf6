"""What needs a person, while the page has not heard from the board yet or does not hear from it any more."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.dashboards import Viewer, dashboard
from tests.support.night import Night

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.board_process import BoardUnderTest
    from tests.support.runners import Desk


def parked_and_taken_up_again(desk: Desk) -> None:
    night = Night(desk.state)
    night.tasks = desk.board.add_task("created")["id"] - 1
    night.write(list(night.task("dev_002", "backend_dev", time.time() - 700, 600.0, "parked")))


@contextmanager
def silent(board: BoardUnderTest) -> Iterator[None]:
    os.kill(board.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(board.pid, signal.SIGCONT)


def test_first_page_does_not_count_tasks_that_were_parked_once(desk: Desk) -> None:
    parked_and_taken_up_again(desk)
    with silent(desk.board), dashboard(desk) as shown:
        page = shown.open()
    assert "Looking at the board" in page
    assert "matter-parked" not in page


@pytest.mark.extended
def test_page_keeps_to_what_the_board_said_last_when_it_goes_away(desk: Desk) -> None:
    parked_and_taken_up_again(desk)
    with dashboard(desk) as shown:
        shown.open()
        viewer = Viewer(shown)
        viewer.wait_for("queue", "1 for agents")
        with silent(desk.board):
            viewer.wait_for("queue", "no complete answer")
            page = shown.page()
        viewer.close()
    assert "matter-parked" not in page
