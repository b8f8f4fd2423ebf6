"""Draws a world from a seed and a number.

Each world first chooses which few things it likes ("swarm testing": Groce et al., ISSTA 2012): programs made of few
kinds of acts meet rarer states than programs in which everything is a little likely.
"""

from __future__ import annotations

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
    from collections.abc import Sequence

    from tests.worlds.declared import Register

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


def draw(seed: int, number: int) -> World:
    """World ``number`` of ``seed``: the same one each time."""
    chance = Random(f"{seed} {number}")
    return Drawing(chance).world(f"{seed}/{number}")


class Drawing:
    """The choices of one world."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.liked = chance.sample(sorted(ACTS.declared), 4)
        self.meetings = 0

    def world(self, name: str) -> World:
        chance = self.chance
        repository = self.several(REPOSITORY, (2, 5, 3, 1))
        host = self.several(HOST, (6, 3, 1))
        runners = chance.choices((1, 2, 3), (6, 3, 1))[0]
        count = chance.choices((1, 2, 3), (6, 3, 1))[0]
        tasks = [self.task() for _ in range(count)]
        person = [self.event(PERSON, tasks, runners) for _ in range(chance.choices((0, 1, 2), (5, 3, 1))[0])]
        faults = [self.event(FAULTS, tasks, runners) for _ in range(chance.choices((0, 1, 2), (2, 5, 2))[0])]
        return World(
            name=name,
            board=chance.choices(("exact", "upstream"), (3, 1))[0],
            runners=runners,
            lasting=chance.random() < 0.3,
            repository=repository,
            host=host,
            tasks=tuple(tasks),
            person=tuple(person),
            faults=tuple(faults),
        )

    def several(self, register: Register[..., Any], weights: Sequence[int]) -> tuple[Choice, ...]:
        """So many different things of a register, none beside one that excludes it, in the order they were drawn."""
        chosen: dict[str, Choice] = {}
        for _ in range(self.chance.choices(range(len(weights)), weights)[0]):
            free = [
                name
                for name in register.names()
                if name not in chosen
                and not register[name].unless & chosen.keys()
                and not any(name in register[other].unless for other in chosen)
            ]
            if free:
                choice = self.one(register, free)
                chosen[choice.name] = choice
        return tuple(chosen.values())

    def one(self, register: Register[..., Any], names: Sequence[str] | None = None) -> Choice:
        names = register.names() if names is None else names
        name = self.chance.choices(names, [register[name].weight for name in names])[0]
        return Choice(name, register[name].draw(self.chance))

    def task(self) -> Task:
        chance = self.chance
        kind = chance.choices(("major", "minor", "review"), (5, 4, 1))[0]
        runs = tuple(self.run() for _ in range(chance.choices((1, 2), (3, 1))[0]))
        return Task(kind=kind, runs=runs)

    def run(self) -> Run:
        names = ACTS.names()
        weights = [ACTS[name].weight * (12 if name in self.liked else 1) for name in names]
        chosen = self.chance.choices(names, weights, k=self.chance.choices((1, 3, 5, 8), (1, 4, 3, 1))[0])
        acts = [Choice(name, ACTS[name].draw(self.chance)) for name in chosen]
        return Run(acts=tuple(acts), outcome=self.one(OUTCOMES))

    def event(self, register: Register[..., Any], tasks: list[Task], runners: int) -> Event:
        """A thing that happens at some moment; for one at a meeting, the agent's program gets the ``meet``."""
        chance = self.chance
        what, runner = self.one(register), chance.randrange(runners)
        weights = {"before": 1, "meet": 5, "point": 4, "between": 1}
        moments = register[what.name].moments
        when = chance.choices(moments, [weights[moment] for moment in moments])[0]
        if when == "point":
            point = chance.choice(sorted(POINTS))
            return Event(f"point {point}#{chance.randint(1, POINTS[point])}", what, runner)
        if when == "meet":
            number = chance.randrange(len(tasks))
            tasks[number] = self.with_meeting(tasks[number])
            return Event(f"meet {self.meetings}", what, runner)
        return Event(when, what, runner)

    def with_meeting(self, task: Task) -> Task:
        """The task, whose first run stands still somewhere, most often at its end."""
        self.meetings += 1
        first, *others = task.runs
        at = max(self.chance.randint(0, len(first.acts)), self.chance.randint(0, len(first.acts)))
        acts = [*first.acts]
        acts.insert(at, Choice("meet", {"name": str(self.meetings)}))
        return Task(kind=task.kind, runs=(Run(tuple(acts), first.outcome), *others), branch=task.branch)
