"""Calls to the board's API that come back typed; no knowledge of what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from hpm_tools import failpoints
from hpm_tools.board import answers, wire
from hpm_tools.board.address import API
from hpm_tools.board.errors import BadAnswer, TooLarge
from hpm_tools.board.sources import VARIABLES, Sources

if TYPE_CHECKING:
    from hpm_tools.board.transport import Answer, Transport

T = TypeVar("T")
Params = Mapping[str, str | int]

GARBLED_PAUSES = (0.2, 0.6)
LONGEST_MEMORY = 1000


class Calls:
    """The API below one transport. ``on_warning`` is told once of each row that had to be left out."""

    def __init__(
        self,
        transport: Transport,
        on_warning: Callable[[str], None],
        during_act: Callable[[str], AbstractContextManager[object]] = nullcontext,
        sources: Sources = VARIABLES,
    ) -> None:
        """``during_act``: entered, with the agent's id, around every write. ``sources``: what hints name."""
        self.sources = sources
        self.during_act = during_act
        self.transport = transport
        self.on_warning = on_warning
        self._warned: set[str] = set()

    def ask(self, method: str, path: str, parse: Callable[[Answer], T], **options: Any) -> T:
        """A call that may be repeated, and is when its answer is none: a proxy's page is often gone soon."""
        with self.sources.named():
            for seconds in GARBLED_PAUSES:
                try:
                    return parse(self._call(method, path, repeatable=True, **options))
                except TooLarge:
                    raise
                except BadAnswer:
                    wire.pause(seconds)
            return parse(self._call(method, path, repeatable=True, **options))

    def get(self, path: str, type_: type[T], **options: Any) -> T:
        return self.ask("GET", path, lambda answer: self.decode(answer, type_), **options)

    def rows(
        self, path: str, type_: type[T], *, params: Params | None = None, wanted: int | None = None
    ) -> list[T]:
        """The listed objects without the invalid ones; BadAnswer if the one with id ``wanted`` is invalid."""

        def parse(answer: Answer) -> list[T]:
            def on_bad(id_: int | None, why: str) -> None:
                if id_ is not None and id_ == wanted:
                    raise BadAnswer(f"{answer.what}: the row with id {wanted} is invalid: {why}")
                row = "a row" if id_ is None else f"the row with id {id_}"
                self._warn(f"{answer.what}: left out {row}: {why}")

            return answers.rows(answer, type_, self.transport.legible, on_bad)

        return self.ask("GET", path, parse, params=params)

    def write(
        self, method: str, path: str, params: Params, json: Mapping[str, Any] | None, type_: type[T]
    ) -> T:
        """A call that is made once; LostAnswer or BadAnswer when it is unknown what came of it."""
        with self.sources.named():
            with self.during_act(str(params.get("agent_id", ""))):
                answer = self._call(method, path, repeatable=False, params=params, json=json)
            return self.decode(answer, type_)

    def decode(self, answer: Answer, type_: type[T]) -> T:
        return answers.decode(answer, type_, self.transport.legible)

    def _call(self, method: str, path: str, *, root: bool = False, **options: Any) -> Answer:
        where = path if root else API + path
        if method == "GET":
            answer = self.transport.call(method, where, **options)
        else:
            with failpoints.around("board"):
                answer = self.transport.call(method, where, **options)
        answers.expect_success(answer, self.transport.legible, keyed=self.transport.has_key)
        return answer

    def _warn(self, message: str) -> None:
        if message not in self._warned and len(self._warned) < LONGEST_MEMORY:
            self._warned.add(message)
            self.on_warning(message)
