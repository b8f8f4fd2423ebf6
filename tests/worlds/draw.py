"""Draws a world from a seed and a number.

Each world first chooses which few things it likes ("swarm testing": Groce et al., ISSTA 2012): programs made of few
kinds of acts meet rarer states than programs in which everything is a little likely. Two of all the things that are
declared are in it for certain, mostly seldom ones, so that none stays rare however many there are. One world in three
is drawn for one row of the catalogue of faults: what can lead to that row is much likelier there.

Every choice is a race of its own: each name's time is drawn from the seed, the number, the choice and the name, and
the first wins (weighted rendezvous hashing). So a thing that is declared tomorrow changes only the choices that it
wins, and the worlds that a test plays by their numbers stay what they were.
"""

from __future__ import annotations

import heapq
import math
from functools import cache
from hashlib import blake2b
from random import Random
from typing import TYPE_CHECKING, Any

from tests.worlds.acts import ACTS
from tests.worlds.faults import FAULTS
from tests.worlds.host import HOST
from tests.worlds.outcomes import OUTCOMES
from tests.worlds.person import PERSON
from tests.worlds.repository import REPOSITORY
from tests.worlds.world import Choice, Event, Run, Task, World

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from tests.worlds.declared import Register

REGISTERS: tuple[Register[..., Any], ...] = (REPOSITORY, HOST, ACTS, OUTCOMES, PERSON, FAULTS)

POINTS = {
    "agent.accounted": 2, "agent.ended": 2, "agent.journalled": 2, "agent.spawned": 2, "agent.starting": 2,
    "board.after": 6, "board.before": 6, "cleaning.after": 1, "cleaning.before": 1, "committing.after": 1,
    "committing.before": 1, "detaching.after": 1, "detaching.before": 1, "exclude.after": 1, "exclude.before": 1,
    "file.removed": 1, "file.removing": 1, "file.replaced": 26, "file.written": 26, "git.after": 5, "git.before": 5,
    "hook.after": 3, "hook.before": 3, "lease.left": 1, "lease.locked": 1, "lease.read_back": 1,
    "lease.registered": 1, "lease.under_work": 1, "leftovers.advanced": 1, "leftovers.committed": 1,
    "leftovers.staged": 1, "park.commented": 1, "park.told": 1, "place.after": 1, "place.before": 1,
    "post_hook.after": 1, "post_hook.before": 1, "pre_hook.after": 1, "pre_hook.before": 1, "removal.after": 9,
    "removal.before": 9, "removal.forgotten": 1, "removal.renamed": 1, "removal.saved": 1, "reporting.after": 1,
    "reporting.before": 1, "salvage.committed": 1, "salvage.stored": 1, "scratch.after": 4, "scratch.before": 4,
    "starting.after": 1, "starting.before": 1, "state.after": 6, "state.before": 6, "taking.alone": 1,
    "taking.before": 1, "taking.dropped": 1, "taking.recorded": 1, "unlocking.after": 1, "unlocking.before": 1,
    "working.after": 1, "working.before": 1, "working.decided": 2, "workspace.after": 1, "workspace.before": 1,
    "worktree.after": 2, "worktree.before": 2, "worktree.checked_out": 1, "worktree.claimed": 1,
    "worktree.detached": 1, "worktree.filled": 1, "worktree.marked": 1, "worktree.registered": 1,
}  # fmt: skip
"""Failpoints that a run comes to, and how often at least one kind of run does."""

LIKED = 4
LIKED_WEIGHT = 12.0
"""How much likelier the acts are that a world likes."""

ROW_WEIGHT = 10.0
"""How much likelier the things are that can lead to the row that a world is drawn for."""

FEATURED = 2
"""So many things of all that are declared are in each world for certain."""

SELDOM = {"repository": 1.0, "host": 1.0, "act": 0.25, "outcome": 0.25, "person": 1.5, "fault": 1.5}
"""How much each kind needs that: a world has many acts by itself, and an event's moment need not come."""

MOST_SELDOM = 4.0

MOMENTS = {"before": 1.0, "meet": 5.0, "point": 3.0, "between": 1.0}
"""How likely each moment is of those that an event may have."""


def draw(seed: int, number: int, row: str = "") -> World:
    """World ``number`` of ``seed``, the same one each time; ``row``: all of them are drawn for that row."""
    return Drawing(f"{seed}/{number}{f'/{row}' if row else ''}", row).world()


