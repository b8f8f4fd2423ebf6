"""A world as data: what is drawn from a seed, written as JSON, made smaller part by part, and played."""

from __future__ import annotations

from typing import Any

import msgspec


class Choice(msgspec.Struct, frozen=True, array_like=True):
    """One thing of a register, and the facts that were drawn for it."""

    name: str
    facts: dict[str, Any] = {}


class Event(msgspec.Struct, frozen=True, array_like=True):
    """A person's act or a fault, and when it happens.

    ``when``: ``before`` (all runners), ``meet N`` (while an agent stands at its act ``meet N``), ``point NAME#N``
    (while runner ``runner`` stands at that failpoint for the N-th time), ``between`` (before the restart).
    """

    when: str
    what: Choice
    runner: int = 0


class Run(msgspec.Struct, frozen=True):
    """What the agent does in one run, and what it says of it in the end."""

    acts: tuple[Choice, ...] = ()
    outcome: Choice = Choice("done")


class Task(msgspec.Struct, frozen=True):
    """``kind``: major, minor, or review (in dev_done, for qa). The last of ``runs`` repeats."""

    kind: str = "major"
    runs: tuple[Run, ...] = (Run(),)
    branch: str = "main"


class World(msgspec.Struct, frozen=True):
    """``board``: exact or upstream. ``runners`` are at work at the same time, on one host.

    ``lasting``: they go on until nothing is left to do, instead of ending after one task each.
    """

    name: str
    board: str = "exact"
    runners: int = 1
    lasting: bool = False
    repository: tuple[Choice, ...] = ()
    host: tuple[Choice, ...] = ()
    tasks: tuple[Task, ...] = ()
    person: tuple[Event, ...] = ()
    faults: tuple[Event, ...] = ()

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str) -> World:
        """msgspec.ValidationError for what is no world."""
        return msgspec.json.decode(text, type=cls)

    def ingredients(self) -> set[str]:
        """The names of all that is in it, each behind its kind: ``act edit``, ``fault kill_runner``."""
        return {
            *(f"repository {choice.name}" for choice in self.repository),
            *(f"host {choice.name}" for choice in self.host),
            *(f"person {event.what.name}" for event in self.person),
            *(f"fault {event.what.name}" for event in self.faults),
            *(f"task {task.kind}" for task in self.tasks),
            *(f"act {act.name}" for task in self.tasks for run in task.runs for act in run.acts),
            *(f"outcome {run.outcome.name}" for task in self.tasks for run in task.runs),
            *([f"runners {self.runners}"] if self.runners > 1 else []),
            *(["lasting"] if self.lasting else []),
        }
