"""What `run` adds to a task whose agent does nothing, beside the sum of what no runner can do without."""

from __future__ import annotations

import itertools
import re
import shutil
import statistics
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING

from tests.bench.lab import BIN
from tests.bench.measure import median
from tests.bench.parts import Parts
from tests.bench.report import Line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.lab import Lab, Place

SECTION = "overhead"
GOAL = 1.5
EARLIER_RUNNER = {
    "minor": "the earlier runner, which keeps nothing: 0.37 s",
    "major": "the earlier one: 0.39 s",
}
COUNTED = ("HTTP requests", "git commands", "other processes", "fsyncs")


def measure(lab: Lab) -> Iterator[Line]:
    for complexity in ("minor", "major"):
        with lab.place(f"overhead-{complexity}") as place:
            yield from _of(lab, place, complexity)
    with lab.place("overhead-events") as place:
        yield from _of_events(lab, place)


def _of(lab: Lab, place: Place, complexity: str) -> Iterator[Line]:
    feature = place.board.feature()
    parts = Parts(place, feature)
    times: list[float] = []
    for _ in range(lab.rounds(6)):
        parts.measure()
        times += task_times(place, feature, complexity, 1 if lab.quick else 4)
    least = parts.sum(major=complexity == "major")
    own = [taken - parts.median("agent") for taken in times]
    overhead = statistics.median(own)
    for name in ("board", "hooks", "evidence", "records", *(["worktree"] if complexity == "major" else [])):
        yield Line(SECTION, f"{complexity}: of the parts, {name}", parts.median(name))
    yield Line(
        SECTION,
        f"{complexity}: a task of `run`, beyond its agent",
        overhead,
        against="the sum of its parts",
        ratio=overhead / least,
        goal=GOAL,
        samples=own,
    )
    alone = [_single(place, feature, complexity) for _ in range(lab.rounds(5))]
    yield Line(
        SECTION,
        f"{complexity}: run --single-task, from start to end",
        statistics.median(alone),
        samples=alone,
        remark=EARLIER_RUNNER[complexity],
    )
    yield from _counts(place, feature, complexity)


def _of_events(lab: Lab, place: Place) -> Iterator[Line]:
    """A task with the event log and without, in turns."""
    feature = place.board.feature()
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(lab.rounds(6)):
        for enabled in times:
            place.change(events={"enabled": enabled})
            times[enabled] += task_times(place, feature, "minor", 1 if lab.quick else 3)
    kept, forgotten = statistics.median(times[True]), statistics.median(times[False])
    yield Line(
        SECTION,
        "minor: a task with its events recorded",
        kept,
        against="without",
        ratio=kept / forgotten,
        samples=times[True],
    )


def task_times(place: Place, feature: int, complexity: str, count: int) -> list[float]:
    """Seconds from one task's end to the next one's, in one runner with a backlog."""
    for _ in range(count + 1):
        place.board.add_task(feature_id=feature, complexity=complexity)
    ends: list[float] = []
    process = subprocess.Popen(
        run_words(count + 1), cwd=place.repo, env=place.environment, stdout=subprocess.PIPE, text=True
    )
    said = []
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if '"task_finished"' in line:
                ends.append(time.perf_counter())
    _check(process.returncode, said, count + 1)
    return [after - before for before, after in itertools.pairwise(ends)]


def _check(code: int, said: Sequence[str], tasks: int) -> None:
    reported = sum('"ending": "reported"' in line for line in said)
    if code != 0 or reported != tasks:
        raise RuntimeError(f"{reported} of {tasks} tasks were reported, exit code {code}:\n{''.join(said)}")


def run_words(tasks: int) -> list[str]:
    return [
        *(str(BIN / "hpm"), "run", "--json", "--role", "backend_dev", "--agent-id", "dev_001"),
        *("--max-tasks", str(tasks)),
    ]


def _single(place: Place, feature: int, complexity: str) -> float:
    place.board.add_task(feature_id=feature, complexity=complexity)
    words = ("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task")
    return median([place.command("run", *words).run()])


def _counts(place: Place, feature: int, complexity: str) -> Iterator[Line]:
    """How often a task asks the board, starts a program, and waits for the disk; by strace, where it is."""
    strace = shutil.which("strace")
    if strace is None:
        return
    for _ in range(3):
        place.board.add_task(feature_id=feature, complexity=complexity)
    trace = place.directory / "trace"
    watched = "trace=execve,fsync,fdatasync,sendto"
    done = subprocess.run(
        [
            strace,
            "-f",
            "-qq",
            "-s",
            "128",
            "-e",
            watched,
            "-e",
            "status=successful",
            "-o",
            str(trace),
            *run_words(3),
        ],
        cwd=place.repo,
        env=place.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    _check(done.returncode, done.stdout.splitlines(), 3)
    counts = counted(trace.read_text(encoding="utf-8", errors="replace"))
    for name in COUNTED:
        yield Line(SECTION, f"{complexity}: {name} per task", counts[name], "")


def counted(trace: str) -> Counter[str]:
    """What stands in a trace between the second look for a task and the third: the whole of one task."""
    calls = trace.splitlines()
    looks = [number for number, call in enumerate(calls) if "/tasks/next?" in call]
    found: Counter[str] = Counter()
    for call in calls[looks[1] : looks[2]]:
        if re.search(r"sendto\(\d+, \"(GET|POST|PUT) ", call):
            found["HTTP requests"] += 1
        elif re.search(r'execve\("[^"]*/git"', call):
            found["git commands"] += 1
        elif "execve(" in call:
            found["other processes"] += 1
        elif "sync(" in call:
            found["fsyncs"] += 1
    return found
