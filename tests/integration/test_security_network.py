"""Where the board's key travels: to the board and nowhere else, whatever environment and servers say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.fault_server import KEEP, FaultServer, answer
from tests.support.runners import Desk, script

RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task")


def test_neither_proxies_nor_netrc_nor_cookies_have_a_part_in_it(desk: Desk) -> None:
    netrc = desk.home / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2-netrc\n", encoding="utf-8")
    netrc.chmod(0o600)
    cookie = {"set-cookie": "session=stolen; Path=/"}
    desk.board.add_task(description=script({"write": ["a.txt", "x"]}), complexity="major")
    with (
        FaultServer(lambda request: [answer("no", status=502)]) as proxy,
        FaultServer(lambda request: [with_header(request.forward(desk.board.url), cookie), KEEP]) as front,
    ):
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
        through: dict[str, Any] = dict.fromkeys(names, proxy.url)
        done = desk.hpm(*RUN, HEADLESS_PM_API_URL=front.url, **through)
    assert done.returncode == 0, done.stdout + done.stderr
    assert proxy.requests == []
    assert len(front.requests) > 5
    for request in front.requests:
        assert "authorization" not in request.headers
        assert "cookie" not in request.headers
        expected = None if request.path == "/health" else desk.board.key
        assert request.headers.get("x-api-key") == expected, request.target
        assert desk.board.key not in request.target
        assert desk.board.key.encode() not in request.body


def with_header(raw: bytes, headers: dict[str, str]) -> bytes:
    head, _, body = raw.partition(b"\r\n\r\n")
    more = "".join(f"\r\n{name}: {value}" for name, value in headers.items())
    return head + more.encode() + b"\r\n\r\n" + body


@pytest.mark.fault("wrong-server")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int, desk: Desk) -> None:
    with FaultServer(lambda request: [answer([], headers={})]) as other:

        def redirect(_request: object) -> list[bytes]:
            return [answer("", status=status, headers={"Location": f"{other.url}/api/v1/tasks"})]

        with FaultServer(redirect) as first:
            done = desk.hpm("pm.tasks", HEADLESS_PM_API_URL=first.url)
    assert done.returncode == 65, done.stdout + done.stderr
    assert "redirected to" in done.stderr
    assert desk.board.key not in done.stderr
    assert other.requests == []


@pytest.mark.fault("wrong-server")
@pytest.mark.parametrize(
    "url",
    [
        "http://board.example",
        "http://127.0.0.1.example",
        "http://localhost.example:6969",
        "http://127.0.0.1@board.example",
        "http://[::ffff:8.8.8.8]",
        "http://2130706433",
        "ftp://localhost",
        "file:///etc/passwd",
    ],
)
def test_plain_http_leaves_this_machine_only_when_allowed_by_name(url: str, desk: Desk) -> None:
    done = desk.hpm("pm.tasks", HEADLESS_PM_API_URL=url)
    assert done.returncode == 78, done.stdout + done.stderr
    assert desk.board.key not in done.stderr
