"""From an HTTP answer to typed values."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import msgspec
import pytest

from hpm_tools.board import answers
from hpm_tools.board.transport import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator


class Told(Exception):
    """What the signal raises."""


class Row(msgspec.Struct):
    id: int

    def __post_init__(self) -> None:
        if self.id == 1:
            # To this thread: sent to the process, another thread of the test runner would take it.
            signal.raise_signal(signal.SIGHUP)
        READ.append(self.id)


READ: list[int] = []


@pytest.fixture(autouse=True)
def raising() -> Iterator[None]:
    def tell(_number: int, _frame: object) -> None:
        raise Told

    READ.clear()
    before = signal.signal(signal.SIGHUP, tell)
    yield
    signal.signal(signal.SIGHUP, before)


def legible(text: bytes | str) -> str:
    return str(text)


def test_a_signal_waits_until_the_answer_is_read() -> None:
    answer = Answer(200, {}, b'[{"id": 1}, {"id": 2}]', 0.0, "GET /rows")
    with pytest.raises(Told):
        answers.rows(answer, Row, legible, lambda _id, _why: None)
    assert READ == [1, 2]
    with pytest.raises(Told):
        answers.decode(answer, list[Row], legible)
    assert READ == [1, 2, 1, 2]
    assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
