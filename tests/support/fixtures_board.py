"""Fixtures for tests that talk to a real board server.

``board`` runs the test twice, against our board and against ``--upstream``; ``exact_board`` and
``upstream_board`` are the one or the other. They share one process per mode and are wiped before each
test: a test that kills the server, leaves polls running or needs settings uses ``running_board`` itself.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.board_process import running_board

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.board_process import BoardUnderTest

MODES = ("exact", "upstream")

EITHER_BOARD = pytest.mark.parametrize(
    "board_mode", ["exact", pytest.param("upstream", marks=pytest.mark.extended)], indirect=True
)
"""For tests of what no board has a part in: ours will do, and the other one has its turn with the extended tests."""


class Boards:
    """The shared servers, started when first needed and again when one has died."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._open = ExitStack()
        self._running: dict[str, BoardUnderTest] = {}

    def fresh(self, mode: str) -> BoardUnderTest:
        board = self._running.get(mode)
        if board is None or not board.alive:
            place = self._factory.mktemp(f"board-{mode}")
            board = self._open.enter_context(running_board(place, upstream=mode == "upstream"))
            self._running[mode] = board
        board.wipe()
        return board

    def close(self) -> None:
        self._open.close()


@pytest.fixture(scope="session")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boards]:
    shared = Boards(tmp_path_factory)
    yield shared
    shared.close()


@pytest.fixture(params=MODES)
def board_mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def board(boards: Boards, board_mode: str) -> BoardUnderTest:
    return boards.fresh(board_mode)


@pytest.fixture
def exact_board(boards: Boards) -> BoardUnderTest:
    return boards.fresh("exact")


@pytest.fixture
def upstream_board(boards: Boards) -> BoardUnderTest:
    return boards.fresh("upstream")


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine on which nobody listens: it is bound, so that no other process is given it meanwhile.

    A server that the test starts there may take it, with SO_REUSEADDR (socket(7)).
    """
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
