"""Waking those who wait for a task: coroutines on the server's loop, told by worker threads.

Of those who want the same only the first is woken: were fifty agents all told of each task, the board would look
fifty times, and all of them would then ask for the one task.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Want = tuple[str, str]
"""The role and level for which a task is wanted."""
Told = tuple[int, datetime]
"""A task's id and when it was created: in a database that was emptied another task may get the id."""


class Wakeups:
    """Stand in line *before* looking, and clear your turn before each look: a change meanwhile sets it again."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lines: dict[Want, list[asyncio.Event]] = {}
        self._told: dict[Told, float] = {}
        self.closed = False

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    @contextmanager
    def line(self, want: Want) -> Iterator[asyncio.Event]:
        """A place at the end of the line; the event says that it is time to look. Enter it on the loop.

        Whoever leaves with a turn that was not used hands it on.
        """
        turn = asyncio.Event()
        line = self._lines.setdefault(want, [])
        line.append(turn)
        try:
            yield turn
        finally:
            line.remove(turn)
            if turn.is_set():
                self._wake([line])
            if not line:
                self._lines.pop(want, None)

    def announce(self) -> None:
        """Something may be offered that was not before. Call from any thread, after the commit."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._fire)

    def tell(self, task: Told, seconds: float) -> None:
        """Somebody was told of the task; in so many seconds the next will be, should it be left. Call on the loop."""
        loop = asyncio.get_running_loop()
        self._told[task] = loop.time() + seconds
        loop.call_later(seconds, self._fire)

    def told(self) -> frozenset[Told]:
        """The tasks that somebody was told of just now. Call on the loop."""
        now = asyncio.get_running_loop().time()
        self._told = {task: until for task, until in self._told.items() if until > now}
        return frozenset(self._told)

    def close(self) -> None:
        """Nobody waits any more: the server is ending."""
        self.closed = True
        self.announce()

    def _fire(self) -> None:
        self._wake(self._lines.values())

    def _wake(self, lines: Iterable[list[asyncio.Event]]) -> None:
        for line in lines:
            for turn in line:
                if not turn.is_set():
                    turn.set()
                    if not self.closed:
                        break
