"""Figures from events: what counts once, what is divided by what, and what happens at the edges."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hpm_tools.commands.figures_text import evidence_text, text
from hpm_tools.events.figures import Figures, Spread, evidence, figures
from hpm_tools.events.prometheus import exposition
from hpm_tools.events.store import Stored
from hpm_tools.meter import BOUNDS, Meter

if TYPE_CHECKING:
    from pathlib import Path

NOW = 10_000.0


def happened(
    event: str, at: float = 0.0, *, run: str | None = "r1", task: int | None = 1, **data: Any
) -> Stored:
    return Stored(
        at=at, event=event, agent="dev_001", role="backend_dev", board="b", task=task, run=run, data=data
    )


def ended(
    verdict: str = "done",
    *,
    run: str = "r1",
    task: int = 1,
    cost: float | None = 1.0,
    total: float = 1.0,
    **data: Any,
) -> Stored:
    facts = {"model": "sonnet", "difficulty": "senior", "turns": 3, "seconds": 60.0, **data}
    return happened(
        "agent_ended", run=run, task=task, verdict=verdict, cost_usd=cost, task_cost_usd=total, **facts
    )


def took(ending: str, run: str, *, seconds: float = 100.0, usd: float | None = 1.0, **data: Any) -> Stored:
    facts = {"model": "sonnet", "difficulty": "senior", "verdict": "done", "runs": 1, **data}
    return happened(ending, run=run, seconds=seconds, cost_usd=usd, **facts)


def of(*events: Stored, by: str | None = None) -> Figures:
    numbered = [replace(event, id=number + 1) for number, event in enumerate(events)]
    return figures(numbered, now=NOW, by=by)


def test_nothing_gives_figures_that_can_be_shown() -> None:
    found = of()
    assert found.work.success_rate is None
    assert found.work.usd_per_finished is None
    assert "0 ended" in text(found)
    assert evidence_text(evidence([])) == "no task has been worked here yet"
    assert list(text_string_to_metric_families(exposition(found)))


def test_an_ending_that_was_told_again_after_a_crash_counts_once() -> None:
    work = of(took("reported", "r1"), took("reported", "r1"), took("parked", "r2"), took("lost", "r2")).work
    assert work.endings == {"lost": 1, "reported": 1}


def test_success_is_what_was_finished_among_what_was_finished_or_parked() -> None:
    endings = ["reported"] * 3 + ["parked", "given_back", "lost"]
    work = of(*(took(ending, f"r{number}") for number, ending in enumerate(endings))).work
    assert (work.ended, work.finished, work.success_rate) == (6, 3, 0.75)


def test_dollars_of_a_finished_task_are_all_that_were_spent() -> None:
    events = [ended(run="r1", task=1, cost=2.0, total=2.0), took("reported", "r1", usd=2.0)]
    events += [ended("blocked", run="r2", task=2, cost=4.0, total=4.0), took("parked", "r2", usd=4.0)]
    work = of(*events).work
    assert (work.usd, work.usd_per_finished, work.usd_of_finished.median) == (6.0, 6.0, 2.0)


def test_what_a_killed_run_had_cost_is_in_the_next_and_is_not_counted_twice() -> None:
    begun = happened("agent_started", attempt=1)
    # Half a dollar was booked before the kill; the resumed run cost one, the last one two.
    assert of(begun, ended(cost=1.0, total=1.5), ended(cost=2.0, total=3.5)).work.usd == 3.5
    # A window that begins later cannot know what came before.
    assert of(ended(cost=1.0, total=1.5), ended(cost=2.0, total=3.5)).work.usd == 3.0


def test_a_number_that_the_board_gave_again_begins_at_nothing() -> None:
    assert of(ended(cost=3.0, total=3.0), ended(cost=1.0, total=1.0)).work.usd == 4.0


def test_tokens_turns_and_time_are_sums_over_agent_runs() -> None:
    counts: dict[str, Any] = {
        "input_tokens": 10,
        "output_tokens": 20,
        "cache_read_tokens": 30,
        "cache_write_tokens": 40,
    }
    work = of(ended(**counts), ended(**counts), ended(input_tokens=None)).work
    assert (work.tokens.input, work.tokens.output, work.tokens.cache_read, work.tokens.cache_write) == (
        20,
        40,
        60,
        80,
    )
    assert (work.agent_runs, work.turns, work.agent_seconds.total) == (3, 9, 180.0)


@pytest.mark.parametrize("by", ["role", "agent", "model", "difficulty", "verdict"])
def test_groups_add_up_to_the_whole(by: str) -> None:
    events = [ended(), ended("crashed", model="opus", difficulty="principal", total=3.0, cost=2.0)]
    events += [took("reported", "r1"), took("parked", "r2", verdict="crashed", model="opus", difficulty="")]
    found = of(*events, by=by)
    groups = found.groups.values()
    assert sum(work.usd for work in groups) == found.work.usd
    assert sum(work.ended for work in groups) == found.work.ended == 2
    assert sum(work.turns for work in groups) == found.work.turns
    assert by.upper() in text(found)


def test_quantiles_are_values_that_occurred() -> None:
    assert Spread.of([]) == Spread()
    assert Spread.of([5.0]) == Spread(1, 5.0, 5.0, 5.0, 5.0)
    spread = Spread.of(float(n) for n in range(100, 0, -1))
    assert (spread.median, spread.p95, spread.longest, spread.count) == (50.0, 95.0, 100.0, 100)


def test_only_steps_that_were_done_have_durations() -> None:
    found = of(
        happened("step", step="working", seconds=5.0, outcome="done"),
        happened("step", step="working", seconds=500.0, outcome="interrupted"),
    )
    assert found.steps == {"working": Spread(1, 5.0, 5.0, 5.0, 5.0)}


def test_hooks_have_a_rate_and_durations() -> None:
    runs = [(True, 1.0), (True, 3.0), (False, 2.0), (True, 2.0)]
    hook = of(*(happened("hook_ran", name="pre_task", ok=ok, seconds=s) for ok, s in runs)).hooks["pre_task"]
    assert (hook.ok, hook.failed, hook.success_rate, hook.seconds.median) == (3, 1, 0.75, 2.0)


def test_a_hook_that_was_not_there_is_no_run_in_older_files_either() -> None:
    assert of(happened("hook_ran", name="pre_taks", ok=True, ending="missing", seconds=0.0)).hooks == {}


def test_limits_are_waited_for_until_they_are_over_or_the_runner_is() -> None:
    waits = happened("limit_wait", 100.0, until=5000.0)
    assert of(waits).limit_seconds == 4900.0
    assert of(waits, happened("limit_wait", 200.0, until=NOW + 999)).limit_seconds == NOW - 100.0
    assert of(waits, happened("limit_over", seconds=42.0)).limit_seconds == 42.0
    restarted = of(waits, happened("started", 400.0))
    assert (restarted.limit_seconds, restarted.limit_waits) == (300.0, 1)


def test_the_boards_quantiles_lie_between_the_bounds_that_were_counted() -> None:
    meter = Meter()
    for seconds in [0.003] * 90 + [0.2] * 9 + [40.0]:
        meter.count(seconds, failed=seconds > 1)
    first = meter.take()
    meter.count(0.003, failed=False)
    second = meter.take()
    assert meter.take() is None
    assert first
    assert second
    board = of(happened("board_calls", **first), happened("board_calls", **second)).board
    assert (board.calls, board.failed, board.slowest) == (101, 1, 40.0)
    assert 0 < (board.median or 0) <= BOUNDS[0]
    assert 0.1 < (board.p95 or 0) <= 0.25


def test_evidence_is_of_each_difficulty_and_model() -> None:
    events = [took("reported", "r1", seconds=60.0, usd=1.0), took("reported", "r2", seconds=180.0, usd=None)]
    events += [took("reported", "r3", seconds=120.0, usd=3.0), took("parked", "r4", usd=9.0)]
    events += [took("parked", "r5", model="opus"), took("given_back", "r6", model=None)]
    opus, sonnet = evidence(events)
    assert (opus.model, opus.finished, opus.parked, opus.median_usd, opus.median_minutes) == (
        "opus",
        0,
        1,
        None,
        None,
    )
    assert (sonnet.finished, sonnet.parked, sonnet.median_usd, sonnet.median_minutes) == (3, 1, 1.0, 2.0)
    assert "sonnet" in evidence_text([opus, sonnet])


def test_events_of_another_shape_do_no_harm() -> None:
    nonsense: dict[str, Any] = {"seconds": "long", "cost_usd": [], "task_cost_usd": "x", "within": [1] * 99}
    kinds = (
        "reported",
        "agent_started",
        "agent_ended",
        "step",
        "hook_ran",
        "board_calls",
        "limit_wait",
        "limit_over",
    )
    found = of(*(happened(kind, **nonsense) for kind in kinds), *(happened(kind) for kind in kinds))
    assert text(found)
    assert exposition(found)


def test_prometheus_is_told_the_same_figures() -> None:
    found = of(ended(input_tokens=7), took("reported", "r1"), by="model")
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition(found))
        for sample in family.samples
    }
    assert samples["hpm_takes", ("ending", "reported")] == 1
    assert samples["hpm_tokens", ("kind", "input")] == 7
    assert samples["hpm_cost_usd",] == found.work.usd == 1.0
    assert samples["hpm_by_model_cost_usd", ("model", "sonnet")] == 1.0
    assert samples["hpm_take_seconds", ("quantile", "0.95")] == 100.0


def test_without_its_extra_prometheus_says_what_to_install(isolated: Path) -> None:
    program = """
import sys
sys.modules["prometheus_client"] = None
from hpm_tools.cli.hpm import main
sys.exit(main(["metrics", "--prometheus"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 78
    assert "pip install 'hpm-tools[metrics]'" in done.stderr
