"""One call to a server that does everything a server should not."""

from __future__ import annotations

import contextlib
import email.utils
import gzip
import os
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING

import pytest

from hpm_tools.board import wire
from hpm_tools.board.backoff import Backoff
from hpm_tools.board.client import Board
from hpm_tools.board.errors import BadAnswer, BoardBusy, LostAnswer, Refusal
from hpm_tools.board.sessions import Sessions
from hpm_tools.board.transport import Transport
from hpm_tools.errors import (
    BOARD_UNREACHABLE,
    TRY_LATER,
    BadData,
    BoardUnreachable,
    HpmError,
    Misconfigured,
    NotFound,
    Refused,
)
from tests.support.fault_server import KEEP, RESET, Act, FaultServer, Request, answer
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

KEY = "s3cret-board-key"
HEALTH = {"status": "healthy", "version": "1.0.0"}
GENEROUS = 50.0


def transport(server: FaultServer, **options: float) -> Transport:
    settings = {"connect": 20.0, "read": 20.0, "total": 40.0, "patience": 80.0, "retries": 0} | options
    return Transport(server.url, KEY, **settings)  # type: ignore[arg-type]


def always(*acts: bytes | float | Act) -> Callable[[Request], Iterable[bytes | float | Act]]:
    return lambda _request: acts


def in_turn(*answers: bytes) -> Callable[[Request], Iterable[bytes | float | Act]]:
    """The first request gets the first answer, and so on; the last one stays."""
    return lambda request: [answers[min(request.number, len(answers)) - 1], KEEP]


