"""What a command costs before it does anything: against bare Python, its imports, and an empty Invoke task."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.bench.lab import BIN
from tests.bench.measure import Program, in_pairs, median
from tests.bench.report import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.lab import Lab, Place

SECTION = "cold start"
QUICK, LISTING, HTTP, INVOKED = 2.5, 3.5, 1.25, 1.15
"""The goals: times bare Python, times bare Python, times `import requests`, times an empty Invoke task."""

EMPTY_TASK = "from invoke import task\n\n\n@task\ndef noop(_):\n    pass\n"


def measure(lab: Lab) -> Iterator[Line]:
    with lab.place("cold-start") as place:
        bare = place.program("python -c pass", sys.executable, "-c", "pass")
        requests = place.program("import requests", sys.executable, "-c", "import requests")
        _furnish(place)
        for program in _others(place):
            yield _line(lab, program, bare, None)
        for program in _quick(place):
            yield _line(lab, program, bare, QUICK)
        for program in _listings(place):
            yield _line(lab, program, bare, LISTING)
        for program in _http(place):
            yield _line(lab, program, requests, HTTP)
        place.configure(task_check_interval=1)
        yield _line(lab, place.command("pm.tasks, with a config.yaml", "pm.tasks"), requests, None)
        yield from _invoked(lab, place)


def _line(lab: Lab, program: Program, reference: Program, goal: float | None) -> Line:
    pairs = in_pairs(program, reference, lab.rounds(15))
    return Line(
        SECTION,
        program.name,
        median(pairs.of),
        against=reference.name,
        ratio=pairs.ratio,
        cpu_ratio=pairs.cpu_ratio,
        goal=goal,
        samples=[sample.wall for sample in pairs.of],
    )


def _furnish(place: Place) -> None:
    """A board with tasks, a record of another agent, worktrees: what a command finds on a working day.

    Settings come by variables: reading a file of them costs the import of PyYAML, which has a line of its own.
    """
    (place.state / "config.yaml").unlink()
    for agent in ("dev_001", "dev_002"):
        place.board.register(agent)
    feature = place.board.feature()
    for _ in range(10):
        place.board.add_task(feature_id=feature)
    for number in (1, 2, 3):
        place.command("worktree.add", "worktree.add", "--task-id", number).run()
    place.command("lock", "lock", "--local", "--agent-id", "dev_002", "--task-id", 9).run()
    (place.directory / "noop").mkdir()
    (place.directory / "noop" / "tasks.py").write_text(EMPTY_TASK, encoding="ascii")
    (place.directory / "noop-requests").mkdir()
    (place.directory / "noop-requests" / "tasks.py").write_text(
        "import requests\n" + EMPTY_TASK, encoding="ascii"
    )


def _others(place: Place) -> Iterator[Program]:
    """What people would compare us with."""
    guard = place.directory / "flock.guard"
    if shutil.which("flock"):
        yield place.program("flock FILE true", "flock", guard, "true")
    (place.directory / "justfile").write_text("noop:\n\t@true\n", encoding="ascii")
    yield place.program("just noop", BIN / "just", "--justfile", place.directory / "justfile", "noop")
    yield place.program("hpm --version", BIN / "hpm", "--version")


def _quick(place: Place) -> Iterator[Program]:
    agent = ("--local", "--agent-id", "dev_001")
    lock = place.command("lock --local", "lock", *agent, "--task-id", 5)
    unlock = place.command("unlock --local", "unlock", *agent)
    lock.run()
    yield replace(lock, before=(unlock,))
    yield replace(unlock, before=(lock,))
    yield place.command("locks", "locks")


def _listings(place: Place) -> Iterator[Program]:
    yield place.command("worktree.list", "worktree.list")
    yield place.command("hooks.list", "hooks.list")


def _http(place: Place) -> Iterator[Program]:
    agent = ("--agent-id", "dev_001")
    yield place.command("pm.register", "pm.register", *agent, "--role", "backend_dev")
    yield place.command("pm.next", "pm.next", "--role", "backend_dev")
    yield place.command("pm.task", "pm.task", "--task-id", 3)
    yield place.command("pm.tasks", "pm.tasks")
    yield place.command("pm.status", "pm.status", *agent, "--task-id", 3, "--status", "created")
    yield place.command("pm.comment", "pm.comment", *agent, "--task-id", 3, "--comment", "seen")


def _invoked(lab: Lab, place: Place) -> Iterator[Line]:
    place.command("init", "init").run()
    noop = _in(place, "noop")
    with_requests = _in(place, "noop-requests")
    agent = ("--local", "--agent-id", "dev_001")
    lock = place.program("invoke lock --local", BIN / "invoke", "lock", *agent, "--task-id", 5)
    unlock = place.program("invoke unlock --local", BIN / "invoke", "unlock", *agent)
    lock.run()
    for program, reference in (
        (replace(lock, before=(unlock,)), noop),
        (replace(unlock, before=(lock,)), noop),
        (place.program("invoke locks", BIN / "invoke", "locks"), noop),
        (place.program("invoke worktree.list", BIN / "invoke", "worktree.list"), noop),
        (place.program("invoke hooks.list", BIN / "invoke", "hooks.list"), noop),
        (place.program("invoke pm.task", BIN / "invoke", "pm.task", "--task-id", "3"), with_requests),
        (place.program("invoke pm.next", BIN / "invoke", "pm.next", "--role", "backend_dev"), with_requests),
    ):
        yield _line(lab, program, reference, INVOKED)
    # Why README has scripts call `hpm`.
    for name, *words in (("locks",), ("worktree.list",), ("pm.task", "--task-id", "3")):
        by_invoke = place.program(f"invoke {name}, instead of hpm", BIN / "invoke", name, *words)
        yield _line(lab, by_invoke, place.program(f"hpm {name}", BIN / "hpm", name, *words), None)


def _in(place: Place, name: str) -> Program:
    label = "invoke noop" + (" importing requests" if name.endswith("requests") else "")
    return Program(label, [str(BIN / "invoke"), "noop"], place.directory / name, place.environment)
