"""The day's budgets: what this agent, and all agents of this host, may still cost until the local day ends."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpm_tools.errors import HpmError, TryLater
from hpm_tools.local_time import when
from hpm_tools.state.spending import Spending, day_of, next_day

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpm_tools.runner.toolbox import Toolbox

KEEP = "keep"
STOP = "stop"
"""Two of the three values of ``budget.then``; the third, ``wait``, is neither."""

LEAST = 0.005
"""US dollars: what is left of a budget counts as nothing below half a cent, for no agent can begin with it."""

LOOK_EVERY = 1.0
LONGEST_SLEEP = 5.0
"""The day's spending may be set right, and the wall clock be set, while a runner sleeps; seconds."""


@dataclass(frozen=True, slots=True)
class Cap:
    """One of the day's budgets in US dollars and what is spent of it. ``scope``: agent or host."""

    scope: str
    whose: str
    day: str
    limit: float
    spent: float

    @property
    def left(self) -> float:
        return self.limit - self.spent

    @property
    def setting(self) -> str:
        return f"budget.{self.scope}_daily_usd"

    def __str__(self) -> str:
        return f"the day's budget of {self.whose} is spent: {self.spent:.2f} of {self.limit:.2f} USD on {self.day}"


def caps(tools: Toolbox) -> list[Cap]:
    """The day's budgets that are configured, as they stand now."""
    settings, spending, day = tools.config.budget, Spending(tools.state), day_of(time.time())
    found = []
    if settings.agent_daily_usd:
        spent = spending.of_agent(tools.agent_id, day)
        found.append(Cap("agent", f"agent {tools.agent_id}", day, settings.agent_daily_usd, spent))
    if settings.host_daily_usd:
        found.append(Cap("host", "this host", day, settings.host_daily_usd, spending.of_host(day)))
    return found


def tightest(tools: Toolbox) -> Cap | None:
    """The budget of the day that has least left; None if none is configured."""
    return min(caps(tools), key=lambda cap: cap.left, default=None)


def spent_cap(tools: Toolbox) -> Cap | None:
    """The day's budget that nothing is left of, if there is one."""
    cap = tightest(tools)
    return cap if cap is not None and cap.left < LEAST else None


def reached(tools: Toolbox, cap: Cap) -> dict[str, Any]:
    """Say that ``cap`` is reached; the fields of the verdict on a run that it ended, or did not let begin."""
    tell(tools, cap)
    return {"summary": str(cap), "resets_at": next_day(time.time())}


class Watch:
    """A running agent's ``should_stop``, which also ends it when the day's budget is spent, by whichever agents.

    An agent that is asked to end keeps its session and its files, so nothing is lost by it. ``cap`` is the
    budget that ended it, None while none did.
    """

    def __init__(self, tools: Toolbox, should_stop: Callable[[], str | None]) -> None:
        self.cap: Cap | None = None
        self._tools = tools
        self._should_stop = should_stop
        self._capped = bool(caps(tools))
        self._look_at = time.monotonic() + LOOK_EVERY

    def __call__(self) -> str | None:
        reason = self._should_stop()
        if reason is None and self._capped and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_EVERY
            # What cannot be read now is read again before the next run.
            with suppress(HpmError):
                self.cap = spent_cap(self._tools)
        return reason or (str(self.cap) if self.cap else None)


def tell(tools: Toolbox, cap: Cap) -> None:
    """Say that ``cap`` is reached, once for each day and budget."""
    if (cap.scope, cap.day) not in tools.budgets_told:
        tools.budgets_told.add((cap.scope, cap.day))
        tools.tell(
            "budget_reached",
            scope=cap.scope,
            day=cap.day,
            spent_usd=round(cap.spent, 4),
            limit_usd=cap.limit,
            until=next_day(time.time()),
            text=f"{cap}; {_then(tools)}",
        )


def _then(tools: Toolbox) -> str:
    if tools.config.budget.then == STOP:
        return "the runner stops"
    return f"no agent starts before {when(next_day(time.time()))}"


def sit_out(tools: Toolbox, cap: Cap, *, may_wait: bool) -> float:
    """Seconds to wait before the next look while ``cap`` lets no agent start.

    TryLater (75) where the operator wants the runner to stop then, or it is ``may_wait`` not.
    """
    tell(tools, cap)
    if tools.config.budget.then == STOP or not may_wait:
        raise TryLater(str(cap), f"it is counted anew from {when(next_day(time.time()))}; or {raise_it(cap)}")
    return pause()


def pause() -> float:
    """Seconds to sleep before the next look whether the next day has begun."""
    left = next_day(time.time()) - time.time() + random.uniform(0.0, 1.0)  # noqa: S311  # spreads the looks
    return min(LONGEST_SLEEP, max(0.1, left))


def raise_it(cap: Cap) -> str:
    """What to do so that work goes on on the same day."""
    return f"raise {cap.setting} and start the runner again"
