"""Makes a failing world smaller, part by part, as long as it fails in the same way.

Of each list (tasks, runs, acts, events, repository, host) ever smaller pieces are left out: delta debugging as of
Zeller and Hildebrandt, TSE 2002, but for its test of single pieces. Then each thing that stays is replaced by a plainer
one. Both again and again, until nothing can be left out. This knows nothing of processes: ``fails`` plays worlds.
"""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from tests.worlds.draw import REGISTERS
from tests.worlds.world import Choice, Event, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.worlds.declared import Register

LISTS = ("faults", "person", "repository", "host")
DRAWS = 24
"""So often facts are drawn to find simpler ones: what a thing draws by itself is what it can be."""

TRIED = 3
"""So many of them are tried, each of which plays a world."""


class Shrinking:
    """``smallest`` is the smallest world so far that fails.

    ``fails`` is given up to ``at_once`` smaller worlds and answers with the first that fails in the same way, or
    None; what it raises (there is no more time) ends ``run`` with the smallest world as it is then.
    """

    def __init__(
        self, world: World, fails: Callable[[Sequence[World]], World | None], *, at_once: int = 1
    ) -> None:
        self.smallest = world
        self.fails = fails
        self.at_once = at_once
        self.known: set[str] = {self.key(world)}

    def run(self) -> World:
        """Make it as small as it gets; the smallest one."""
        while True:
            before = self.smallest
            self.leave_out()
            self.make_plainer()
            if self.smallest == before:
                return before

    @staticmethod
    def key(world: World) -> str:
        return msgspec.structs.replace(world, name="").to_json()

    def take(self, candidates: Sequence[World]) -> int | None:
        """Take the first of them that fails as well; which one that is. None of them is played twice."""
        fresh = {
            self.key(world): (at, world)
            for at, world in reversed([*enumerate(candidates)])
            if self.key(world) not in self.known
        }
        self.known.update(fresh)
        ordered = sorted(fresh.values(), key=lambda pair: pair[0])
        for begin in range(0, len(ordered), self.at_once):
            batch = ordered[begin : begin + self.at_once]
            smaller = self.fails([world for _, world in batch])
            if smaller is not None:
                self.smallest = smaller
                return next(at for at, world in batch if world == smaller)
        return None

    # -- leaving out

    def leave_out(self) -> None:
        self.shorten("tasks", least=1)
        for name in LISTS:
            self.shorten(name)
        # The numbers of tasks and of their runs stay as they are while these get shorter.
        for task in range(len(self.smallest.tasks)):
            self.shorten("tasks", task, "runs", least=1)
            for run in range(len(self.smallest.tasks[task].runs)):
                self.shorten("tasks", task, "runs", run, "acts")

    def shorten(self, *path: str | int, least: int = 0) -> None:
        """Leave out pieces of a list of the world: all of it, halves, quarters, … single things."""
        size = len(get(self.smallest, path))
        while size:
            at = 0
            while at < len(items := get(self.smallest, path)):
                starts = range(at, len(items), size)[: self.at_once]
                without = [(*items[:start], *items[start + size :]) for start in starts]
                taken = self.take([put(self.smallest, path, kept) for kept in without if len(kept) >= least])
                at = starts[-1] + size if taken is None else starts[taken]
            size //= 2

    # -- plainer things

    def make_plainer(self) -> None:
        """Try each way to make it plainer once: what did not fail then seldom does for another one's being taken."""
        tried: set[str] = set()
        while True:
            ways = {way: world for way, world in plainer(self.smallest) if way not in tried}
            if not ways:
                return
            taken = self.take([*ways.values()])
            tried.update([*ways][: taken + 1] if taken is not None else ways)


def size(world: World) -> int:
    """How many things it is made of."""
    runs = [run for task in world.tasks for run in task.runs]
    lists = sum(len(getattr(world, name)) for name in LISTS)
    return lists + len(world.tasks) + len(runs) + sum(len(run.acts) for run in runs)


