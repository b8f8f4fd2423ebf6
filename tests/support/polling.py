"""Long polls held open without a thread for each."""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.board_process import BoardUnderTest


class Poll:
    """One GET /tasks/next on a connection of its own, sent and not yet answered."""

    def __init__(self, board: BoardUnderTest, timeout: int, role: str) -> None:
        place = urlsplit(board.url)
        self.socket = socket.create_connection((str(place.hostname), int(place.port or 80)), timeout=600)
        request = (
            f"GET /api/v1/tasks/next?role={role}&level=principal&timeout={timeout} HTTP/1.1\r\n"
            f"Host: {place.netloc}\r\nX-API-Key: {board.key}\r\nConnection: close\r\n\r\n"
        )
        self.socket.sendall(request.encode())

    def answer(self) -> bytes:
        """The body, once it comes."""
        received = b""
        while part := self.socket.recv(65536):
            received += part
        return received.partition(b"\r\n\r\n")[2]


@contextmanager
def hanging_polls(
    board: BoardUnderTest, count: int, *, timeout: int, role: str = "backend_dev"
) -> Iterator[list[Poll]]:
    """``count`` polls that the board has read; leaving the block hangs up on those not yet answered."""
    with ExitStack() as stack:
        polls = [Poll(board, timeout, role) for _ in range(count)]
        for poll in polls:
            stack.enter_context(poll.socket)
        # The server's loop answers this without a thread, and only after it has read what came before: a server
        # that is told to end resets a connection whose request it has not read.
        assert board.call("GET", "//no-such-page").status == 404
        yield polls
