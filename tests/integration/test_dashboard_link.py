"""What opens the page is worth nothing to other servers of the same machine, nor to whoever sees it later."""

from __future__ import annotations

import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.support import browser
from tests.support.dashboards import Viewer, dashboard
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome

    from tests.support.dashboards import DashboardUnderTest
    from tests.support.runners import Desk


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with browser.chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture
def shown(desk: Desk) -> Iterator[DashboardUnderTest]:
    with dashboard(desk) as running:
        yield running


def port(shown: DashboardUnderTest) -> str:
    return shown.origin.rpartition(":")[2]


@pytest.mark.fault("F4")
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_cookie_opens_nothing_under_a_name_that_other_servers_have(
    shown: DashboardUnderTest, name: str
) -> None:
    """Neither the page nor the stream: a browser would send it to every port of that name."""
    shown.open()
    there = {"Host": f"{name}:{port(shown)}"}
    statuses = [shown.call("GET", path, headers=there).status for path in ("/", "/metrics", "/run/x")]
    assert statuses == [421, 421, 421]


@pytest.mark.fault("F4")
def test_a_link_opens_the_page_once(shown: DashboardUnderTest) -> None:
    """Then it stands in a browser's history, and the next browser has another."""
    first = shown.call("GET", f"/?token={shown.token}")
    shown.cookie = first.headers["set-cookie"].partition(";")[0]
    mine = shown.page()
    viewer = Viewer(shown)
    viewer.wait_for("agents", "No agent")
    viewer.close()
    assert 'id="agents"' in mine
    assert shown.call("GET", f"/?token={shown.token}").status == 303, "who is in stays in"
    again = shown.call("GET", f"/?token={shown.token}", headers={"Cookie": ""})
    assert again.status == 401


def test_the_next_browser_has_the_next_link(shown: DashboardUnderTest) -> None:
    shown.open()
    pattern = re.compile(r"\?token=(\w+)")
    wait_until(lambda: len(pattern.findall(shown.running.output())) > 1, what="another link")
    links = pattern.findall(shown.running.output())
    assert shown.call("GET", f"/?token={links[1]}", headers={"Cookie": ""}).status == 303


def test_a_program_sends_the_token_under_any_name(shown: DashboardUnderTest) -> None:
    (token,) = re.findall(r"Authorization: Bearer (\w+)", shown.running.output())
    headers = {"Host": f"127.0.0.1:{port(shown)}", "Authorization": f"Bearer {token}"}
    assert shown.call("GET", "/metrics", headers=headers).status == 200
    assert shown.call("GET", "/metrics", headers={**headers, "Authorization": "Bearer x"}).status == 401
    assert shown.call("GET", f"/?token={token}").status == 401, "no browser is let in by it"


def test_another_start_knows_neither_name_nor_cookie_of_the_last(desk: Desk) -> None:
    with dashboard(desk) as first:
        first.open()
    with dashboard(desk) as second:
        assert second.call("GET", "/", headers={"Cookie": first.cookie}).status == 401
        old = first.origin.removeprefix("http://").partition(":")[0]
        assert second.call("GET", "/", headers={"Host": f"{old}:{port(second)}"}).status == 421


@pytest.mark.fault("F4")
def test_what_opens_the_page_stands_in_no_arguments(desk: Desk, tmp_path: Path) -> None:
    """`ps` shows the browser's to everybody."""
    told = tmp_path / "browser's arguments"
    program = tmp_path / "browser"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nopen({str(told)!r}, 'w').write(' '.join(sys.argv[1:]))\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    with dashboard(desk, "--open", BROWSER=f"{program} %s") as running:
        wait_until(lambda: told.exists() and told.read_text(encoding="utf-8"), what="the browser's start")
        assert running.token not in told.read_text(encoding="utf-8")


@pytest.mark.extended
@pytest.mark.needs("chromium")
@pytest.mark.fault("F4")
def test_a_server_beside_the_page_receives_nothing_that_opens_it(
    shown: DashboardUnderTest, driver: Chrome
) -> None:
    """With a real browser's cookies, by both names that an agent's server has."""
    received: list[str] = []

    class Spy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(self.headers.get("Cookie", ""))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    spy = ThreadingHTTPServer(("127.0.0.1", 0), Spy)
    threading.Thread(target=spy.serve_forever, daemon=True).start()
    try:
        driver.get(shown.url)
        assert "hpm" in driver.title
        for name in ("127.0.0.1", "localhost"):
            driver.get(f"http://{name}:{spy.server_port}/")
    finally:
        spy.shutdown()
        spy.server_close()
    assert received
    opened = [shown.call("GET", "/", headers={"Cookie": cookie}).status for cookie in received if cookie]
    assert 200 not in opened
