"""What is done when a step needs a decision: ask on a terminal, else as ``--on-problem`` says (DESIGN §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.runner.ending import Ending, EndingKind

if TYPE_CHECKING:
    from hpm_tools.runner.toolbox import Toolbox

RETRY = "retry"
SKIP = "skip"
RELEASE = "release"
STOP = "stop"
ASK = "ask"
CHOICES = (RETRY, SKIP, RELEASE, STOP)
RETRY_PAUSE = 30.0


def policy(tools: Toolbox) -> str:
    """The configured way, or by default: ask on a terminal, otherwise release."""
    return tools.config.on_problem or (ASK if tools.ui.is_terminal else RELEASE)


def choose(tools: Toolbox, problem: str, default: str = RELEASE) -> str:
    """One of CHOICES for ``problem``; without a terminal ``ask`` means ``default``."""
    way = policy(tools)
    if way != ASK:
        return way
    return tools.ui.ask(problem, CHOICES, default) if tools.ui.is_terminal else default


def consequence(choice: str, reason: str) -> Ending | None:
    """The ending that ``choice`` means; None for retry."""
    if choice == RETRY:
        return None
    return Ending(EndingKind.GIVEN_BACK, reason, skip=choice == SKIP, exit_code=1 if choice == STOP else -1)
