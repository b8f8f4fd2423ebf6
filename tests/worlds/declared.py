"""Registers of what a world can be made of: each thing has a name, a way to draw its facts, and what it does.

A thing is declared where it is written::

    @REPOSITORY.declare(draw=lambda chance: {"path": chance.choice(NAMES)}, rows=("C3",))
    def nested_repository(site: Site, path: str) -> None:
        \"\"\"A repository of its own lies in the checkout.\"\"\"

Its docstring's first line tells people what it is; the facts are JSON, and its keyword arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from random import Random

    from tests.worlds.site import Site
    from tests.worlds.world import Choice

P = ParamSpec("P")
R = TypeVar("R")

MOMENTS = ("before", "meet", "point", "between")
"""When an event can happen (world.py, Event)."""


class Unavailable(Exception):
    """A thing cannot be had here: the machine does not allow it, or what it is about is not there.

    The world is played without it, and the thing is counted as left out.
    """


def nothing(_: Random) -> dict[str, Any]:
    """The facts of a thing that has none."""
    return {}


def nothing_first(_: Site) -> None:
    """What an event needs that needs nothing."""


@dataclass(frozen=True, slots=True)
class Declared(Generic[P, R]):
    """``rows``: the faults of real use that it can lead to. ``unless``: names that it cannot be chosen beside.

    Things of one kind that are done in one go are done by ``stage``, the lowest first.

    ``moments``: when an event may happen. ``prepare`` is called before any runner comes, in worlds that have it.
    """

    name: str
    does: Callable[P, R]
    draw: Callable[[Random], dict[str, Any]]
    rows: tuple[str, ...]
    weight: float
    unless: frozenset[str]
    stage: int
    moments: tuple[str, ...] = MOMENTS
    prepare: Callable[[Site], None] = nothing_first

    @property
    def says(self) -> str:
        """What it is, in a line."""
        return (self.does.__doc__ or "").strip().partition("\n")[0]


class Register(Generic[P, R]):
    """What is declared of one kind (``repository``, ``host``, ``act``, ``outcome``, ``person``, ``fault``), by name.

    ``parts``: registers of that kind whose things belong to it, from modules of their own.
    """

    def __init__(self, kind: str, *parts: Register[P, R]) -> None:
        self.kind = kind
        self.declared: dict[str, Declared[P, R]] = {}
        for part in parts:
            assert not self.declared.keys() & part.declared.keys()
            self.declared |= part.declared

    def declare(
        self,
        *,
        draw: Callable[[Random], dict[str, Any]] = nothing,
        rows: Iterable[str] = (),
        weight: float = 1.0,
        unless: Iterable[str] = (),
        stage: int = 0,
        moments: Iterable[str] = MOMENTS,
        prepare: Callable[[Site], None] = nothing_first,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Enter the function under its name; ``weight`` says how often it is chosen beside the others' 1."""

        def enter(does: Callable[P, R]) -> Callable[P, R]:
            name = does.__name__.strip("_")
            assert name not in self.declared, f"{self.kind} {name} is declared twice"
            self.declared[name] = Declared(
                name, does, draw, tuple(rows), weight, frozenset(unless), stage, tuple(moments), prepare
            )
            return does

        return enter

    def __getitem__(self, name: str) -> Declared[P, R]:
        """KeyError for a name that is not declared: a world of an older generator."""
        return self.declared[name]

    def names(self) -> list[str]:
        return sorted(self.declared)

    def may_stand_beside(self, name: str, others: Collection[str]) -> bool:
        """Whether neither it nor any of the others excludes the other."""
        return not self[name].unless & set(others) and not any(name in self[other].unless for other in others)

    def tell(self, choice: Choice) -> str:
        """``repository submodule: The checkout has a submodule. path=lib``."""
        facts = " ".join(f"{name}={value!r}" for name, value in choice.facts.items())
        return f"{self.kind} {choice.name}: {self[choice.name].says}{f' ({facts})' if facts else ''}"
