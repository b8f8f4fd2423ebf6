"""Serving whoever connects: requests that never end, and more connections than there are descriptors, stop nobody.

uvicorn waits without end for the rest of a request, and takes connections until the process has no descriptor left.
Then asyncio logs a traceback for every attempt, thousands in a second (cpython's _accept_connection goes on after
EMFILE). So here a request has a time to arrive in, and beyond a number of connections one that waits for its client
has to go: never one that reads the answer to its request, which is where honest clients and live pages are.
"""

from __future__ import annotations

import logging
import resource
import time
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

HEAD_SECONDS = 15.0
"""From the connection, or the first byte of a next request, to the end of its headers."""
BODY_SECONDS = 60.0
UNREAD_SECONDS = 60.0
"""How long a client may leave an answer unread, or have asked for more before it has one."""
SECONDS = {"head": HEAD_SECONDS, "body": BODY_SECONDS, "unread": UNREAD_SECONDS}
ACCEPTED_AT_ONCE = 128
"""Connections that asyncio may take before it looks at the first of them."""
RESERVED = 256
"""Descriptors for everything else: database, programs that are started, threads' pipes."""
MOST = 4096
LOGGED = 5
LOGGED_WITHIN = 60.0


def most_connections() -> int:
    """How many connections leave descriptors for everything else."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST
    return max(16, min(MOST, soft - RESERVED - ACCEPTED_AT_ONCE))


class PatientProtocol(H11Protocol):
    """One connection of a server; the others are in ``self.connections``, as uvicorn keeps them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limit = most_connections()
        self.phase = ""
        """What is being waited for: the ``head`` or ``body`` of a request, that an answer is read (``unread``), the ``next``
        request, or "" (nothing)."""
        self.since = self.loop.time()
        self.deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look()
        if len(self.connections) > self.limit:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._enter("")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._look()

    def _look(self) -> None:
        """See what the client owes us now, and give it its time."""
        if self.transport.is_closing():
            self._enter("")
        elif self.cycle is not None and self.cycle.more_body:
            self._enter("body")  # answered already or not
        elif self.cycle is not None and not self.cycle.response_complete:
            # Browsers and our own client never send a request before the answer to their last.
            unread = self.flow.write_paused or self.conn.trailing_data[0]
            self._enter("unread" if unread else "")
        elif self.cycle is None or self.conn.trailing_data[0]:
            self._enter("head")
        else:
            self._enter("next")  # uvicorn's own timer ends it

    def _enter(self, phase: str) -> None:
        if phase == self.phase:
            return
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None
        self.phase, self.since = phase, self.loop.time()
        if phase in SECONDS:
            self.deadline = self.loop.call_later(SECONDS[phase], self.drop)

    def drop(self) -> None:
        """End the connection; its place is free at once."""
        self.connections.discard(self)
        self._enter("")
        self.transport.abort()

    def _make_room(self) -> None:
        """Drop who keeps us waiting longest: half-sent requests and unread answers first, then idle ones, else the newest."""
        waiting = [it for it in self.connections if isinstance(it, PatientProtocol) and it.phase]
        half = [it for it in waiting if it.phase != "next"]
        # The newcomer is one of them, and goes only where nobody else can.
        oldest = min(half if len(half) > 1 else waiting, key=lambda it: it.since)
        self.logger.warning("%d connections: one that waits for its client is dropped", self.limit)
        oldest.drop()


class Rarely(logging.Filter):
    """Lets five messages of a kind through in a minute; the next one that may says how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind, now = str(record.msg)[:60], time.monotonic()
        began, count = self._seen.get(kind, (now, 0))
        if now - began > LOGGED_WITHIN:
            if count > LOGGED:
                record.msg = f"{record.msg} ({count - LOGGED} such messages were left out before)"
            began, count = now, 0
        if len(self._seen) > 1000:
            self._seen.clear()
        self._seen[kind] = (began, count + 1)
        return count < LOGGED


def log_rarely() -> None:
    """Bound what uvicorn and asyncio write; after uvicorn has set up its log."""
    for name in ("uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        if not any(isinstance(it, Rarely) for it in logger.filters):
            logger.addFilter(Rarely())
