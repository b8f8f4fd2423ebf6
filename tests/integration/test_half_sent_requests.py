"""More half-sent requests than a server has descriptors, from nobody in particular: it goes on answering."""

from __future__ import annotations

import http.client
import resource
import socket
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.runners import Desk, Running

MANY = 1200
FEW_DESCRIPTORS = 1024
"""What a login shell and systemd give a program."""
HALVES = {
    "no end of headers": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    "nothing at all": b"",
    "no end of a body": b"POST /api/v1/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n{",
    "idle after an answer": b"GET /static/icon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n",
}
SMALL_LOG = 100_000


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """Enough for us, and for the servers (which inherit them at their start) no more than usual."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limits[1] != resource.RLIM_INFINITY and limits[1] < 2 * MANY:
        pytest.skip(f"NOT TESTED, this user may open no more than {limits[1]} files")
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@contextmanager
def serving(desk: Desk, what: str) -> Iterator[tuple[Running, str]]:
    words = ["pm.serve", "--db", desk.directory / "served.sqlite"] if what == "board" else ["dashboard"]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_DESCRIPTORS, hard))
    desk.real = True
    with desk.start(*words, "--port", 0, PYTHONUNBUFFERED="1") as running:
        resource.setrlimit(resource.RLIMIT_NOFILE, (2 * MANY, hard))
        lines = wait_until(
            lambda: [line for line in running.output().splitlines() if line.startswith("http")],
            what="the URL",
        )
        yield running, lines[0]


def connect(url: str) -> socket.socket:
    place = urlsplit(url)
    return socket.create_connection(("127.0.0.1", place.port), timeout=600)


def answers(url: str) -> int:
    """The status of an honest request, within what an operator would wait; 0 if none came."""
    place = urlsplit(url)
    try:
        # Not by name: the page's own one below localhost is known to browsers, not to every resolver.
        with closing(http.client.HTTPConnection("127.0.0.1", place.port, timeout=60)) as connection:
            path = "/health" if place.path in ("", "/health") else "/static/icon.svg"
            connection.request("GET", path, headers={"Host": place.netloc})
            return connection.getresponse().status
    except OSError:
        return 0


@pytest.mark.fault("F5")
@pytest.mark.parametrize(
    ("what", "half"),
    [
        ("board", "no end of headers"),
        ("page", "no end of headers"),
        pytest.param("board", "nothing at all", marks=pytest.mark.extended),
        pytest.param("page", "no end of a body", marks=pytest.mark.extended),
    ],
)
def test_a_server_answers_among_half_sent_requests(desk: Desk, what: str, half: str) -> None:
    with serving(desk, what) as (running, url), ExitStack() as kept:
        for _ in range(MANY):
            one = kept.enter_context(connect(url))
            try:
                one.sendall(HALVES[half])
            except OSError:  # dropped at once
                continue
        status = answers(url)
        assert (status, len(running.output()) < SMALL_LOG) == (200, True)


@pytest.mark.extended
@pytest.mark.fault("F5")
@pytest.mark.parametrize("what", ["board", "page"])
def test_a_server_answers_among_idle_connections(desk: Desk, what: str) -> None:
    """Each had its answer, 404 or not, and keeps the connection."""
    with serving(desk, what) as (running, url), ExitStack() as kept:
        for _ in range(MANY):
            one = kept.enter_context(connect(url))
            one.settimeout(5 if len(running.output()) else 60)
            try:
                one.sendall(HALVES["idle after an answer"])
                one.recv(10)
            except OSError:
                break
        status = answers(url)
        assert (status, len(running.output()) < SMALL_LOG) == (200, True)


@pytest.mark.fault("F5")
@pytest.mark.parametrize("what", ["board", "page"])
def test_a_request_that_does_not_arrive_is_ended(desk: Desk, what: str) -> None:
    """By the server, however few there are, though a byte comes now and then."""
    with serving(desk, what) as (_, url), connect(url) as one:
        one.sendall(HALVES["no end of headers"])
        one.settimeout(1)
        ended = False
        for _ in range(60):
            try:
                one.sendall(b"x")
                ended = one.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
            if ended:
                break
        assert ended
