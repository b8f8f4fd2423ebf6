"""Clients that ask and ask, and read no answer, keep all of a server's places: it goes on answering others."""

from __future__ import annotations

import http.client
import resource
import socket
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.repos import make_repo
from tests.support.runners import Desk
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

FEW_DESCRIPTORS = 448
"""Leaves a server 64 connections."""
CLIENTS = 480
REQUESTS = 3000


@pytest.mark.fault("F5")
def test_the_board_answers_among_clients_that_read_no_answer(
    tmp_path: Path, exact_board: BoardUnderTest
) -> None:
    answers_among_clients_that_do_not_read(
        tmp_path, exact_board, ["pm.serve", "--db", "served.sqlite"], "/health"
    )


@pytest.mark.extended
def test_the_page_answers_among_clients_that_read_no_answer(
    tmp_path: Path, exact_board: BoardUnderTest
) -> None:
    answers_among_clients_that_do_not_read(tmp_path, exact_board, ["dashboard"], "/static/dashboard.css")


def answers_among_clients_that_do_not_read(
    tmp_path: Path, exact_board: BoardUnderTest, command: list[str], path: str
) -> None:
    desk = Desk(tmp_path / "desk", exact_board, make_repo(tmp_path / "repo").root)
    desk.real = True
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_DESCRIPTORS, limits[1]))
    with desk.start(*command, "--port", 0) as running, ExitStack() as kept:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        lines = wait_until(
            lambda: [line for line in running.output().splitlines() if line.startswith("http")]
        )
        url = urlsplit(lines[0])
        asking = f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode() * REQUESTS
        for _ in range(CLIENTS):
            one = kept.enter_context(socket.create_connection(("127.0.0.1", url.port or 0), timeout=600))
            one.setblocking(False)
            try:
                one.send(asking)
            except OSError:  # dropped at once
                continue
        with closing(http.client.HTTPConnection("127.0.0.1", url.port, timeout=60)) as honest:
            try:
                honest.request("GET", path, headers={"Host": url.netloc})
                answer = str(honest.getresponse().status)
            except OSError as error:
                answer = repr(error)
        assert answer == "200"
