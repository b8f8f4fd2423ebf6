"""Plays many worlds, on a board for each worker, and reports what happened in them."""

from __future__ import annotations

import argparse
import queue
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.campaign.bench import make_template
from tests.campaign.engine import isolate
from tests.campaign.soak import Board
from tests.worlds.draw import draw
from tests.worlds.play import Outcome, play
from tests.worlds.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Worlds:
    """A place for boards and worlds."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._boards: dict[str, Board] = {}
        self._template = make_template(directory / "template")
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for board in self._boards.values():
            board.end()

    def play(self, world: World, package: Path | None = None, *, keep: bool = False) -> Outcome:
        """Play the world on the board of its kind."""
        self._number += 1
        board = self._boards.get(world.board)
        if board is None:
            place = self.directory / f"board-{world.board}"
            place.mkdir()
            board = self._boards[world.board] = Board(place, upstream=world.board == "upstream")
        elif not board.under_test.alive:
            board.begin()
        place = self.directory / f"world-{self._number}"
        return play(world, board, place, self._template, package, keep=keep)


def play_all(
    worlds: Iterable[World], directory: Path, jobs: int, package: Path | None = None
) -> list[Outcome]:
    """Play the worlds on ``jobs`` threads."""
    waiting: queue.SimpleQueue[World] = queue.SimpleQueue()
    for world in worlds:
        waiting.put(world)
    outcomes: list[Outcome] = []

    def work(number: int) -> None:
        place = directory / f"worker-{number}-{time.monotonic_ns()}"
        place.mkdir()
        with Worlds(place) as played:
            while True:
                try:
                    world = waiting.get_nowait()
                except queue.Empty:
                    return
                outcome = played.play(world, package)
                outcomes.append(outcome)
                tell(outcome)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return outcomes


def tell(outcome: Outcome) -> None:
    print(f"{'ok  ' if outcome.ok else 'FAIL'} {outcome.seconds:5.1f} s  {outcome.world.name}", flush=True)
    for problem in outcome.problems:
        print(f"      {problem.encode('ascii', 'backslashreplace').decode()}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="worlds", description=__doc__)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--from", type=int, default=0, dest="first", help="the number of the first world")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--play", help="a file with one world as JSON, or -")
    parser.add_argument("--keep", help="a directory in which what does not hold is kept")
    given = parser.parse_args(argv)
    seed = random.SystemRandom().randrange(1 << 32) if given.seed is None else given.seed
    place = Path(given.keep or tempfile.mkdtemp(prefix="hpm-worlds-")).absolute()
    place.mkdir(exist_ok=True)
    isolate(place)
    began = time.monotonic()
    if given.play:
        text = sys.stdin.read() if given.play == "-" else Path(given.play).read_text(encoding="utf-8")
        worlds = [World.from_json(text)]
    else:
        worlds = [draw(seed, number) for number in range(given.first, given.first + given.count)]
    outcomes = play_all(worlds, place, given.jobs)
    happened: Counter[str] = Counter()
    for outcome in outcomes:
        happened.update(set(outcome.happened))
    failed = [outcome for outcome in outcomes if not outcome.ok]
    for name, count in sorted(happened.items()):
        print(f"{count:5} {name}")
    print(f"seed {seed}: {len(outcomes)} worlds, {len(failed)} do not hold, {time.monotonic() - began:.0f} s")
    if not given.keep:
        shutil.rmtree(place, ignore_errors=True)
    return 1 if failed else 0
