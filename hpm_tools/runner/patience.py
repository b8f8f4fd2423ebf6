"""Waiting while the board cannot be reached: the work waits, it is not lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from hpm_tools.board.errors import BadAnswer
from hpm_tools.errors import BoardUnreachable, Held, HpmError
from hpm_tools.runner.policy import back_off

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpm_tools.runner.toolbox import Toolbox

T = TypeVar("T")

MOST_BAD_ANSWERS = 9
"""How many answers in a row that are none are waited out, a task being held: about 20 minutes by default."""


def patiently(tools: Toolbox, act: Callable[[], T]) -> T:
    """Repeat ``act`` until the board answers it; raises Interrupted when a signal asks to stop meanwhile.

    An outage ends some day, so it is waited for however long it takes. What answers with something that no
    board says (a proxy's page, too many bytes) may do so for good: BadAnswer is raised in the end.
    """
    outages = bad = 0
    problem: HpmError
    while True:
        try:
            return act()
        except BoardUnreachable as error:
            bad, problem = 0, error
        except BadAnswer as error:
            bad, problem = bad + 1, error
            if bad >= MOST_BAD_ANSWERS:
                error.hint = (
                    "when the board answers properly, run the same command again: it goes on with the task"
                )
                raise
        sit_out(tools, problem, back_off(outages, tools.config.retry_pause))
        outages += 1
        tools.keep_alive()


def sit_out(tools: Toolbox, error: HpmError, pause: float) -> None:
    """Tell ``error`` and pause for so many seconds, or until a signal asks to stop."""
    text = f"{error.message}; trying again in {pause:.0f} s"
    tools.tell("waiting" if isinstance(error, Held) else "board_unreachable", seconds=round(pause), text=text)
    tools.ui.progress("waiting", text)
    tools.stop.wait(pause)
    tools.stop.check()
