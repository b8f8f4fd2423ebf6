"""From the moment a task is created to the start of its agent, in a runner that was idle."""

from __future__ import annotations

import random
import statistics
import sys
import time
from typing import TYPE_CHECKING

from tests.bench.measure import Program
from tests.bench.report import Line
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.lab import Lab, Place

SECTION = "pick-up"
UPSTREAM_GOAL = 1.0
EARLIER_RUNNER = "the earlier runner took 2.85 s"

BETWEEN = "register, lock, two requests for under_work, the hook and five records stand between"

AGENT = """#!/bin/sh
: >"$HPM_BENCH_STARTS/$HPM_RUN_ID"
echo '{"status": "done", "summary": "there was nothing to do", "no_change": true}' >"$HPM_OUTCOME_FILE"
"""


def measure(lab: Lab) -> Iterator[Line]:
    yield from _embedded(lab)
    yield from _upstream(lab)


def _embedded(lab: Lab) -> Iterator[Line]:
    with lab.place("pick-up") as place:
        latencies = _latencies(lab, place)
        trip = statistics.median(_round_trips(place, lab.rounds(40)))
        start = statistics.median(_process_starts(place, lab.rounds(15)))
    least = 2 * trip + start
    took = statistics.median(latencies)
    yield Line(SECTION, "one HTTP round trip", trip)
    yield Line(SECTION, "one process start (python -c pass)", start)
    yield Line(
        SECTION,
        "embedded board",
        took,
        against="2 round trips + a process start",
        ratio=took / least,
        goal=1.0,
        samples=latencies,
        why_missed=BETWEEN,
    )


def _upstream(lab: Lab) -> Iterator[Line]:
    with lab.place("pick-up-upstream", upstream=True) as place:
        latencies = _latencies(lab, place)
    took = statistics.median(latencies)
    yield Line(
        SECTION,
        "--upstream",
        took,
        goal=UPSTREAM_GOAL,
        samples=latencies,
        remark=EARLIER_RUNNER,
        why_missed="half a second of it is the mean wait for the next look, one a second",
    )


def _latencies(lab: Lab, place: Place) -> list[float]:
    starts = place.directory / "agents"
    starts.mkdir()
    place.agent.write_text(AGENT, encoding="ascii")
    place.change(claude={"env": ["HPM_BENCH_STARTS"]})
    chance = random.Random(1)
    found: list[float] = []
    feature = place.board.feature()
    runner = place.start(
        "run", "--json", "--role", "backend_dev", "--agent-id", "dev_001", HPM_BENCH_STARTS=str(starts)
    )
    with runner:
        wait_until(lambda: '"started"' in runner.output(), 60, "a started runner")
        for number in range(lab.rounds(12)):
            task = place.board.add_task("pending", feature_id=feature)
            time.sleep(chance.uniform(0.5, 2.5))
            created = time.time()
            place.board.put(task["id"], "pm1", "created")
            found.append(_next_start(starts, number) - created)
            wait_until(lambda: runner.output().count('"task_finished"') > number, 60, "its end")  # noqa: B023
    return found


def _next_start(starts: Path, already: int) -> float:
    """When the agent after ``already`` others came to be, by the file that it makes first."""
    wait_until(lambda: len(list(starts.iterdir())) > already, 60, "the agent's start")
    return max(path.stat().st_mtime for path in starts.iterdir())


def _round_trips(place: Place, count: int) -> Iterator[float]:
    """Looks for a task on one kept connection."""
    from tests.bench.parts import Connection

    with Connection(place.board) as connection:
        for _ in range(count):
            began = time.perf_counter()
            connection.ok("GET", "/tasks/next", role="frontend_dev", level="senior", timeout=0)
            yield time.perf_counter() - began


def _process_starts(place: Place, count: int) -> Iterator[float]:
    bare = Program("python -c pass", [sys.executable, "-c", "pass"], place.repo, place.environment)
    for _ in range(count):
        yield bare.run().wall
