"""One HTTP call to the board: bounded in time and bytes, repeated only where that is harmless."""

from __future__ import annotations

import http.client
import re
import ssl
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import requests
import urllib3

from hpm_tools import trace
from hpm_tools.board import address
from hpm_tools.board.backoff import Backoff
from hpm_tools.board.errors import BadAnswer, BoardBusy, LostAnswer, TooLarge
from hpm_tools.board.sessions import Key, Sessions
from hpm_tools.board.wire import exchange, pause
from hpm_tools.errors import BoardUnreachable, Misconfigured, Refused
from hpm_tools.meter import Meter

if TYPE_CHECKING:
    from collections.abc import Mapping

ERROR_BODY_LIMIT = 64 << 10
CHUNK = 16 << 10
LEGIBLE = 300
WAIT_MARGIN = 10.0
UNREADABLE = re.compile(r"[\x00-\x20\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


class Answer(NamedTuple):
    """A complete HTTP answer. ``seconds`` is how long this exchange took, retries not counted.

    ``repeated``: the call was made before without an answer, and the board may yet carry that one out.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    what: str
    repeated: bool = False


class _Broken(Exception):
    """An exchange that brought no answer. ``unsent``: the request provably never reached the board."""

    def __init__(self, reason: str, *, unsent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unsent = unsent


class Transport:
    """HTTP to one board. Safe to share between threads: each has its own session of kept connections.

    ``connect``, ``read``: seconds for one wait. ``total``: seconds for one exchange, from connecting to
    the last byte of the answer. ``patience``: seconds for a call with all its repetitions.
    """

    def __init__(
        self,
        url: str,
        key: str | Key | None,
        *,
        connect: float = 5.0,
        read: float = 15.0,
        total: float = 30.0,
        patience: float = 75.0,
        retries: int = 4,
        max_body: int = 32 << 20,
        insecure: bool = False,
        ca_file: str | None = None,
    ) -> None:
        self.url = address.base_url(url, insecure=insecure)
        self.connect = connect
        self.read = read
        self.total = total
        self.patience = patience
        self.retries = retries
        self.max_body = max_body
        self._ca_file = ca_file
        self._key = key if isinstance(key, Key) else Key.of(key)
        self._sessions = Sessions(ca_file)
        self.meter = Meter()

    def __repr__(self) -> str:
        return f"<Transport {self.url}>"

    @property
    def has_key(self) -> bool:
        return self._key is not None

    def variant(self, *, retries: int, patience: float) -> Transport:
        """The same board and meter with connections, and bounds, of its own."""
        other = Transport(
            self.url,
            self._key,
            connect=self.connect,
            read=self.read,
            total=self.total,
            patience=patience,
            retries=retries,
            max_body=self.max_body,
            insecure=True,
            ca_file=self._ca_file,
        )
        other.meter = self.meter
        return other

    def close(self) -> None:
        """Close every kept connection; the transport stays usable."""
        self._sessions.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: Mapping[str, Any] | None = None,
        repeatable: bool,
        with_key: bool = True,
        wait: float = 0.0,
    ) -> Answer:
        """One call, repeated with backoff while that is harmless; returns any answer below 500 but 429.

        ``repeatable``: doing it twice is as good as once. Otherwise it is repeated only when it provably
        was not carried out (no connection, 429), and LostAnswer is raised when that is unknown.
        ``wait``: seconds that the board was asked to hold the answer back.

        Raises BoardUnreachable, BoardBusy, LostAnswer, BadAnswer (too large, undecodable), Refused (TLS), and
        wire.BrokenOff inside wire.breakable.
        """
        what = f"{method} {self.url}{path}"
        give_up = time.monotonic() + self.patience + wait
        policy: Backoff | None = Backoff.of(self.retries)
        repeated = False
        while policy is not None:
            headers: Mapping[str, str] = {}
            try:
                answer = self._exchange(method, path, params=params, json=json, with_key=with_key, wait=wait)
                if trace.heard():
                    trace.tell(f"{what} → {answer.status} in {answer.seconds * 1000:.0f} ms")
                if answer.status < 500 and answer.status != 429:
                    return answer._replace(repeated=repeated)
                headers = answer.headers
                problem = f"answered {answer.status} ({self.legible(answer.body)})"
                unsent, busy = answer.status == 429, answer.status == 429
            except _Broken as broken:
                problem, unsent, busy = broken.reason, broken.unsent, False
                trace.tell(f"{what}: {problem}")
            repeated = repeated or not unsent
            if not (repeatable or unsent):
                raise LostAnswer(f"{what}: {problem}; whether it was carried out is unknown")
            policy = policy.after_failure(method, path)
            if policy is not None:
                seconds = policy.pause(headers)
                if time.monotonic() + seconds >= give_up:
                    break
                pause(seconds)
        hint = "see whether the board runs and HEADLESS_PM_API_URL is right"
        if busy:
            raise BoardBusy(f"{what}: {problem}", "try again later")
        raise BoardUnreachable(f"{what}: {problem}", hint)

    def legible(self, data: bytes | str) -> str:
        """A short line of what the board sent, for a message: no control characters, no key."""
        text = data if isinstance(data, str) else data[:ERROR_BODY_LIMIT].decode("utf-8", "replace")
        if self._key is not None:
            text = self._key.hidden_in(text)
        text = UNREADABLE.sub(" ", text).strip()
        if len(text) > LEGIBLE:
            text = text[: LEGIBLE - 1] + "…"
        return text or "an empty answer"

    def _exchange(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None,
        json: Mapping[str, Any] | None,
        with_key: bool,
        wait: float,
    ) -> Answer:
        what = f"{method} {self.url}{path}"
        read = max(self.read, wait + WAIT_MARGIN) if wait else self.read
        total = max(self.total, wait + WAIT_MARGIN) if wait else self.total
        started = time.monotonic()
        failed = True
        try:
            with (
                exchange(total, read),
                closing(
                    self._sessions.mine().request(
                        method,
                        self.url + path,
                        params=params,
                        json=json,
                        auth=self._key if with_key else None,
                        timeout=(min(self.connect, total), min(read, total)),
                        stream=True,
                        allow_redirects=False,
                    )
                ) as response,
            ):
                body = self._body(response, what)
                failed = response.status_code >= 500
                return Answer(response.status_code, response.headers, body, time.monotonic() - started, what)
        except requests.exceptions.ContentDecodingError:
            raise BadAnswer(f"{what}: the answer is not compressed as it claims to be") from None
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
            OSError,
        ) as error:
            raise self._broken(error, time.monotonic() - started, what) from None
        finally:
            if not wait:
                self.meter.count(time.monotonic() - started, failed=failed)

    def _broken(self, error: Exception, seconds: float, what: str) -> Exception:
        cause = _root(error)
        unsent = isinstance(cause, urllib3.exceptions.ConnectTimeoutError)
        match cause:
            case ssl.SSLCertVerificationError():
                return Refused(
                    f"{what}: the board's certificate is not to be trusted: {self.legible(cause.verify_message)}",
                    "it must be valid for the name in HEADLESS_PM_API_URL; the key was not sent",
                )
            case requests.exceptions.InvalidURL():
                return Misconfigured(f"{what}: this is no usable URL", "set HEADLESS_PM_API_URL")
            case urllib3.exceptions.NameResolutionError():
                return _Broken("its host name cannot be resolved", unsent=True)
            case urllib3.exceptions.NewConnectionError():
                return _Broken(f"no connection ({_words(cause)})", unsent=True)
            case urllib3.exceptions.TimeoutError() | TimeoutError():
                return _Broken(f"no complete answer within {seconds:.1f} s", unsent=unsent)
            case _:
                return _Broken(f"the connection broke ({self.legible(_words(cause))})", unsent=False)

    def _body(self, response: requests.Response, what: str) -> bytes:
        failed = response.status_code >= 300
        limit = ERROR_BODY_LIMIT if failed else self.max_body
        declared = response.headers.get("Content-Length", "")
        if not failed and declared.isdecimal() and len(declared) < 20 and int(declared) > limit:
            raise TooLarge(f"{what}: the answer is larger than {limit >> 20} MiB")
        parts: list[bytes] = []
        size = 0
        for part in response.iter_content(CHUNK):
            parts.append(part)
            size += len(part)
            if size > limit:
                if failed:
                    break
                raise TooLarge(f"{what}: the answer is larger than {limit >> 20} MiB")
        return b"".join(parts)[:limit]


def _root(error: BaseException) -> BaseException:
    """The network's own error inside the wrappers of requests and urllib3."""
    for _ in range(10):
        inner = [
            part for part in (getattr(error, "reason", None), *error.args) if isinstance(part, BaseException)
        ]
        if not inner:
            break
        error = inner[0]
    return error


def _words(error: BaseException) -> str:
    """What the operating system says, without urllib3's objects and errno's number."""
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error).rpartition(": ")[2])
