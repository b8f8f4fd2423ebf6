"""The kept connections to the board, each thread's its own, and the key that goes with the requests."""

from __future__ import annotations

import threading
import time

from urllib3 import PoolManager

from hpm_tools.board import wire
from hpm_tools.errors import Misconfigured

SHORTEST_SECRET = 6
IDLE_LIMIT = 2.0
"""Servers close kept connections after some seconds (uvicorn: 5); a request sent into that moment is lost."""


class Key:
    """The API key. It is kept out of fixed headers, out of reprs, out of messages."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not (value.isascii() and value.isprintable()):
            # http.client would quote the value in its own error.
            raise Misconfigured(
                "the board's API key holds characters that no HTTP header can carry",
                "set HEADLESS_PM_API_KEY to the key alone, without line breaks",
            )
        self._value = value

    @classmethod
    def of(cls, text: str | None) -> Key | None:
        """The key without surrounding white space; None for nothing."""
        stripped = (text or "").strip()
        return cls(stripped) if stripped else None

    def headers(self) -> dict[str, str]:
        return {"X-API-Key": self._value}

    def __repr__(self) -> str:
        return "<key>"

    def hidden_in(self, text: str) -> str:
        """``text``, perhaps an echo of a request, without the key. The shortest keys are no secrets."""
        return text.replace(self._value, "***") if len(self._value) >= SHORTEST_SECRET else text


class Connections:
    """A pool of kept connections for each thread that asks.

    Nothing of the environment is used: no proxy, no .netrc, no cookies of earlier answers. Certificates are
    checked against ``ca_file``, or what the system trusts.
    """

    def __init__(self, ca_file: str | None = None, idle_limit: float = IDLE_LIMIT) -> None:
        self._ca_file = ca_file
        self._idle_limit = idle_limit
        self._local = threading.local()
        self._all: list[PoolManager] = []
        self._guard = threading.Lock()

    @property
    def idle(self) -> float:
        """Seconds since this thread last asked for its pool."""
        return time.monotonic() - float(getattr(self._local, "asked", time.monotonic()))

    def mine(self) -> PoolManager:
        """This thread's pool, its connections dropped if they lay idle."""
        pool: PoolManager | None = getattr(self._local, "pool", None)
        if pool is None:
            pool = self._new()
            with self._guard:
                self._local.pool = pool
                self._all.append(pool)
        elif self.idle > self._idle_limit:
            pool.clear()
        self._local.asked = time.monotonic()
        return pool

    def close(self) -> None:
        with self._guard:
            pools, self._all = self._all, []
            self._local = threading.local()
        for pool in pools:
            pool.clear()

    def _new(self) -> PoolManager:
        pool = PoolManager(
            headers={"Accept-Encoding": "identity", "Accept": "application/json", "User-Agent": "hpm-tools"},
            retries=False,
            ca_certs=self._ca_file,
        )
        pool.pool_classes_by_scheme = wire.POOLS
        return pool
