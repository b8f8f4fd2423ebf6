"""The requests sessions that talk to the board, one per thread, and the key they carry."""

from __future__ import annotations

import threading
import time
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING

import requests
from requests.auth import AuthBase

from hpm_tools.board.wire import DeadlineAdapter
from hpm_tools.errors import Misconfigured

if TYPE_CHECKING:
    from requests import PreparedRequest


SHORTEST_SECRET = 6
IDLE_LIMIT = 2.0
"""Servers close kept connections after some seconds (uvicorn: 5); a request sent into that moment is lost."""


class Key(AuthBase):
    """Puts the key on a request. It is kept out of the session's headers, out of reprs, out of messages."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not (value.isascii() and value.isprintable()):
            # requests would quote the value in its own error.
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

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["X-API-Key"] = self._value
        return request

    def __repr__(self) -> str:
        return "<key>"

    def hidden_in(self, text: str) -> str:
        """``text``, perhaps an echo of a request, without the key. The shortest keys are no secrets."""
        return text.replace(self._value, "***") if len(self._value) >= SHORTEST_SECRET else text


class Sessions:
    """A session of kept connections for each thread that asks.

    Nothing of the environment is used: no proxy, no .netrc, no cookies of earlier answers.
    """

    def __init__(self, ca_file: str | None = None, idle_limit: float = IDLE_LIMIT) -> None:
        self._ca_file = ca_file
        self._idle_limit = idle_limit
        self._local = threading.local()
        self._all: list[requests.Session] = []
        self._guard = threading.Lock()

    @property
    def idle(self) -> float:
        """Seconds since this thread last asked for its session."""
        return time.monotonic() - float(getattr(self._local, "asked", time.monotonic()))

    def mine(self) -> requests.Session:
        """This thread's session, its connections dropped if they lay idle."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._new()
            with self._guard:
                self._local.session = session
                self._all.append(session)
        elif self.idle > self._idle_limit:
            session.close()
        self._local.asked = time.monotonic()
        return session

    def close(self) -> None:
        with self._guard:
            sessions, self._all = self._all, []
            self._local = threading.local()
        for session in sessions:
            session.close()

    def _new(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = self._ca_file or True
        session.headers["Accept-Encoding"] = "identity"
        session.headers["Accept"] = "application/json"
        session.headers["User-Agent"] = "hpm-tools"
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            session.mount(scheme, DeadlineAdapter(max_retries=0))
        return session
