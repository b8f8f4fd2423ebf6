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
from hpm_tools.events.figures import figures, of_tally
from hpm_tools.events.store import Stored
from hpm_tools.events.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpm_tools.events.figures import Figures

Item = TypeVar("Item", Outcome, Stored)

COUNTED = (*outcomes.ENDINGS, "agent_started", "agent_ended", "board_calls")
NAMES = (*outcomes.NAMES, "agent_started", "board_calls")
STEPS = (900.0, 3600.0, 6 * 3600.0, 86400.0, 7 * 86400.0, 30 * 86400.0)
"""Seconds: the lengths of time that one bar may stand for."""
MOST_STEPS = 36
MOVES = 60.0
"""Seconds after which a window is begun anew, without what has become too old for it."""


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
        self._running: dict[float, _Running] = {}

    def take(self, event: Stored) -> None:
        running = self._running.values()
        if event.event in COUNTED:
            self.counted.append(event)
            for window in running:
                window.count(event)
        ended = self._outcomes.take(event)
        if ended is not None:
            self.ended.append(ended)
            for window in running:
                window.end(ended)

    def forget(self, before: float) -> None:
        """Drop what is older than ``before``."""
        del self.ended[: _place(self.ended, before)]
        del self.counted[: _place(self.counted, before)]

    def window(self, seconds: float, now: float) -> Window:
        """What happened in the ``seconds`` before ``now``. The window moves on once a minute."""
        running = self._running.get(seconds)
        if running is None or running.began < now - MOVES:
            running = self._running[seconds] = self._run(now - seconds, now)
        return running.window(now)

    def _run(self, start: float, now: float) -> _Running:
        running = _Running(start, now)
        for event in self.counted[_place(self.counted, start) :]:
            running.count(event)
        for ended in self.ended[_place(self.ended, start) :]:
            running.end(ended)
        return running


class _Running:
    """A window that events are added to: each costs the same, however many there were before."""

    def __init__(self, start: float, now: float) -> None:
        self.began = now
        self._start = start
        self._axis = axis_over(start, now)
        self._tally = Tally()
        self._usd = [0.0] * self._axis.count
        self._events: list[list[Stored]] = [[] for _ in self._usd]
        self._figures: list[Figures | None] = [None] * self._axis.count
        self._ended: dict[str | int, Outcome] = {}

    def end(self, outcome: Outcome) -> None:
        # A crash may have had an end told twice: the last counts.
        self._ended.pop(outcome.run or outcome.id, None)
        self._ended[outcome.run or outcome.id] = outcome

    def count(self, event: Stored) -> None:
        place = self._axis.place_within(event.at)
        self._events[place].append(event)
        self._figures[place] = None
        known = len(self._tally.runs)
        self._tally.add(event)
        # In the one tally, for what a run cost may be known by the one before it only.
        self._usd[place] += sum(run.usd for run in self._tally.runs[known:])

    def window(self, now: float) -> Window:
        results: list[Counter[str]] = [Counter() for _ in self._usd]
        for outcome in self._ended.values():
            results[self._axis.place_within(outcome.at)][outcome.result] += 1
        steps = [
            Step(results[place], usd, self._figures_of(place, now)) for place, usd in enumerate(self._usd)
        ]
        found = of_tally(self._tally, now=now, since=self._start)
        return Window(self._start, now, found, self._axis, steps, list(self._ended.values()))

    def _figures_of(self, place: int, now: float) -> Figures:
        known = self._figures[place]
        if known is None:
            known = self._figures[place] = figures(self._events[place], now=now)
        return known


def axis_over(start: float, now: float) -> Axis:
    """Steps of time, local hours or days, from the one that ``start`` lies in to the one of ``now``."""
    step = next((step for step in STEPS if (now - start) / step <= MOST_STEPS), STEPS[-1])
    zone = time.localtime(now).tm_gmtoff
    end = math.floor((now + zone) / step + 1) * step - zone
    count = max(1, math.ceil((end - start) / step))
    return Axis(end - count * step, step, count)


def _place(items: Sequence[Item], moment: float) -> int:
    return bisect_left(items, moment, key=_at)


def _at(item: Outcome | Stored) -> float:
    return item.at
