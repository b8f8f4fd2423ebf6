"""What a scenario is: a task, commands, a fault somewhere in them, and what must be true when all is over."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.campaign.bench import DEV, Bench, Done, Fault, single

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.campaign.invariants import Story

BLOCKED = {"status": "blocked", "summary": "no \x1b]0;title\x07database"}
Acts = list[dict[str, Any]]
Words = tuple[object, ...]
WORK: Acts = [{"write": "big.txt"}, {"commit": "Add big"}, {"write": "left.txt"}]

MADE = "pending created"
GIVEN = r"(?: under_work created)"
OWN_BRANCH = "feature/task-{task}"


@dataclass(frozen=True)
class Scenario:
    """``prepare`` makes the task and returns its id; ``play`` runs commands with the fault armed, ``restart`` without.

    ``changelog`` is matched against all statuses of the task, ``status`` against the last; ``holder`` is
    who holds the board's lock in the end. ``codes`` are the exit codes of an undisturbed run, ``restarts``
    those of the restart. ``salvages``: how many salvage refs may be there; ``branches``: beside main.
    """

    name: str
    prepare: Callable[[Bench], int]
    changelog: str
    codes: tuple[int, ...] = (0,)
    restarts: tuple[int, ...] = ()
    role: str = "backend_dev"
    agent: str = DEV
    salvages: tuple[int, int] = (0, 0)
    branches: str = ""
    holder: str | None = None
    prelude: Fault | None = None
    between: Callable[[Bench, int], None] | None = None
    """What happens between the prelude and the disturbed command."""

    lingering: bool = False
    lines: Callable[[Bench, int], list[Words]] | None = None
    """Commands in order: up to the one that is struck, then all of them again."""

    play: Callable[[Bench, Scenario, int, Fault | None], list[Done]] | None = None
    again: Callable[[Bench, Scenario, int], list[Done]] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    """Files in the checkout, uncommitted, that are somebody's and stay as they are."""

    worktrees: int = 0
    check: Callable[[Story], Iterator[str]] | None = None
    """What must be true besides the invariants."""

    def run(self, bench: Bench, task: int, fault: Fault | None) -> list[Done]:
        if self.play is not None:
            return self.play(bench, self, task, fault)
        if self.lines is not None:
            return self.play_lines(bench, task, fault)
        return [bench.command(*single(self.role, self.agent, *self.arguments), fault=fault)]

    def play_lines(self, bench: Bench, task: int, fault: Fault | None) -> list[Done]:
        assert self.lines is not None
        done: list[Done] = []
        for words in self.lines(bench, task):
            struck = fault is not None and fault.command == len(done)
            done.append(bench.command(*words, fault=fault if struck else None))
            if struck:
                break
        return done

    def restart(self, bench: Bench, task: int) -> list[Done]:
        if self.again is not None:
            return self.again(bench, self, task)
        if self.lines is not None:
            return self.play_lines(bench, task, None)
        return [bench.command(*single(self.role, self.agent, *self.arguments))]

    @property
    def restart_codes(self) -> tuple[int, ...]:
        """3: the fault came so late that nothing was left to do."""
        return self.restarts or (*self.codes, 3)


def task(
    bench: Bench,
    *runs: Acts,
    outcomes: Sequence[dict[str, Any]] = (),
    exits: Sequence[int] = (),
    status: str = "created",
    **fields: Any,
) -> int:
    """A task for the campaign's agent, in a title that a terminal must not see as it is."""
    if bench.flag:
        runs = tuple([{"linger": str(bench.flag)}, *acts] for acts in runs)
    script = json.dumps({"runs": runs, "outcomes": outcomes, "exits": exits})
    fields = {"title": "Add \x1b[2Ja gree\u202eting\x07", "complexity": "major", **fields}
    return int(bench.board.add_task(status, description=script, **fields)["id"])


def major(bench: Bench) -> int:
    return task(bench, WORK)
