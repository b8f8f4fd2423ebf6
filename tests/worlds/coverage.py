"""What happened in many worlds beside what is declared, and which worlds to play for all of it to happen."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.worlds.draw import draw, everything

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.worlds.play import Outcome
    from tests.worlds.world import World

OFTEN = 3
"""In so many of 500 worlds everything that is declared must happen."""

CHOSEN_FROM = 1500


def declared() -> list[str]:
    """Every thing that a world can be made of, behind its kind: ``act edit``."""
    return [f"{register.kind} {name}" for register, name in everything()]


def happened(outcomes: Iterable[Outcome]) -> Counter[str]:
    """In how many worlds each thing really happened; 0 for what is declared and never did."""
    counts = Counter(dict.fromkeys(declared(), 0))
    for outcome in outcomes:
        counts.update({name: 1 for name, times in outcome.happened.items() if times})
    return counts


def rare(counts: Mapping[str, int]) -> list[str]:
    """What is declared and happened in fewer worlds than it must."""
    return [name for name in declared() if counts.get(name, 0) < OFTEN]


def table(counts: Mapping[str, int], *, mark: bool) -> list[str]:
    """A line for each thing, by kind; ``mark`` those that are rare."""
    missing = set(rare(counts)) if mark else set()
    return [f"{counts[name]:5} {name}{'  (rare)' if name in missing else ''}" for name in sorted(counts)]


def cost(world: World) -> float:
    """About how many processor seconds it takes: lives of runners are what costs, those of the restart included."""
    runs = sum(len(task.runs) for task in world.tasks)
    return 1.0 + 0.8 * world.runners + 0.6 * runs + 0.6 * len(world.host) + 0.2 * len(world.faults)


def choose(count: int, seed: int, among: int = CHOSEN_FROM) -> list[int]:
    """The numbers of ``count`` worlds of ``seed`` that have as much as possible in them, for little time.

    Greedy: the next one is the world that adds most for its cost. A thing that has been chosen n times adds
    1/4ⁿ as much as a new one, so that a second and third time count, too, once all are there.
    """
    worlds = {number: draw(seed, number) for number in range(among)}
    wanted = set(declared())
    seen: Counter[str] = Counter()
    chosen: list[int] = []

    def gain(number: int) -> float:
        world = worlds[number]
        return sum(0.25 ** seen[name] for name in world.ingredients() & wanted) / cost(world)

    while worlds and len(chosen) < count:
        best = max(worlds, key=gain)  # the lowest number of equals
        seen.update(worlds.pop(best).ingredients() & wanted)
        chosen.append(best)
    return sorted(chosen)


def covered(worlds: Sequence[World]) -> tuple[float, list[str]]:
    """Which part of all that is declared the worlds have in them, and what they lack."""
    names = declared()
    there = {name for world in worlds for name in world.ingredients()}
    lacking = [name for name in names if name not in there]
    return 1 - len(lacking) / len(names), lacking
