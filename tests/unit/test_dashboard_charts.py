"""Charts and the figures behind them."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from hpm_tools.dashboard import charts, drawing, trend, wording
from hpm_tools.dashboard.charts import Axis, Series, Unit
from hpm_tools.dashboard.trend import Trend
from hpm_tools.events.figures import figures
from tests.support.night import Night

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600.0
PLAIN = Unit(wording.whole, wording.whole, charts.nice)
AXIS = Axis(0.0, HOUR, 4)


def rects(svg: str, kind: str) -> list[dict[str, str]]:
    return [dict(found.attrib) for found in ET.fromstring(svg).iter("rect") if found.get("class") == kind]


def test_a_stack_is_as_high_as_its_sum_and_told_in_words() -> None:
    done, parked = Series("done", "d", [2, 0, 1, None]), Series("parked", "p", [2, 0, 0, None])
    svg = charts.stacked(AXIS, [done, parked], PLAIN, "ended")
    lower, last = rects(svg, "d")
    (upper,) = rects(svg, "p")
    assert float(lower["height"]) == float(upper["height"]) == 2 * float(last["height"])
    assert float(upper["y"]) + float(upper["height"]) == pytest.approx(float(lower["y"]), abs=0.2)
    titles = [found.text or "" for found in ET.fromstring(svg).iter("title")]
    assert [title.partition(": ")[2] for title in titles] == ["2 done, 2 parked", "1 done"]


def test_a_line_breaks_where_nothing_was_measured() -> None:
    svg = charts.lines(Axis(0.0, HOUR, 6), [Series("x", "l", [1, 2, None, 3, None, 0])], PLAIN, "x")
    root = ET.fromstring(svg)
    assert [len(str(line.get("points")).split()) for line in root.iter("polyline")] == [2]
    assert len(list(root.iter("circle"))) == 2


@pytest.mark.parametrize("how", [charts.stacked, charts.lines])
def test_nothing_is_a_chart_too(how: Any) -> None:
    svg = how(AXIS, [Series("x", "l", [None] * 4)], PLAIN, 'no "data" <yet>')
    assert ET.fromstring(svg).get("aria-label") == 'no "data" <yet>'


def test_a_chart_obeys_the_pages_policy_and_escapes_names() -> None:
    svg = charts.stacked(AXIS, [Series("<script>", "d", [1, 1, 1, 1])], PLAIN, "x")
    assert "<script>" not in svg
    assert not re.search(r"\bstyle=|\bon\w+=", svg)


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (0.3, 0.5), (1, 1), (1.01, 2), (2.2, 2.5), (7, 10), (99, 100), (101, 200)]
)
def test_an_axis_ends_at_a_round_number(value: float, top: float) -> None:
    assert charts.nice(value) == pytest.approx(top)


@pytest.mark.parametrize(("seconds", "top"), [(0, 1), (61, 120), (3601, 7200), (90_000, 172_800)])
def test_an_axis_of_time_ends_at_a_round_time(seconds: float, top: float) -> None:
    assert charts.nice_time(seconds) == top


@pytest.mark.parametrize(
    ("hours", "step", "most"), [(6, 900, 25), (24, 3600, 25), (7 * 24, 6 * 3600, 29), (30 * 24, 86400, 31)]
)
def test_an_axis_covers_its_period(hours: int, step: float, most: int) -> None:
    now = 1_769_000_000.0
    axis = trend.axis_over(now - hours * HOUR, now)
    assert axis.step == step
    assert axis.count <= most
    assert axis.start <= now - hours * HOUR
    assert now < axis.start + axis.count * axis.step <= now + axis.step


def filled(tmp_path: Path, **how: Any) -> tuple[Night, Trend]:
    night = Night(tmp_path / "state")
    night.fill(**how)
    found = Trend()
    for event in night.store.read(names=trend.NAMES):
        found.take(event)
    return night, found


def test_the_charts_agree_with_the_figures(tmp_path: Path) -> None:
    """Every end, dollar and call of the period is in exactly one step of each chart."""
    night, found = filled(tmp_path, agents=4, hours=20)
    since = night.now - 24 * HOUR
    wanted = figures(night.store.read(since=since), now=night.now, since=since)
    window = found.window(24 * HOUR, night.now)
    assert window.figures.work == wanted.work
    assert window.figures.board == wanted.board
    assert wanted.work.ended == len(window.ended) > 100
    assert sum(sum(step.results.values()) for step in window.steps) == wanted.work.ended
    assert sum(step.usd for step in window.steps) == pytest.approx(wanted.work.usd)
    assert sum(step.figures.board.calls for step in window.steps) == wanted.board.calls
    shown = {chart.key: chart.aside for chart in drawing.draw(window)}
    assert shown["throughput"] == wording.whole(wanted.work.ended)
    assert shown["cost"] == wording.usd(wanted.work.usd)


def test_money_spent_by_a_killed_runner_is_drawn(tmp_path: Path) -> None:
    """Its run told no cost; the task's next run knows what the task has cost so far."""
    night = Night(tmp_path / "state")
    started: dict[str, Any] = {
        "agent": "dev_001",
        "task": 5,
        "run": "r",
        "resumed": False,
        "executor": "claude",
    }
    ended: dict[str, Any] = {
        "agent": "dev_001",
        "task": 5,
        "run": "r",
        "verdict": "done",
        "turns": 1,
        "seconds": 1,
    }
    found = Trend()
    for event in (
        night.event("agent_started", night.now - 9000, attempt=1, **started),
        night.event("agent_started", night.now - 5000, attempt=2, **started),
        night.event("agent_ended", night.now - 100, cost_usd=0.5, task_cost_usd=2.0, **ended),
    ):
        found.take(event)
    window = found.window(3 * HOUR, night.now)
    assert window.figures.work.usd == 2.0
    assert sum(step.usd for step in window.steps) == 2.0