@cache
def reachable_rows() -> dict[str, list[str]]:
    """The rows of the catalogue that something can lead to, in order, and what: ``act revert``."""
    found: dict[str, list[str]] = {}
    for register, name in everything():
        for row in register[name].rows:
            found.setdefault(row, []).append(f"{register.kind} {name}")
    return {row: found[row] for row in sorted(found, key=in_order)}


@cache
def everything() -> list[tuple[Register[..., Any], str]]:
    """Every thing that is declared."""
    return [(register, name) for register in REGISTERS for name in register.names()]


def in_order(row: str) -> tuple[str, int, str]:
    """``B2`` before ``B11``, ``D4b`` after ``D4``."""
    digits = row[1:].rstrip("abc")
    return row[0], int(digits), row[1 + len(digits) :]


class Drawing:
    """The choices of one world; each has a name of its own (``slot``)."""

    def __init__(self, name: str, row: str = "") -> None:
        self.name = name
        self.row = row or self.draw_row()
        self.liked = self.first(
            {name: bool(ACTS[name].weight) for name in ACTS.names()}, "liked", count=LIKED
        )
        self.featured = self.feature()
        self.meetings = 0
        self._weights: dict[str, dict[str, float]] = {}

    # -- races

    def time(self, slot: str, name: Hashable, weight: float) -> float:
        """When a name comes in: exponentially distributed, so that the first is a weighted choice."""
        digest = blake2b(f"{self.name} {slot} {name}".encode(), digest_size=8).digest()
        return -math.log((int.from_bytes(digest) + 1) / 2**64) / weight

    def first(self, weights: Mapping[Any, float], slot: str, count: int = 1) -> list[Any]:
        """The ``count`` that come in first of those with a weight."""
        times = [(self.time(slot, name, weight), name) for name, weight in weights.items() if weight > 0]
        return [name for _, name in heapq.nsmallest(count, times)]

    def one_of(self, weights: Mapping[Any, float], slot: str) -> Any:
        return self.first(weights, slot)[0]

    # -- what the world likes

    def draw_row(self) -> str:
        """The row that this world is drawn for; "" for two in three of them."""
        rows = list(reachable_rows())
        if not rows or self.one_of({"": 2, "a row": 1}, "row?") == "":
            return ""
        return str(self.one_of(dict.fromkeys(rows, 1.0), "row"))

    def feature(self) -> dict[str, list[str]]:
        """Kind → the names that this world has for certain."""
        weights = {
            (register.kind, name): SELDOM[register.kind] * min(MOST_SELDOM, 1 / register[name].weight)
            for register, name in everything()
            if register[name].weight > 0
        }
        chosen: dict[str, list[str]] = {register.kind: [] for register in REGISTERS}
        for kind, name in self.first(weights, "featured", count=FEATURED):
            chosen[kind].append(name)
        return chosen

    def weights(self, register: Register[..., Any]) -> dict[str, float]:
        """How likely each thing is in this world."""
        if register.kind not in self._weights:
            likes = self.liked if register is ACTS else ()
            self._weights[register.kind] = {
                name: declared.weight
                * (ROW_WEIGHT if self.row in declared.rows else 1.0)
                * (LIKED_WEIGHT if name in likes else 1.0)
                for name, declared in sorted(register.declared.items())
            }
        return self._weights[register.kind]

    def choice(self, register: Register[..., Any], name: str, slot: str) -> Choice:
        return Choice(name, register[name].draw(Random(f"{self.name} {slot} {name}")))

    # -- the world

    def world(self) -> World:
        runners = self.one_of({1: 6, 2: 3, 3: 1}, "runners")
        count = self.one_of({1: 6, 2: 3, 3: 1}, "tasks")
        tasks = [self.task(f"task {number}", number == 0) for number in range(count)]
        person = self.events(PERSON, {0: 5, 1: 3, 2: 1}, tasks, runners)
        faults = self.events(FAULTS, {0: 2, 1: 5, 2: 2}, tasks, runners)
        return World(
            name=self.name,
            board=self.one_of({"exact": 3, "upstream": 1}, "board"),
            runners=runners,
            lasting=self.one_of({False: 7, True: 3}, "lasting"),
            repository=self.several(REPOSITORY, {0: 1, 1: 5, 2: 4, 3: 1}),
            host=self.several(HOST, {0: 6, 1: 3, 2: 1}),
            tasks=tuple(tasks),
            person=person,
            faults=faults,
        )

    def several(self, register: Register[..., Any], counts: Mapping[int, float]) -> tuple[Choice, ...]:
        """Some different things of a register, none beside one that excludes it."""
        kind, weights = register.kind, self.weights(register)
        certain = self.featured[kind]
        count = max(self.one_of(counts, f"{kind} count"), len(certain))
        chosen: list[str] = []
        for name in (*certain, *self.first(weights, kind, count=len(weights))):
            if len(chosen) < count and name not in chosen and register.may_stand_beside(name, chosen):
                chosen.append(name)
        return tuple(self.choice(register, name, kind) for name in chosen)

    def task(self, slot: str, is_first: bool) -> Task:
        kind = self.one_of({"major": 5, "minor": 4, "review": 1}, f"{slot} kind")
        runs = self.one_of({1: 3, 2: 1}, f"{slot} runs")
        return Task(
            kind=kind,
            runs=tuple(self.run(f"{slot} run {n}", is_first and n == 0) for n in range(runs)),
        )

    def run(self, slot: str, is_first: bool) -> Run:
        """One run's program; the world's very first run has the acts and the outcome that are certain."""
        weights = self.weights(ACTS)
        length = self.one_of({1: 1, 3: 4, 5: 3, 8: 1}, f"{slot} length")
        names = [self.one_of(weights, f"{slot} act {n}") for n in range(length)]
        outcome = self.one_of(self.weights(OUTCOMES), f"{slot} outcome")
        if is_first:
            for name in self.featured[ACTS.kind]:
                at = self.one_of(dict.fromkeys(range(len(names) + 1), 1.0), f"{slot} place of {name}")
                names.insert(at, name)
            outcome = (*self.featured[OUTCOMES.kind], outcome)[0]
        return Run(
            acts=tuple(self.choice(ACTS, name, f"{slot} act {n}") for n, name in enumerate(names)),
            outcome=self.choice(OUTCOMES, outcome, slot),
        )

    def events(
        self, register: Register[..., Any], counts: Mapping[int, float], tasks: list[Task], runners: int
    ) -> tuple[Event, ...]:
        kind, weights = register.kind, self.weights(register)
        names = [*self.featured[kind]]
        count = self.one_of(counts, f"{kind} count")
        names += [self.one_of(weights, f"{kind} {n}") for n in range(len(names), count)]
        return tuple(
            self.event(register, name, f"{kind} {n}", tasks, runners) for n, name in enumerate(names)
        )

    def event(
        self, register: Register[..., Any], name: str, slot: str, tasks: list[Task], runners: int
    ) -> Event:
        """A thing that happens at some moment; for one at a meeting, the agent's program gets the ``meet``."""
        what = self.choice(register, name, slot)
        runner = self.one_of(dict.fromkeys(range(runners), 1.0), f"{slot} runner")
        moments = {moment: MOMENTS[moment] for moment in register[name].moments}
        when = self.one_of(moments, f"{slot} when")
        if when == "point":
            point = self.one_of(dict.fromkeys(POINTS, 1.0), f"{slot} point")
            chance = Random(f"{self.name} {slot} nth")
            # Early ones twice as likely: not every kind of run comes so often to the point.
            nth = min(chance.randint(1, POINTS[point]), chance.randint(1, POINTS[point]))
            return Event(f"point {point}#{nth}", what, runner)
        if when == "meet":
            number = self.one_of(dict.fromkeys(range(len(tasks)), 1.0), f"{slot} task")
            tasks[number] = self.with_meeting(tasks[number], slot)
            return Event(f"meet {self.meetings}", what, runner)
        return Event(str(when), what, runner)

    def with_meeting(self, task: Task, slot: str) -> Task:
        """The task, whose first run stands still somewhere, most often at its end."""
        self.meetings += 1
        first, *others = task.runs
        chance = Random(f"{self.name} {slot} at")
        at = max(chance.randint(0, len(first.acts)), chance.randint(0, len(first.acts)))
        acts: Sequence[Choice] = (
            *first.acts[:at],
            Choice("meet", {"name": str(self.meetings)}),
            *first.acts[at:],
        )
        return Task(kind=task.kind, runs=(Run(tuple(acts), first.outcome), *others), branch=task.branch)
