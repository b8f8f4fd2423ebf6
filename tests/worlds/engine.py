"""Plays many worlds at the same time, each in a process that has boards of its own.

Processes and not threads, so that one can be told to end in the middle of a world (SIGTERM ends all that it started),
so that one that dies is noticed, and so that what one does to itself (a umask, a limit) concerns nobody else.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Self

from tests.campaign.bench import end_all_below, make_template
from tests.campaign.soak import Board
from tests.support import disks
from tests.worlds.play import Outcome, play

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess
    from pathlib import Path

    from tests.worlds.world import World

LONGEST = 900.0
"""Seconds after which whoever plays one world is killed: nothing in a world waits for so long."""

LONGEST_END = 20.0
"""Seconds in which a worker must have ended all that it started."""


class TimeUp(Exception):
    """There is no more time to play."""


class Worlds:
    """A place for boards and worlds, in this process."""

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
        """Play the world on the board of its kind; its directory stays where it does not hold, or with ``keep``."""
        self._number += 1
        board = self._boards.get(world.board)
        if board is None:
            place = self.directory / f"board-{world.board}"
            place.mkdir()
            board = self._boards[world.board] = Board(place, upstream=world.board == "upstream")
        elif not board.under_test.alive:
            board.begin()
        place = self.directory / f"world-{self._number}"
        outcome = play(world, board, place, self._template, package, keep=keep)
        if place.exists():
            (place / "world.json").write_text(world.to_json(), encoding="utf-8")
            said = "\n".join([*outcome.problems, outcome.told])
            (place / "told.txt").write_text(said, encoding="utf-8", errors="surrogateescape")
        return outcome


def work(connection: Connection, directory: Path, package: Path | None, keep: bool) -> None:
    """What a worker does: plays what it is sent, until nothing comes any more."""
    os.setsid()  # the terminal's ^C is for its starter, which then sends SIGTERM

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, lambda *_: None)  # a second one must not stop the tidying up
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    with Worlds(directory) as worlds, suppress(EOFError, BrokenPipeError):
        while True:
            connection.send(worlds.play(connection.recv(), package, keep=keep))


class Worker:
    """A process that plays, and the world that it plays now."""

    def __init__(self, directory: Path, package: Path | None, keep: bool) -> None:
        self.directory = directory
        self.world: World | None = None
        self.began = 0.0
        directory.mkdir()
        # Spawned: a fork would have this process's connections to fork servers and to the other workers.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=work, args=(theirs, directory, package, keep))
        self.process.start()
        theirs.close()

    def begin(self, world: World) -> None:
        self.world, self.began = world, time.monotonic()
        with suppress(BrokenPipeError):  # it is dead, which is seen where its answer is waited for
            self.connection.send(world)

    def outcome(self) -> Outcome:
        """What it answers; where it is dead, a world that does not hold."""
        assert self.world is not None
        try:
            answer: Outcome = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.await_end()
            return Outcome(
                self.world,
                [f"harness: the process that played it ended with exit code {self.process.exitcode}"],
                seconds=time.monotonic() - self.began,
            )
        self.world = None
        return answer

    def tell_end(self, *, now: bool) -> None:
        """No more worlds; ``now``: not even the one that it plays."""
        self.connection.close()
        if now:
            self.process.terminate()

    def await_end(self) -> None:
        """Until it has ended all that it started; after a while that is done for it."""
        self.process.join(LONGEST_END)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        # One that ended well has left nothing; and somebody may have a shell in a directory that is kept.
        if self.process.exitcode != 0:
            end_all_below(self.directory)
            disks.unmount_below(self.directory)


class Pool:
    """``jobs`` workers below ``directory``, which are started when there is something to play.

    ``package``: a directory that holds another hpm_tools to run instead of this one. ``keep``: the directories of
    worlds that hold stay, too. Leaving it by an exception ends what is being played.
    """

    def __init__(
        self, directory: Path, jobs: int, package: Path | None = None, *, keep: bool = False
    ) -> None:
        self.directory, self.jobs = directory, jobs
        directory.mkdir(exist_ok=True)
        self._given: tuple[Path | None, bool] = package, keep
        self._workers: list[Worker] = []
        self._started = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end([*self._workers], now=kind is not None)

    def _end(self, workers: Sequence[Worker], *, now: bool) -> None:
        """End these workers; ``now``: in the middle of their worlds."""
        for worker in workers:  # all are told before any is waited for
            self._workers.remove(worker)
            worker.tell_end(now=now)
        for worker in workers:
            worker.await_end()

    def play(self, worlds: Iterable[World], until: float = math.inf) -> Iterator[Outcome]:
        """Play them all; what became of each, as they end. TimeUp at ``until`` (monotonic), and all is ended."""
        waiting = deque(worlds)
        busy: dict[Any, Worker] = {}
        try:
            while waiting or busy:
                while waiting and len(busy) < self.jobs:
                    worker = self._free({*busy.values()})
                    worker.begin(waiting.popleft())
                    busy[worker.connection] = worker
                latest = min(until, *(worker.began + LONGEST for worker in busy.values()))
                for ready in wait([*busy], max(0.0, latest - time.monotonic())):
                    worker = busy.pop(ready)
                    outcome = worker.outcome()
                    if worker.world is not None:  # it died
                        self._workers.remove(worker)
                    yield outcome
                if busy and time.monotonic() >= until:
                    raise TimeUp
                for worker in busy.values():
                    if time.monotonic() - worker.began >= LONGEST:
                        worker.process.kill()
        finally:  # whoever plays what nobody waits for any more
            self._end([worker for worker in busy.values() if worker in self._workers], now=True)

    def _free(self, busy: set[Worker]) -> Worker:
        """A worker that plays nothing, a new one if need be."""
        for worker in self._workers:
            if worker not in busy:
                return worker
        self._started += 1
        worker = Worker(self.directory / f"worker-{self._started}", *self._given)
        self._workers.append(worker)
        return worker
