"""What a task costs on a full board, and among many agents: wanted is the same as on an empty one."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.overhead import run_words, task_times
from tests.bench.report import Line
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.lab import Lab, Place
    from tests.support.board_process import BoardUnderTest
    from tests.support.runners import Running

SECTION = "growth"
FLAT = 1.25
TASKS = (10, 1_000, 50_000)
AGENTS = (1, 10, 50)
OPEN_SHARE = 10
TICKS = os.sysconf("SC_CLK_TCK")


def measure(lab: Lab) -> Iterator[Line]:
    yield from _tasks(lab, (10, 200) if lab.quick else TASKS)
    yield from _listings(lab, 200 if lab.quick else 1_000)
    yield from _agents(lab, (1, 3) if lab.quick else AGENTS)


def _tasks(lab: Lab, sizes: Sequence[int]) -> Iterator[Line]:
    """One runner, on boards of so many tasks, in turns."""
    times: dict[int, list[float]] = {size: [] for size in sizes}
    with ExitStack() as stack:
        places = {size: stack.enter_context(lab.place(f"growth-{size}")) for size in sizes}
        features = {size: fill(place.board, size) for size, place in places.items()}
        for _ in range(lab.rounds(4)):
            for size, place in places.items():
                times[size] += task_times(place, features[size], "minor", 1 if lab.quick else 4)
    fewest = statistics.median(times[sizes[0]])
    for size in sizes:
        took = statistics.median(times[size])
        yield _flat(f"a task, with {size} on the board", took, fewest, f"with {sizes[0]}", times[size])


def _flat(name: str, took: float, least: float, against: str, samples: list[float]) -> Line:
    if took == least:
        return Line(SECTION, name, took, samples=samples)
    return Line(SECTION, name, took, against=against, ratio=took / least, goal=FLAT, samples=samples)


def fill(board: BoardUnderTest, count: int) -> int:
    """Put ``count`` tasks of one feature on the board, a tenth of them open; the feature."""
    feature = board.feature()
    model = board.add_task(feature_id=feature)
    columns = [str(row[1]) for row in board.sql("PRAGMA table_info(tasks)") if row[1] not in ("id", "status")]
    names = ", ".join(columns)
    board.sql(
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        f"INSERT INTO tasks ({names}, status) "
        f"SELECT {names}, CASE i % {OPEN_SHARE} WHEN 0 THEN 'created' ELSE 'qa_done' END "
        f"FROM n, tasks WHERE tasks.id = ?",
        count,
        model["id"],
    )
    return feature


def _listings(lab: Lab, size: int) -> Iterator[Line]:
    """What the real server would be asked to list for one task; by strace, where it is."""
    strace = shutil.which("strace")
    if strace is None:
        return
    with lab.place("growth-upstream", upstream=True) as place:
        fill(place.board, size)
        trace = place.directory / "trace"
        watched = ("-e", "trace=sendto", "-e", "status=successful")
        subprocess.run(
            [strace, "-f", "-qq", "-s", "128", *watched, "-o", str(trace), *run_words(2)],
            cwd=place.repo,
            env=place.environment,
            capture_output=True,
            check=True,
        )
        calls = trace.read_text(encoding="utf-8", errors="replace")
    one_task = calls.split("/tasks/next?")[2]
    filtered = len(re.findall(r"GET /api/v1/tasks\?status", one_task))
    everything = len(re.findall(r"GET /api/v1/tasks ", one_task))
    yield Line(SECTION, "--upstream: filtered listings per task", filtered, "")
    yield Line(SECTION, "--upstream: listings of all tasks per task", everything, "", goal=0)


def _agents(lab: Lab, numbers: Sequence[int]) -> Iterator[Line]:
    least = 0.0
    for number in numbers:
        with lab.place(f"growth-agents-{number}") as place, ExitStack() as stack:
            if number == 1:
                stack.enter_context(_busy_processors())
            cpu, wall = _crowd(place, number, 2 if lab.quick else 20)
        least = least or cpu
        name = f"processor time per task, runners and board, with {number} agents"
        yield _flat(name, cpu, least, f"with {numbers[0]}", [cpu])
        yield Line(SECTION, f"seconds per task, with {number} agents", wall, remark="all on this machine")


@contextmanager
def _busy_processors() -> Iterator[None]:
    """All processors but one at work: two that share a core slow each other down, as with many agents."""
    endless = [sys.executable, "-c", "while True: pass"]
    with ExitStack() as stack:
        others = [stack.enter_context(subprocess.Popen(endless)) for _ in range((os.cpu_count() or 1) - 1)]
        try:
            yield
        finally:
            for other in others:
                other.kill()


def _crowd(place: Place, number: int, least_tasks: int) -> tuple[float, float]:
    """Processor seconds and seconds per task of so many runners, each in a clone of its own."""
    tasks = max(2 * number, least_tasks)
    feature = place.board.feature()
    with ExitStack() as stack:
        runners = [stack.enter_context(_runner(place, index)) for index in range(number)]
        for runner in runners:
            wait_until(lambda: '"started"' in runner.output(), 300, "a started runner")  # noqa: B023
        # A runner's first task loads what the others need no more.
        _do(place, runners, feature, number)
        before = _processor_seconds(place, runners)
        began = time.perf_counter()
        _do(place, runners, feature, tasks)
        wall = time.perf_counter() - began
        return (_processor_seconds(place, runners) - before) / tasks, wall / tasks


def _do(place: Place, runners: Sequence[Running], feature: int, tasks: int) -> None:
    already = _finished(runners)
    for _ in range(tasks):
        place.board.add_task(feature_id=feature)
    wait_until(lambda: _finished(runners) >= already + tasks, 900, f"the end of {tasks} tasks")


def _runner(place: Place, index: int) -> Running:
    clone = place.directory / f"clone-{index}"
    subprocess.run(["git", "clone", "-q", str(place.repo), str(clone)], check=True, env=place.environment)
    words = ("run", "--json", "--role", "backend_dev", "--agent-id", f"dev_{index:03}", "--repo", clone)
    return place.start(*words)


def _finished(runners: Sequence[Running]) -> int:
    return sum(runner.output().count('"task_finished"') for runner in runners)


def _processor_seconds(place: Place, runners: Sequence[Running]) -> float:
    """Of the runners with the children that they have waited for, and of the board."""
    used = 0
    for pid in (place.board.pid, *(runner.pid for runner in runners)):
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        used += sum(map(int, stat.rpartition(")")[2].split()[11:15]))
    return used / TICKS