def test_a_window_that_events_are_added_to_is_the_same_as_a_new_one(tmp_path: Path) -> None:
    night = Night(tmp_path / "state")
    night.fill(agents=3, hours=5)
    events = list(night.store.read(names=trend.NAMES))
    grown, whole = Trend(), Trend()
    for number, event in enumerate(events):
        grown.take(event)
        whole.take(event)
        if number % 50 == 0:
            grown.window(6 * HOUR, night.now)
    assert grown.window(6 * HOUR, night.now) == whole.window(6 * HOUR, night.now)
    later = night.now + 2 * HOUR
    assert len(grown.window(6 * HOUR, later).ended) < len(grown.ended)


def test_an_end_told_twice_is_one(tmp_path: Path) -> None:
    night = Night(tmp_path / "state")
    *before, end = night.task("dev_001", "backend_dev", night.now - 700, 600.0, "parked")
    found = Trend()
    for event in (*before, end, replace(end, at=end.at + 5)):
        found.take(event)
    window = found.window(HOUR, night.now)
    assert [outcome.at for outcome in window.ended] == [end.at + 5]
    assert window.figures.work.ended == 1


def test_an_outcome_is_put_together_from_its_run(tmp_path: Path) -> None:
    night = Night(tmp_path / "state")
    events = list(night.task("dev_001", "backend_dev", time.time() - 3600, 600.0, "parked"))
    found = Trend()
    for event in events:
        found.take(event)
    (outcome,) = found.ended
    facts = {event.event: event.data for event in events}
    assert outcome.result == "parked"
    assert outcome.reason == facts["parked"]["reason"]
    assert outcome.title == facts["task_taken"]["title"]
    assert outcome.cost_usd == facts["agent_ended"]["cost_usd"]
    assert outcome.branch == facts["workspace"]["branch"]
    assert outcome.seconds == 600.0
    found.forget(time.time())
    assert not found.ended
    assert not found.counted