SELF_SIGNED = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgpVBByUxYrMncqXQ5
qNynalC8EznFZw1nHlbmVAAsIjyhRANCAAQgSjnc7K0JKGbPrwsBucXyDlAqc9pQ
dla1cToZ97MhomMueyqgJjvtgqUqQ5d2lL1xVSkN4H7TfHf+LUuMXaeB
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBmzCCAUCgAwIBAgITHzUTnfvbflVvM3eHRkP18V8ifDAKBggqhkjOPQQDAjAU
MRIwEAYDVQQDDAlsb2NhbGhvc3QwIBcNMjYxMTIzMDYyNTI5WhgPMjEyNjEwMzAw
NjI1MjlaMBQxEjAQBgNVBAMMCWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49
AwEHA0IABCBKOdzsrQkoZs+vCwG5xfIOUCpz2lB2VrVxOhn3syGiYy57KqAmO+2C
pSpDl3aUvXFVKQ3gftN8d/4tS4xdp4GjbzBtMB0GA1UdDgQWBBQYngQyIoZr3jhM
WZfUOZFD6gyxBjAfBgNVHSMEGDAWgBQYngQyIoZr3jhMWZfUOZFD6gyxBjAPBgNV
HRMBAf8EBTADAQH/MBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAKBggqhkjO
PQQDAgNJADBGAiEA1Sgq/jcPSXNHZ+72jeKlxdftlNxmU6jp3iYe6IaZOC4CIQC0
rLCzJTbsION+Am7sGDAjEgjXjyVGtuixu5LJ83B0Qw==
-----END CERTIFICATE-----
"""
"""A certificate for localhost that nobody trusts, made for these tests alone."""


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[tuple[str, list[bytes]]]:
    """An HTTPS server with that certificate: its URL, and what it was sent after the handshake."""
    pem = tmp_path / "server.pem"
    pem.write_text(SELF_SIGNED, encoding="ascii")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    received: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _address = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as secure:
                received.append(secure.recv(65536))
                secure.sendall(answer(HEALTH))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"https://localhost:{listener.getsockname()[1]}", received
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(300)


# Time


def drip(data: bytes, every: float) -> Iterable[bytes | float]:
    for byte in data:
        yield bytes([byte])
        yield every


@pytest.mark.fault("answers-endless")
@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(lambda _r: drip(b"HTTP/1.1 200 OK\r\n" + b"X-Header: 1\r\n" * 1000, 0.02), id="headers"),
        pytest.param(
            lambda _r: [b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", *drip(b" " * 9999, 0.02)],
            id="body",
        ),
        pytest.param(
            lambda _r: [
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                *drip(b"1\r\n \r\n" * 3000, 0.01),
            ],
            id="chunks",
        ),
        pytest.param(always(60.0), id="silence"),
        pytest.param(always(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 60.0), id="silent body"),
    ],
)
def test_an_answer_that_never_ends_is_given_up_at_the_deadline(
    behave: Callable[[Request], Iterable[bytes | float | Act]],
) -> None:
    with FaultServer(behave) as server:
        started = time.monotonic()
        with pytest.raises(BoardUnreachable, match="no complete answer within"):
            transport(server, read=1.0, total=1.5).call("GET", "/health", repeatable=True)
        assert time.monotonic() - started < GENEROUS


def test_the_whole_call_ends_within_its_patience_whatever_it_repeats() -> None:
    with FaultServer(always(answer("", status=503, headers={"Retry-After": "3"}))) as server:
        started = time.monotonic()
        with pytest.raises(BoardUnreachable):
            transport(server, retries=1000, patience=4.0).call("GET", "/x", repeatable=True)
        assert time.monotonic() - started < GENEROUS
        assert 1 <= len(server.requests) <= 3


def test_a_server_that_does_not_accept_costs_the_connect_limit() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        held = []
        for _ in range(3):
            taken = socket.socket()
            taken.setblocking(False)
            taken.connect_ex(("127.0.0.1", port))
            held.append(taken)
        calls = Transport(f"http://127.0.0.1:{port}", KEY, connect=0.5, read=1.0, total=2.0, retries=0)
        started = time.monotonic()
        with pytest.raises(BoardUnreachable):
            calls.call("GET", "/health", repeatable=True)
        assert time.monotonic() - started < GENEROUS
        calls.close()
        for taken in held:
            taken.close()


def test_a_long_poll_may_take_as_long_as_was_asked_for() -> None:
    with FaultServer(always(1.5, answer(b"null"))) as server:
        calls = transport(server, read=0.5, total=1.0)
        assert calls.call("GET", "/next", repeatable=True, wait=2.0).body == b"null"


# Size


def test_a_body_over_the_limit_is_refused_before_it_is_read() -> None:
    with (
        FaultServer(always(answer(b"[]", length=10**15), 30.0)) as server,
        pytest.raises(BadAnswer, match="larger than 1 MiB"),
    ):
        transport(server, max_body=1 << 20).call("GET", "/tasks", repeatable=True)


def test_an_endless_body_is_cut_off() -> None:
    def endless(_request: Request) -> Iterable[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
        while True:
            yield b" " * 65536

    with FaultServer(endless) as server, pytest.raises(BadAnswer, match="larger than 1 MiB"):
        transport(server, max_body=1 << 20, total=GENEROUS).call("GET", "/tasks", repeatable=True)


@pytest.mark.fault("answers-endless")
def test_a_gzip_bomb_is_cut_off_by_its_decompressed_size() -> None:
    bomb = gzip.compress(b" " * (64 << 20))
    assert len(bomb) < 1 << 20
    with (
        FaultServer(always(answer(bomb, headers={"Content-Encoding": "gzip"}))) as server,
        pytest.raises(BadAnswer, match="larger than 1 MiB"),
    ):
        transport(server, max_body=1 << 20).call("GET", "/tasks", repeatable=True)


def test_compression_that_was_not_asked_for_is_understood_and_none_is_asked_for() -> None:
    body = gzip.compress(b'{"status": "healthy"}')
    with FaultServer(always(answer(body, headers={"Content-Encoding": "gzip"}))) as server:
        assert transport(server).call("GET", "/health", repeatable=True).body == b'{"status": "healthy"}'
        assert server.requests[0].headers["accept-encoding"] == "identity"


def test_garbage_instead_of_compression_is_a_bad_answer() -> None:
    with (
        FaultServer(always(answer(b"no gzip", headers={"Content-Encoding": "gzip"}))) as server,
        pytest.raises(BadAnswer, match="not compressed"),
    ):
        transport(server).call("GET", "/health", repeatable=True)


def test_a_large_error_page_is_quoted_shortly() -> None:
    with FaultServer(always(answer("<html>" + "x" * 10_000_000, status=502))) as server:
        with pytest.raises(BoardUnreachable) as caught:
            transport(server).call("GET", "/health", repeatable=True)
        assert len(caught.value.message) < 500


# Repeating


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_a_failing_server_is_asked_again(status: int) -> None:
    bad = answer("Internal Server Error", status=status)
    with FaultServer(in_turn(bad, bad, answer(HEALTH))) as server:
        assert (
            transport(server, retries=2, patience=GENEROUS).call("GET", "/health", repeatable=True).status
            == 200
        )
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param((RESET,), id="reset"),
        pytest.param((), id="closed without an answer"),
        pytest.param((answer(b"[1, 2]", length=100),), id="body cut short"),
        pytest.param(
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1, 2",), id="chunk cut short"
        ),
        pytest.param((b"garbage\r\n\r\n",), id="no HTTP"),
        pytest.param((answer(b"", status=500), RESET), id="500"),
    ],
)
def test_whatever_breaks_a_repeatable_call_is_tried_again_and_an_unrepeatable_one_is_lost(
    fault: tuple[bytes | Act, ...],
) -> None:
    def behave(request: Request) -> Iterable[bytes | Act]:
        return fault if request.number in (1, 3) else [answer(b"[]"), KEEP]

    with FaultServer(behave) as server:
        calls = transport(server, retries=2, patience=GENEROUS)
        assert calls.call("GET", "/tasks", repeatable=True).body == b"[]"
        with pytest.raises(LostAnswer) as caught:
            calls.call("PUT", "/tasks/1/status", repeatable=False)
        assert caught.value.exit_code == BOARD_UNREACHABLE
        assert len(server.requests) == 3


def test_a_write_that_never_left_is_repeated(closed_port: int) -> None:
    calls = Transport(f"http://127.0.0.1:{closed_port}", KEY, connect=0.5, retries=2)
    with pytest.raises(BoardUnreachable, match="Connection refused") as caught:
        calls.call("POST", "/tasks/1/lock", repeatable=False)
    assert not isinstance(caught.value, LostAnswer)
    assert "HTTPConnection" not in caught.value.message


def test_a_write_answered_429_was_not_carried_out_and_is_repeated() -> None:
    with FaultServer(in_turn(answer("", status=429, headers={"Retry-After": "0"}), answer({}))) as server:
        assert transport(server, retries=1).call("POST", "/tasks/1/lock", repeatable=False).status == 200
        assert len(server.requests) == 2


def test_a_board_that_stays_busy_is_worth_trying_later() -> None:
    with FaultServer(always(answer("slow down", status=429))) as server:
        with pytest.raises(BoardBusy, match="slow down") as caught:
            transport(server, retries=1).call("GET", "/tasks", repeatable=True)
        assert caught.value.exit_code == TRY_LATER


@pytest.mark.fault("told-to-wait")
def test_retry_after_is_honoured() -> None:
    busy = answer("", status=503, headers={"Retry-After": " 1 "})
    with FaultServer(in_turn(busy, answer(HEALTH))) as server:
        started = time.monotonic()
        transport(server, retries=1, patience=GENEROUS).call("GET", "/health", repeatable=True)
        assert time.monotonic() - started >= 1.0


def test_retry_after_may_be_a_date() -> None:
    soon = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 20 < Backoff.of(1).pause({"Retry-After": soon}) < 31


@pytest.mark.fault("told-to-wait")
@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("30", 30, 31),
        ("86400", 60, 60),
        ("9" * 20, 60, 60),
        ("9" * 10_000, 0, 1),
        ("-5", 0, 1),
        ("soon", 0, 1),
        ("", 0, 1),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 60, 60),
        ("Fri, 99 Abc 99999 99:99:99 GMT", 0, 1),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 1),
    ],
)
def test_retry_after_is_capped_and_nonsense_is_ignored(header: str, least: float, most: float) -> None:
    assert least <= Backoff.of(1).pause({"Retry-After": header}) <= most


def test_pauses_grow_and_differ_and_end() -> None:
    policy: Backoff | None = Backoff.of(8)
    pauses = []
    while policy is not None:
        pauses.append([policy.get_backoff_time() for _ in range(20)])
        policy = policy.after_failure("GET", "/")
    assert len(pauses) == 9
    assert all(0 < pause <= 8 for row in pauses for pause in row)
    assert all(len(set(row)) > 1 for row in pauses)
    assert min(pauses[5]) > max(pauses[1])


# The key


def messages_of(error: BaseException) -> str:
    return f"{error!s} {error!r} {error.args} {getattr(error, 'hint', '')} {getattr(error, 'details', '')}"


def test_a_redirect_is_not_followed_and_the_key_goes_nowhere_else() -> None:
    with FaultServer(always(answer([]))) as elsewhere:
        target = elsewhere.url.replace("127.0.0.1", "localhost") + "/stolen"
        with (
            FaultServer(always(answer("", status=307, headers={"Location": target}), KEEP)) as server,
            Board(server.url, KEY, retries=0) as board,
        ):
            with pytest.raises(BadAnswer, match="redirected to http://localhost"):
                board.tasks()
            with pytest.raises(BadAnswer):
                board.calls.write("POST", "/epics", {}, {}, dict)
        assert elsewhere.requests == []


def test_the_key_is_sent_where_needed_and_shown_nowhere() -> None:
    def echo(request: Request) -> Iterable[bytes | Act]:
        said = f"what is {request.headers.get('x-api-key')}?"
        return [answer({"detail": said}, status=500 if "agents" in request.target else 400), KEEP]

    with FaultServer(echo) as server, Board(server.url, KEY, retries=0) as board:
        for ask in (board.tasks, board.agents):
            with pytest.raises(HpmError) as caught:
                ask()
            assert "what is ***?" in caught.value.message
            assert KEY not in messages_of(caught.value)
        assert server.requests[0].headers["x-api-key"] == KEY
        with pytest.raises(HpmError, match="what is None"):
            board.health()
        for thing in (board, board.calls, board.calls.transport, vars(board.calls.transport), vars(board)):
            assert KEY not in repr(thing)


@pytest.mark.parametrize("key", ["two\nlines-of-key", "täst-key-9", "bell\x07-key-9"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Board("http://localhost:6969", key)
    assert key not in messages_of(caught.value)
    assert "key-9" not in messages_of(caught.value)


def test_white_space_around_the_key_is_dropped() -> None:
    with FaultServer(always(answer([]))) as server, Board(server.url, f" {KEY}\n") as board:
        board.tasks()
        assert server.requests[0].headers["x-api-key"] == KEY


def test_nothing_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w", encoding="ascii") as file:
        file.write("machine 127.0.0.1 login someone password else\n")
    with FaultServer(always(answer(HEALTH, headers={"Set-Cookie": "a=b"}))) as server:
        monkeypatch.setenv("NETRC", netrc)
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name)
        with Board(server.url, KEY) as board:
            board.health()
            board.health()
        for request in server.requests:
            assert "authorization" not in request.headers
            assert "cookie" not in request.headers


# Certificates


@pytest.mark.fault("wrong-server")
def test_an_untrusted_certificate_is_refused_before_the_key_is_sent(
    self_signed: tuple[str, list[bytes]],
) -> None:
    url, received = self_signed
    with Board(url, KEY, retries=0) as board, pytest.raises(Refused, match="certificate"):
        board.tasks()
    assert not any(KEY.encode() in data for data in received)


def test_a_certificate_that_the_operator_trusts_is_good(
    self_signed: tuple[str, list[bytes]], tmp_path: Path
) -> None:
    url, received = self_signed
    with Board(url, KEY, ca_file=str(tmp_path / "server.pem")) as board:
        assert board.health().status == "healthy"
    assert len(received) == 1


# What an error says


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (401, {"detail": "Invalid API key"}, Refused, "refused the API key"),
        (403, {"detail": "Only PM"}, Refused, "Only PM"),
        (404, {"detail": "Task not found"}, NotFound, "Task not found"),
        (405, {"detail": "Method Not Allowed"}, BadData, "405: Method Not Allowed"),
        (409, {"detail": "already locked"}, Refusal, "already locked"),
        (400, {"detail": "Missing required parameter"}, BadData, "Missing required"),
        (
            422,
            {
                "detail": [
                    {"type": "enum", "loc": ["body", "role"], "msg": "Input should be 'qa'", "input": "x"}
                ]
            },
            BadData,
            "body.role: Input should be 'qa'",
        ),
        (422, {"detail": {"odd": "shape"}}, BadData, "odd"),
        (404, "<html>\x1b[31mnot\x00 here</html>", BadAnswer, "<html> [31mnot here</html>"),
        (418, "", BadData, "an empty answer"),
        (302, "", BadAnswer, "redirected to nowhere"),
    ],
)
def test_the_boards_own_words_are_passed_on(
    status: int, body: object, kind: type[HpmError], words: str
) -> None:
    with FaultServer(always(answer(body, status=status))) as server, Board(server.url, KEY) as board:
        with pytest.raises(kind) as caught:
            board.tasks()
        assert words in caught.value.message
        assert "/api/v1/tasks" in caught.value.message
        assert caught.value.details.get("http_status") == status


# Sessions


def test_a_connection_is_kept_and_each_thread_has_its_own() -> None:
    with FaultServer(always(answer(HEALTH), KEEP)) as server, Board(server.url, KEY) as board:
        for _ in range(5):
            board.health()
        assert len(server._connections) == 1
        failures: list[BaseException] = []

        def ask() -> None:
            try:
                for _ in range(20):
                    board.health()
            except HpmError as error:
                failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(server._connections) <= 9


def test_a_kept_connection_that_the_server_closed_is_no_failure() -> None:
    with FaultServer(always(answer(HEALTH))) as server, Board(server.url, KEY, retries=1) as board:
        for _ in range(5):
            board.health()


def test_a_connection_that_lay_idle_is_not_trusted_with_a_write() -> None:
    with FaultServer(always(answer({}), KEEP)) as server:
        sessions = Sessions(idle_limit=0.05)
        assert sessions.mine().get(server.url).status_code == 200
        (kept,) = server._connections
        wait_until(lambda: sessions.idle > 0.05)
        assert sessions.mine().get(server.url).status_code == 200
        wait_until(lambda: kept not in server._connections)
        sessions.close()


def test_a_connection_with_an_unread_body_is_not_used_again() -> None:
    def behave(request: Request) -> Iterable[bytes | Act]:
        if request.number == 1:
            return [answer(b" " * (2 << 20)), KEEP]
        return [answer(HEALTH), KEEP]

    with FaultServer(behave) as server:
        calls = transport(server, max_body=1 << 20)
        with pytest.raises(BadAnswer):
            calls.call("GET", "/tasks", repeatable=True)
        assert b"healthy" in calls.call("GET", "/health", repeatable=True).body


@pytest.fixture
def unwanted() -> Iterator[tuple[int, int]]:
    """A pipe, (reader, writer): what is written says that a call is no longer wanted."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"


