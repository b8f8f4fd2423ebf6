"""HTTP connections that keep one deadline for a whole exchange, whatever the other side does.

A read timeout limits each wait for bytes, not their sum: a server that sends one byte every few seconds,
in its headers or in its body, would hold a client for hours. Here every wait on the socket is armed with
what is left of the exchange.
"""

from __future__ import annotations

import http.client
import io
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from typing_extensions import Buffer


class _Exchange(threading.local):
    """The deadline (monotonic) of this thread's exchange, and the longest single wait in seconds."""

    deadline = float("inf")
    longest_wait = 60.0


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
