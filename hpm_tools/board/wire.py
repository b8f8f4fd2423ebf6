"""HTTP connections that keep one deadline for a whole exchange, whatever the other side does.

A read timeout limits each wait for bytes, not their sum: a server that sends one byte every few seconds,
in its headers or in its body, would hold a client for hours. Here every wait on the socket is armed with
what is left of the exchange.
"""

from __future__ import annotations

import http.client
import io
import select
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from typing_extensions import Buffer


class BrokenOff(Exception):
    """The call was no longer wanted while it waited; the board may have carried it out."""


class _Exchange(threading.local):
    """The deadline (monotonic) of this thread's exchange, the longest single wait in seconds, and what breaks one off."""

    deadline = float("inf")
    longest_wait = 60.0
    unwanted: int | None = None
    asked: Callable[[], bool]


_exchange = _Exchange()


@contextmanager
def exchange(seconds: float, longest_wait: float) -> Iterator[None]:
    """Give the requests this thread makes inside the block ``seconds`` altogether."""
    _exchange.deadline = time.monotonic() + seconds
    _exchange.longest_wait = longest_wait
    try:
        yield
    finally:
        _exchange.deadline = float("inf")


@contextmanager
def breakable(unwanted: int | None, asked: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Let BrokenOff end this thread's waits for the board as soon as the descriptor ``unwanted`` is readable.

    Not those for a name or a connection, which have a limit of their own. ``asked`` is called then; if it
    returns False, having read from the descriptor what meant something else, the wait goes on.
    """
    _exchange.unwanted, _exchange.asked = unwanted, asked
    try:
        yield
    finally:
        _exchange.unwanted = None


def pause(seconds: float) -> None:
    """Sleep between two exchanges; breakable."""
    if _exchange.unwanted is None:
        time.sleep(seconds)
    else:
        _wait(_exchange.unwanted, None, seconds)


def _await_bytes(sock: socket.socket) -> None:
    """Inside ``breakable``, wait until ``sock`` can be read; TimeoutError when its time is over, or BrokenOff."""
    pending = getattr(sock, "pending", None)
    if _exchange.unwanted is None or (pending is not None and pending()):
        return  # TLS has decrypted bytes ready that the descriptor shows no more
    if not _wait(_exchange.unwanted, sock, sock.gettimeout() or 0.0):
        raise TimeoutError("timed out")
    _arm(sock)  # TLS may wait once more, for the rest of its record


def _wait(unwanted: int, sock: socket.socket | None, seconds: float) -> bool:
    """Whether ``sock`` can be read within ``seconds``; BrokenOff if that is no longer wanted."""
    poll = select.poll()
    poll.register(unwanted, select.POLLIN)
    if sock is not None:
        poll.register(sock, select.POLLIN)
    until = time.monotonic() + seconds
    while True:
        left = max(0.0, until - time.monotonic())
        ready = {descriptor for descriptor, _event in poll.poll(left * 1000)}
        if unwanted in ready and _exchange.asked():
            raise BrokenOff
        if ready - {unwanted}:
            return True
        if left <= 0:
            return False


def _arm(sock: socket.socket) -> None:
    left = _exchange.deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time for the whole exchange is over")
    sock.settimeout(min(left, _exchange.longest_wait))


class _ArmedReader(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int | None:
        _arm(self._sock)
        _await_bytes(self._sock)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_ArmedReader(raw, sock))


class _Connection(HTTPConnection):
    response_class = _Response

    def send(self, data: Any) -> None:
        if self.sock is not None:
            _arm(self.sock)
        super().send(data)


class _SecureConnection(HTTPSConnection):
    response_class = _Response

    def send(self, data: Any) -> None:
        if self.sock is not None:
            _arm(self.sock)
        super().send(data)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class DeadlineAdapter(HTTPAdapter):
    """A requests adapter whose connections obey `exchange`."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
