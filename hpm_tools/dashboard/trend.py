"""What the charts are drawn from: the events of a period that figures are made of, kept in memory.

Events are taken once, as they come; drawing reads no database. What a figure means is events/figures' alone.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from hpm_tools.dashboard import outcomes
from hpm_tools.dashboard.charts import Axis
from hpm_tools.dashboard.outcomes import Outcome
from hpm_tools.events.figures import figures
from hpm_tools.events.store import Stored
from hpm_tools.events.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hpm_tools.events.figures import Figures

Item = TypeVar("Item", Outcome, Stored)

COUNTED = (*outcomes.ENDINGS, "agent_started", "agent_ended", "board_calls")
NAMES = (*outcomes.NAMES, "agent_started", "board_calls")
STEPS = (900.0, 3600.0, 6 * 3600.0, 86400.0, 7 * 86400.0, 30 * 86400.0)
"""Seconds: the lengths of time that one bar may stand for."""
MOST_STEPS = 36


@dataclass(frozen=True, slots=True)
class Step:
    """What happened in one step of the axis: how many takes ended with which result, what was spent, and figures."""

    results: Counter[str]
    usd: float
    figures: Figures


@dataclass(frozen=True, slots=True)
class Window:
    """The trend from ``start`` to ``until`` (Unix seconds): the figures of it all, and of each step of ``axis``."""

    start: float
    until: float
    figures: Figures
    axis: Axis
    steps: Sequence[Step]
    ended: Sequence[Outcome]


class Trend:
    """Takes the events named NAMES, oldest first."""

    def __init__(self) -> None:
        self.ended: list[Outcome] = []
        self.counted: list[Stored] = []
        self._outcomes = outcomes.Outcomes()

    def take(self, event: Stored) -> None:
        if event.event in COUNTED:
            self.counted.append(event)
        ended = self._outcomes.take(event)
        if ended is not None:
            self.ended.append(ended)

    def forget(self, before: float) -> None:
        """Drop what is older than ``before``."""
        del self.ended[: _place(self.ended, before)]
        del self.counted[: _place(self.counted, before)]

    def window(self, start: float, until: float) -> Window:
        """What happened from ``start`` on."""
        counted = self.counted[_place(self.counted, start) :]
        ended = last_of_each_take(self.ended[_place(self.ended, start) :])
        axis = axis_over(start, until)
        spent = _spent(axis, counted)
        steps = [
            Step(Counter(it.result for it in ends), usd, figures(events, now=until))
            for ends, events, usd in zip(by_step(axis, ended), by_step(axis, counted), spent, strict=True)
        ]
        return Window(start, until, figures(counted, now=until, since=start), axis, steps, ended)


def axis_over(start: float, now: float) -> Axis:
    """Steps of time, local hours or days, from the one that ``start`` lies in to the one of ``now``."""
    step = next((step for step in STEPS if (now - start) / step <= MOST_STEPS), STEPS[-1])
    zone = time.localtime(now).tm_gmtoff
    end = math.floor((now + zone) / step + 1) * step - zone
    count = max(1, math.ceil((end - start) / step))
    return Axis(end - count * step, step, count)


def by_step(axis: Axis, items: Iterable[Item]) -> list[list[Item]]:
    """``items`` in the steps of ``axis`` that they lie in; what lies outside is left out."""
    steps: list[list[Item]] = [[] for _ in range(axis.count)]
    for item in items:
        place = axis.place(item.at)
        if 0 <= place < axis.count:
            steps[place].append(item)
    return steps


def last_of_each_take(ended: Iterable[Outcome]) -> list[Outcome]:
    """A crash may have had an end told twice; the last counts."""
    last = {outcome.run or outcome.id: outcome for outcome in ended}
    return sorted(last.values(), key=_at)


def _spent(axis: Axis, counted: Iterable[Stored]) -> list[float]:
    """US dollars by step. In one tally, for what a run cost may be known by the one before it only."""
    tally = Tally()
    spent = [0.0] * axis.count
    for event in counted:
        known = len(tally.runs)
        tally.add(event)
        if len(tally.runs) > known:
            spent[min(max(0, axis.place(event.at)), axis.count - 1)] += tally.runs[-1].usd
    return spent


def _place(items: Sequence[Item], moment: float) -> int:
    return bisect_left(items, moment, key=_at)


def _at(item: Outcome | Stored) -> float:
    return item.at
