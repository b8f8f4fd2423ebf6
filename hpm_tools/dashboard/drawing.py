"""The figures and charts of the page and of the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from hpm_tools.dashboard import charts
from hpm_tools.dashboard.charts import Series, Unit
from hpm_tools.dashboard.outcomes import RESULTS
from hpm_tools.dashboard.wording import milliseconds, percent, short_duration, short_usd, usd, whole, words
from hpm_tools.text import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hpm_tools.dashboard.now import AgentNow
    from hpm_tools.dashboard.trend import Window
    from hpm_tools.events.figures import BoardFigures, Figures, Spread, Work

COUNT = Unit(whole, whole, charts.nice)
SHARE = Unit(percent, percent, lambda _highest: 1.0)
TIME = Unit(duration, short_duration, charts.nice_time)
MONEY = Unit(usd, short_usd, charts.nice)
LATENCY = Unit(milliseconds, milliseconds, charts.nice)

AT_WORK = ("working", "waiting", "asking")
UNKNOWN = "—"
KINDS = {
    "done": "s-done",
    "no_change": "s-unchanged",
    "rejected": "s-rejected",
    "parked": "s-parked",
    "given_back": "s-back",
    "lost": "s-lost",
}


@dataclass(frozen=True, slots=True)
class Chart:
    """``legend`` names what is drawn in which colour, ``aside`` the figure that sums it up."""

    key: str
    title: str
    legend: tuple[Series, ...]
    aside: str
    svg: Markup


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the large numbers; ``aside`` is what stands small beside it."""

    name: str
    value: str
    aside: str = ""


def headline(window: Window, agents: Sequence[AgentNow]) -> list[Figure]:
    """The large numbers at the top of the page and of the report."""
    work = window.figures.work
    middle = work.seconds.median
    busy = sum(agent.state in AT_WORK for agent in agents)
    return [
        Figure("Finished", whole(work.finished), ", ".join(_of_ended(work))),
        Figure("Success", UNKNOWN if work.success_rate is None else percent(work.success_rate)),
        Figure("Spent", usd(work.usd)),
        Figure("Per task finished", UNKNOWN if work.usd_per_finished is None else usd(work.usd_per_finished)),
        Figure("Median time", UNKNOWN if middle is None else duration(middle)),
        Figure("At work", str(busy), f"of {len(agents)} agents" if agents else ""),
    ]


def _of_ended(work: Work) -> Iterator[str]:
    if work.ended:
        yield f"of {whole(work.ended)}"
    if work.no_change:
        yield f"{whole(work.no_change)} no change"


def draw(window: Window) -> list[Chart]:
    """Throughput, success, duration, cost and board latency."""
    return [
        _throughput(window),
        _success(window),
        _duration(window),
        _cost(window),
        _cost_per_task(window),
        _board(window),
    ]


def _throughput(window: Window) -> Chart:
    parts = [
        Series(words(name), KINDS[name], [float(step.results[name]) for step in window.steps])
        for name in RESULTS
    ]
    shown = [part for part in parts if any(part.values)]
    aside = whole(window.figures.work.ended)
    svg = charts.stacked(window.axis, shown, COUNT, _label("Tasks ended", aside))
    return _chart("throughput", "Tasks ended", aside, svg, shown)


def _success(window: Window) -> Chart:
    rate = window.figures.work.success_rate
    aside = "" if rate is None else percent(rate)
    line = Series("finished", "s-first", [step.figures.work.success_rate for step in window.steps])
    svg = charts.lines(window.axis, [line], SHARE, _label("Success", aside))
    return _chart("success", "Success", aside, svg)


def _duration(window: Window) -> Chart:
    middle = window.figures.work.seconds.median
    aside = "" if middle is None else f"median {short_duration(middle)}"
    parts = _spread(window, lambda figures: figures.work.seconds)
    svg = charts.lines(window.axis, parts, TIME, _label("Duration", aside))
    return _chart("duration", "Duration", aside, svg, parts)


def _cost(window: Window) -> Chart:
    aside = usd(window.figures.work.usd)
    bars = Series("spent", "s-cost", [step.usd for step in window.steps])
    svg = charts.stacked(window.axis, [bars], MONEY, _label("Cost", aside))
    return _chart("cost", "Cost", aside, svg)


def _cost_per_task(window: Window) -> Chart:
    middle = window.figures.work.usd_of_finished.median
    aside = "" if middle is None else f"median {usd(middle)}"
    parts = _spread(window, lambda figures: figures.work.usd_of_finished)
    svg = charts.lines(window.axis, parts, MONEY, _label("Cost of a finished task", aside))
    return _chart("task-cost", "Cost of a finished task", aside, svg, parts)


def _board(window: Window) -> Chart:
    board = window.figures.board
    aside = f"{whole(board.calls)} calls, {whole(board.failed)} failed" if board.calls else ""
    parts = _spread(window, lambda figures: figures.board)
    svg = charts.lines(window.axis, parts, LATENCY, _label("Board latency", aside))
    return _chart("board", "Board latency", aside, svg, parts)


def _spread(window: Window, of: Callable[[Figures], Spread | BoardFigures]) -> list[Series]:
    """The middle and the upper end of each step's values."""
    found = [of(step.figures) for step in window.steps]
    return [
        Series("median", "s-first", [spread.median for spread in found]),
        Series("p95", "s-second", [spread.p95 for spread in found]),
    ]


def _label(title: str, aside: str) -> str:
    return f"{title}: {aside or 'nothing in this period'}"


def _chart(key: str, title: str, aside: str, svg: str, legend: Sequence[Series] = ()) -> Chart:
    # What is in it are numbers, and words that charts has escaped.
    return Chart(key, title, tuple(legend), aside, Markup(svg))  # noqa: S704