@pytest.mark.parametrize(
    "sent",
    [b"", BEGUN, answer({}, status=503)],
    ids=["before the answer", "within the answer", "between two tries"],
)
def test_a_call_can_be_broken_off(sent: bytes, unwanted: tuple[int, int]) -> None:
    reader, writer = unwanted

    def hold(_request: Request) -> Iterator[bytes | float | Act]:
        yield sent
        os.write(writer, b"!")
        yield KEEP if sent.endswith(b"{}") else GENEROUS

    with FaultServer(hold) as server, wire.breakable(reader), pytest.raises(wire.BrokenOff):
        transport(server, read=GENEROUS, total=GENEROUS, retries=4).call("GET", "/health", repeatable=True)


@pytest.mark.parametrize("sent", [b"", BEGUN], ids=["before the answer", "within the answer"])
@pytest.mark.parametrize("limits", [{"read": 3.0}, {"total": 3.0}], ids=["read", "total"])
def test_an_exchange_that_can_be_broken_off_keeps_its_deadline(
    sent: bytes, limits: dict[str, float], unwanted: tuple[int, int]
) -> None:
    with FaultServer(always(sent, GENEROUS)) as server, wire.breakable(unwanted[0]):
        calls = transport(server, **limits)
        began = time.monotonic()
        with pytest.raises(BoardUnreachable, match="no complete answer within"):
            calls.call("GET", "/health", repeatable=True)
        assert 3.0 <= time.monotonic() - began < GENEROUS


def test_a_wait_goes_on_when_what_woke_it_meant_something_else(unwanted: tuple[int, int]) -> None:
    reader, writer = unwanted
    asked: list[bytes] = []

    def hold(_request: Request) -> Iterator[bytes | float | Act]:
        os.write(writer, b"1")
        wait_until(lambda: asked == [b"1"])
        os.write(writer, b"2")
        wait_until(lambda: asked == [b"1", b"2"])
        yield answer(HEALTH)
        yield KEEP

    def for_us() -> bool:
        asked.append(os.read(reader, 1))
        return False

    with FaultServer(hold) as server, wire.breakable(reader, for_us):
        done = transport(server).call("GET", "/health", repeatable=True)
    assert (done.status, asked) == (200, [b"1", b"2"])
    assert len(server.requests) == 1
