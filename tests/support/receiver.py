"""A service on loopback through which people are told: apprise's json:// URLs lead to it."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, Self

from tests.support.fault_server import KEEP, FaultServer, answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.fault_server import Act, Request

SLOW = "slow"
ENDLESS = "endless"
LONGEST = 120.0


class Receiver:
    """``behaviour``: the status that it answers, SLOW (no answer at all) or ENDLESS (an answer drop by drop)."""

    def __init__(self, behaviour: int | str = 200) -> None:
        self.behaviour = behaviour
        self._server = FaultServer(self._behave)

    @property
    def url(self) -> str:
        """What stands in notify.urls."""
        return f"json://127.0.0.1:{self._server.port}"

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What arrived, oldest first."""
        return [request.json for request in self._server.requests]

    @property
    def text(self) -> str:
        """All titles and bodies."""
        return "\n".join(f"{message['title']}\n{message['message']}" for message in self.messages)

    def _behave(self, _request: Request) -> Iterable[bytes | float | Act]:
        if self.behaviour == SLOW:
            return [LONGEST]
        if self.behaviour == ENDLESS:
            return drops()
        return [answer(b"", status=int(self.behaviour)), KEEP]

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.__exit__()


def drops() -> Iterator[bytes | float]:
    yield b"HTTP/1.1 200 OK\r\n\r\n"
    for drop in repeat(b"."):
        yield drop
        yield 0.2
