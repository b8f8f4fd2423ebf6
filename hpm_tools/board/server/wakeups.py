"""Waking those who wait for a task: coroutines on the server's loop, told by worker threads."""

from __future__ import annotations

import asyncio


class Wakeups:
    """Take ``next()`` *before* looking: a change during the look then ends the wait at once."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = asyncio.Event()
        self.closed = False

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def next(self) -> asyncio.Event:
        """The event set by the next change. Call on the loop."""
        return self._event

    def announce(self) -> None:
        """Something may be offered that was not before. Call from any thread, after the commit."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._fire)

    def close(self) -> None:
        """Nobody waits any more: the server is ending."""
        self.closed = True
        self.announce()

    def _fire(self) -> None:
        self._event.set()
        if not self.closed:
            self._event = asyncio.Event()
