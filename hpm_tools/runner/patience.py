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


def patiently(tools: Toolbox, act: Callable[[], T]) -> T:
    """Repeat ``act`` until the board answers it; raises Interrupted when a signal asks to stop meanwhile."""
    outages = 0
    while True:
        try:
            return act()
        except (BoardUnreachable, BadAnswer) as error:
            sit_out(tools, error, back_off(outages, tools.config.retry_pause))
            outages += 1
            tools.keep_alive()


def sit_out(tools: Toolbox, error: HpmError, pause: float) -> None:
    """Tell ``error`` and pause for so many seconds, or until a signal asks to stop."""
    text = f"{error.message}; trying again in {pause:.0f} s"
    tools.tell("waiting" if isinstance(error, Held) else "board_unreachable", seconds=round(pause), text=text)
    tools.ui.progress("waiting", text)
    tools.stop.wait(pause)
    tools.stop.check()