def get(thing: Any, path: Sequence[str | int]) -> Any:
    """What lies at ``path``: fields by name, things of a list by number."""
    for step in path:
        thing = thing[step] if isinstance(step, int) else getattr(thing, step)
    return thing


def put(thing: Any, path: Sequence[str | int], value: object) -> Any:
    """A copy of ``thing`` with ``value`` at ``path``."""
    if not path:
        return value
    step, *rest = path
    inner = put(get(thing, [step]), rest, value)
    if isinstance(step, int):
        return (*thing[:step], inner, *thing[step + 1 :])
    return msgspec.structs.replace(thing, **{step: inner})


def plainer(world: World) -> Iterator[tuple[str, World]]:
    """The worlds that are plainer by one thing, those first that are plainer by much; a name for each way."""
    for path, value in plainer_parts(world):
        yield f"{path} {value}", put(world, path, value)


def plainer_parts(world: World) -> Iterator[tuple[list[str | int], object]]:
    """(path, what may stand there instead)."""
    if world.board != "exact":
        yield ["board"], "exact"
    if world.lasting:
        yield ["lasting"], False
    for runners in range(1, world.runners):
        yield ["runners"], runners
    for at, task in enumerate(world.tasks):
        if task.kind != "major":
            yield ["tasks", at, "kind"], "major"
        if task.branch != "main":
            yield ["tasks", at, "branch"], "main"
        for number, run in enumerate(task.runs):
            if run.outcome != Choice("done"):
                yield ["tasks", at, "runs", number, "outcome"], Choice("done")
    for kind, events in (("person", world.person), ("fault", world.faults)):
        for at, event in enumerate(events):
            for simpler in plainer_events(kind, event):
                yield ["faults" if kind == "fault" else kind, at], simpler
    for kind, choices in (("repository", world.repository), ("host", world.host)):
        for at, choice in enumerate(choices):
            for plain in plainer_facts(kind, choice):
                yield [kind, at], plain
    for at, task in enumerate(world.tasks):
        for number, run in enumerate(task.runs):
            for act, choice in enumerate(run.acts):
                for plain in plainer_facts("act", choice):
                    yield ["tasks", at, "runs", number, "acts", act], plain
            for plain in plainer_facts("outcome", run.outcome):
                yield ["tasks", at, "runs", number, "outcome"], plain


def plainer_events(kind: str, event: Event) -> Iterator[Event]:
    """The event at a plainer time, of the first runner, or with plainer facts."""
    replace: Callable[..., Event] = msgspec.structs.replace
    point, _, nth = event.when.partition("#")
    if nth not in ("", "1"):
        yield replace(event, when=f"{point}#1")
    if event.runner:
        yield replace(event, runner=0)
    known = register_of(kind).declared.get(event.what.name)
    if kind == "person" and event.when != "before" and known is not None and "before" in known.moments:
        yield replace(event, when="before")
    for plain in plainer_facts(kind, event.what):
        yield replace(event, what=plain)


def plainer_facts(kind: str, choice: Choice) -> list[Choice]:
    """The same thing with facts that it draws by itself and that are shorter, or come first of equally long ones."""
    register = register_of(kind)
    if choice.name not in register.declared or not register[choice.name].weight:
        return []
    drawn = (register[choice.name].draw(Random(number)) for number in range(DRAWS))
    texts = {json.dumps(facts, sort_keys=True) for facts in drawn}
    now = length(json.dumps(choice.facts, sort_keys=True))
    shorter = sorted((text for text in texts if length(text) < now), key=length)
    return [Choice(choice.name, json.loads(text)) for text in shorter[:TRIED]]


def register_of(kind: str) -> Register[..., Any]:
    return next(register for register in REGISTERS if register.kind == kind)


def length(text: str) -> tuple[int, str]:
    return len(text), text
