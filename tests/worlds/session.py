"""One call of `./inv worlds`: plays worlds, makes what does not hold small, and says what happened."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from tests.worlds.coverage import OFTEN, happened, rare, table
from tests.worlds.engine import Pool, TimeUp
from tests.worlds.shrink import Shrinking, size
from tests.worlds.telling import FOUND, as_script, as_test, in_words, plain, problems_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.worlds.play import Outcome
    from tests.worlds.world import World

TRIES = 4
"""So often a world that did not hold is played again before it is said to be flaky."""

OUT_OF = 500
"""So many worlds it takes before something is rare."""


class Progress:
    """One line that changes, on a terminal; nothing elsewhere."""

    def __init__(self) -> None:
        self.is_shown = sys.stdout.isatty()

    def show(self, text: str) -> None:
        if self.is_shown:
            print(f"\r\x1b[K{plain(text)[: self.width() - 1]}", end="", flush=True)

    def clear(self) -> None:
        if self.is_shown:
            print("\r\x1b[K", end="", flush=True)

    def line(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        print(text, flush=True)

    @staticmethod
    def width() -> int:
        try:
            return os.get_terminal_size().columns or 80
        except OSError:
            return 80


@dataclass
class Small:
    """What became of making a world small: ``world`` fails as ``outcome`` did, in ``failed`` of ``tries`` more tries."""

    outcome: Outcome
    world: World
    problems: list[str]
    failed: int
    tries: int
    plays: int = 0
    is_complete: bool = False
    """Nothing more can be left out; False where the time was over before."""

    @property
    def is_flaky(self) -> bool:
        return not self.failed


@dataclass
class Session:
    """``seed`` is None where the worlds were given."""

    seed: int | None
    count: int
    began: float = field(default_factory=time.monotonic)
    outcomes: list[Outcome] = field(default_factory=list)
    small: list[Small] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if not outcome.ok]

    # -- playing

    def play(self, pool: Pool, worlds: Iterable[World]) -> None:
        self.show()
        for outcome in pool.play(worlds):
            self.outcomes.append(outcome)
            if not outcome.ok:
                self.progress.line(f"FAIL {outcome.world.name} ({outcome.seconds:.1f} s)")
                for problem in problems_of(outcome.problems):
                    self.progress.line(f"     {problem}")
            self.show()
        self.progress.clear()

    def show(self) -> None:
        failed = [outcome.world.name for outcome in self.failed]
        names = f": {' '.join(failed)}" if failed else ""
        self.progress.show(f"{len(self.outcomes)}/{self.count} worlds, {len(failed)} do not hold{names}")

    def make_small(self, pool: Pool, seconds: float) -> None:
        """Make small the first world to which each invariant objected, each in so many seconds."""
        seen: set[str] = set()
        for outcome in self.failed:
            kind = first_kind(outcome)
            if kind not in seen:
                seen.add(kind)
                small = Small(outcome, outcome.world, outcome.problems, 0, 0)
                self.small.append(small)
                try:
                    Smaller(pool, small, time.monotonic() + seconds, self.progress).run()
                except TimeUp:
                    pass
        self.progress.clear()

    # -- saying

    def print(self, *, interrupted: bool) -> None:
        counts = happened(self.outcomes)
        if self.count > 1:
            for line in table(counts, mark=len(self.outcomes) >= OUT_OF):
                print(line)
        for small in self.small:
            print("\n".join(["", *told(small), ""]))
        missing = rare(counts)
        if len(self.outcomes) >= OUT_OF and missing:
            print(f"happened in fewer than {OFTEN} worlds: {', '.join(missing)}")
        names = " ".join(outcome.world.name for outcome in self.failed)
        seeded = "" if self.seed is None else f"seed {self.seed}: "
        ended = f" (interrupted, of {self.count})" if interrupted else ""
        took = time.monotonic() - self.began
        verdict = f"{len(self.failed)} do not hold: {names}" if names else "all hold"
        print(f"{seeded}{counted(len(self.outcomes), 'world')}{ended}, {verdict}; {took:.0f} s", flush=True)

    def report(self, *, interrupted: bool) -> dict[str, Any]:
        counts = happened(self.outcomes)
        return {
            "seed": self.seed,
            "worlds": self.count,
            "played": [outcome.world.name for outcome in self.outcomes],
            "interrupted": interrupted,
            "seconds": round(time.monotonic() - self.began, 1),
            "failed": [
                {
                    "name": outcome.world.name,
                    "problems": outcome.problems,
                    "seconds": round(outcome.seconds, 1),
                    "codes": outcome.codes,
                    "world": msgspec.to_builtins(outcome.world),
                    "told": outcome.told,
                }
                for outcome in self.failed
            ],
            "smallest": [
                {
                    "of": small.outcome.world.name,
                    "world": msgspec.to_builtins(small.world),
                    "problems": small.problems,
                    "failed_again": small.failed,
                    "tries": small.tries,
                    "plays": small.plays,
                    "complete": small.is_complete,
                }
                for small in self.small
            ],
            "happened": dict(sorted(counts.items())),
            "rare": rare(counts),
        }


class Smaller:
    """Makes one world small by playing smaller ones; ``small`` always has the smallest so far."""

    def __init__(self, pool: Pool, small: Small, deadline: float, progress: Progress) -> None:
        self.pool, self.small, self.deadline, self.progress = pool, small, deadline, progress
        self.kind = first_kind(small.outcome)

    def run(self) -> None:
        """TimeUp at the deadline."""
        small = self.small
        while small.tries < TRIES and not small.failed:
            for outcome in self.play([small.outcome.world] * self.pool.jobs):
                small.tries += 1
                small.failed += self.kind in outcome.kinds
        if small.failed:
            Shrinking(small.world, self.first_failing, at_once=self.pool.jobs).run()
            small.is_complete = True

    def first_failing(self, worlds: Sequence[World]) -> World | None:
        """The first of the worlds to which the same invariant objects."""
        failing = [outcome for outcome in self.play(worlds) if self.kind in outcome.kinds]
        if not failing:
            return None
        first = min(failing, key=lambda outcome: worlds.index(outcome.world))
        self.small.world, self.small.problems = first.world, first.problems
        return first.world

    def play(self, worlds: Sequence[World]) -> list[Outcome]:
        if time.monotonic() >= self.deadline:
            raise TimeUp
        small, left = self.small, self.deadline - time.monotonic()
        sizes = f"{size(small.outcome.world)} things, now {size(small.world)}"
        self.progress.show(f"making {small.outcome.world.name} smaller: {sizes}; {left:.0f} s left")
        small.plays += len(worlds)
        return list(self.pool.play(worlds, until=self.deadline))


def first_kind(outcome: Outcome) -> str:
    """The name of the invariant that objected first."""
    return outcome.problems[0].partition(":")[0]


def counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def told(small: Small) -> list[str]:
    """What a person is told of a world that does not hold."""
    name = small.outcome.world.name
    if not small.tries:
        head = [f"World {name} does not hold:"]
    elif small.is_flaky:
        head = [f"World {name} is flaky: it failed in 1 of {small.tries + 1} times:"]
    else:
        how = "nothing can be left out" if small.is_complete else "the time was over"
        again = (
            "" if small.failed == small.tries else f", flaky: failed in {small.failed} of {small.tries} more"
        )
        things = f"{counted(size(small.world), 'thing')} of {size(small.outcome.world)}"
        head = [f"The smallest world found that fails as {name} does ({things}, {how}{again}):"]
    return [
        *head,
        *(f"  {line}" for line in in_words(small.world)),
        *(f"  -> {problem}" for problem in problems_of(small.problems)),
        "",
        "Play it again:",
        as_script(small.world),
        "",
        f"A test to paste into {FOUND} once it is mended:",
        as_test(small.world, small.problems),
    ]
