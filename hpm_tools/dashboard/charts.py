"""Figures as inline SVG: no script, no inline style (the page's policy forbids both), colours by class.

Every chart has the same time axis, so that a dip in one can be read against the others. Numbers that
matter stand beside it as text; what a bar stands for is told by its ``<title>`` when it is pointed at.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WIDTH = 360
HEIGHT = 96
TOP = 8
BOTTOM = 16
LEFT = 40
RIGHT = 4
PLOT = HEIGHT - TOP - BOTTOM
GAP = 0.18
"""The share of a bar's room that stays free."""
TICKS = 4
ROUND_TIMES = tuple(
    unit * count
    for unit, counts in (
        (1.0, (1, 2, 5, 10, 20, 30)),
        (60.0, (1, 2, 5, 10, 20, 30, 45)),
        (3600.0, (1, 2, 3, 6, 12, 24)),
    )
    for count in counts
)
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Equal steps of time: ``start`` (Unix seconds), ``step`` (seconds), ``count``."""

    start: float
    step: float
    count: int

    def x(self, place: float) -> float:
        """Where the boundary before step ``place`` lies."""
        return LEFT + (WIDTH - LEFT - RIGHT) * place / self.count

    def place_within(self, moment: float) -> int:
        """The step that ``moment`` lies in, or the one at the end that it lies beyond."""
        return min(max(0, math.floor((moment - self.start) / self.step)), self.count - 1)

    def when(self, place: int) -> str:
        """The step as people say it: its hour, or its day where steps are days."""
        moment = time.localtime(self.start + place * self.step)
        return time.strftime("%a %d %b" if self.step >= 86400 else "%a %H:%M", moment)

    def tick(self, place: int) -> str:
        moment = time.localtime(self.start + place * self.step)
        return time.strftime("%d %b" if self.step * self.count > 2 * 86400 else "%H:%M", moment)


@dataclass(frozen=True, slots=True)
class Series:
    """One kind of value over time: ``values`` has one for each step, None where there was nothing to measure."""

    name: str
    kind: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Unit:
    """How values are said where they are pointed at (``told``) and on the axis, and round axis ends (``top``)."""

    told: Callable[[float], str]
    axis: Callable[[float], str]
    top: Callable[[float], float]


def stacked(axis: Axis, series: Sequence[Series], unit: Unit, label: str) -> str:
    """Bars whose parts are ``series``, the first at the bottom."""
    totals = [sum(part.values[at] or 0.0 for part in series) for at in range(axis.count)]
    top = unit.top(max(totals, default=0.0))
    marks = []
    for at, total in enumerate(totals):
        if not total:
            continue
        base = 0.0
        parts = []
        for part in series:
            value = part.values[at] or 0.0
            if value:
                parts.append(_bar(axis, at, base / top, value / top, part.kind))
                base += value
        said = ", ".join(
            f"{unit.told(part.values[at] or 0.0)} {part.name}" for part in series if part.values[at]
        )
        marks.append(f"<g><title>{escape(axis.when(at))}: {escape(said)}</title>{''.join(parts)}</g>")
    return _frame(axis, top, unit, label, "".join(marks))


def lines(axis: Axis, series: Sequence[Series], unit: Unit, label: str) -> str:
    """One line for each of ``series``, the first above the others; it breaks where nothing was measured, a lone value is a dot."""
    top = unit.top(max((value for line in series for value in line.values if value is not None), default=0.0))
    marks = [_line(axis, line, top) for line in reversed(series)]
    for at in range(axis.count):
        said = [
            f"{line.name} {unit.told(value)}" for line in series if (value := line.values[at]) is not None
        ]
        if said:
            title = f"{axis.when(at)}: {', '.join(said)}"
            marks.append(
                f'<rect class="hit" x="{axis.x(at):.1f}" y="{TOP}" width="{axis.x(at + 1) - axis.x(at):.1f}" '
                f'height="{PLOT}"><title>{escape(title)}</title></rect>'
            )
    return _frame(axis, top, unit, label, "".join(marks))


def nice(value: float) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that is not below ``value``; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value:
        power /= 10
    return next((power * step for step in (1, 2, 2.5, 5) if power * step >= value), power * 10)


def nice_time(seconds: float) -> float:
    """The shortest round time that is not below ``seconds``."""
    return next((step for step in ROUND_TIMES if step >= seconds), math.ceil(seconds / 86400) * 86400.0)


def _bar(axis: Axis, at: int, base: float, share: float, kind: str) -> str:
    room = axis.x(1) - axis.x(0)
    high = max(share * PLOT, 0.75)
    y = TOP + PLOT * (1 - base) - high
    return (
        f'<rect class="{kind}" x="{axis.x(at) + room * GAP / 2:.1f}" y="{y:.1f}" '
        f'width="{room * (1 - GAP):.1f}" height="{high:.1f}"/>'
    )


def _line(axis: Axis, line: Series, top: float) -> str:
    marks, run = [], list[str]()
    for at in range(axis.count + 1):
        value = line.values[at] if at < axis.count else None
        if value is not None:
            run.append(f"{axis.x(at + 0.5):.1f},{TOP + PLOT * (1 - value / top):.1f}")
            continue
        if len(run) == 1:
            x, _, y = run[0].partition(",")
            marks.append(f'<circle class="{line.kind}" cx="{x}" cy="{y}" r="1.8"/>')
        elif run:
            marks.append(f'<polyline class="{line.kind}" points="{" ".join(run)}"/>')
        run = []
    return "".join(marks)


def _frame(axis: Axis, top: float, unit: Unit, label: str, marks: str) -> str:
    grid = []
    for share in (0.0, 0.5, 1.0):
        y = TOP + PLOT * (1 - share)
        grid.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
    if marks:
        grid.append(f'<text class="axis end" x="{LEFT - 5}" y="{TOP + 3}">{escape(unit.axis(top))}</text>')
    grid.append(f'<text class="axis end" x="{LEFT - 5}" y="{TOP + PLOT + 3}">0</text>')
    grid += [
        f'<text class="axis" x="{axis.x(at):.1f}" y="{HEIGHT - 3}">{escape(axis.tick(at))}</text>'
        for at in range(0, max(1, axis.count - 1), max(1, axis.count // TICKS))
    ]
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{''.join(grid)}{marks}</svg>"
    )
