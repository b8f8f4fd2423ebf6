"""What goes wrong: each fault is done while everything it concerns stands still, so that it happens at one moment."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tests.worlds.declared import Register

if TYPE_CHECKING:
    from tests.worlds.site import Runner, Site

FAULTS: Register[..., None] = Register("fault")


@FAULTS.declare(rows=("A1",), weight=3.0)
def kill_runner(site: Site, runner: Runner) -> None:
    """The runner is killed with -9."""
    runner.kill()


@FAULTS.declare()
def kill_agent(site: Site, runner: Runner) -> None:
    """The agents at work are killed with -9."""
    for pid, _, _ in list(site.living_agents()):
        os.kill(pid, signal.SIGKILL)


@FAULTS.declare(rows=("A2",))
def lapse(site: Site, runner: Runner) -> None:
    """The board's locks lapse, as after 30 minutes without a sign of life."""
    site.board.sql("UPDATE tasks SET locked_by = NULL, locked_at = NULL")


@FAULTS.declare()
def kill_board(site: Site, runner: Runner) -> None:
    """The board is killed and comes back."""
    site.boards.kill()
    site.boards.begin()
    site.board = site.boards.under_test
