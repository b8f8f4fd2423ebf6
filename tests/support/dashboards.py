"""`hpm dashboard` as a process, talked to as a browser or an attacker would, without one."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.support.board_process import Reply
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.runners import Desk, Running


class DashboardUnderTest:
    """A running dashboard: ``url`` with its token, ``origin``, and the ``cookie`` of whoever opened that."""

    def __init__(self, running: Running, url: str) -> None:
        self.running = running
        self.url = url
        place = urlsplit(url)
        self.origin = f"{place.scheme}://{place.netloc}"
        self.token = parse_qs(place.query)["token"][0]
        self.cookie = ""

    def call(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request; with the cookie, if there is one, and from our own page unless ``headers`` say otherwise."""
        sent = {"Cookie": self.cookie, "Origin": self.origin, **(headers or {})}
        body = None
        if form is not None:
            body = urlencode(form)
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        sent.setdefault("Host", urlsplit(self.origin).netloc)
        with closing(self.connect()) as connection:
            connection.request(method, path, body, {name: value for name, value in sent.items() if value})
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())

    def connect(self) -> http.client.HTTPConnection:
        """A connection to where a browser finds the page: all names below localhost are this machine."""
        place = urlsplit(self.origin)
        host = str(place.hostname)
        return http.client.HTTPConnection(
            "127.0.0.1" if host.endswith(".localhost") else host, place.port, timeout=600
        )

    def open(self) -> str:
        """Open the page by its URL and keep the cookie; the page."""
        there = self.call("GET", f"/?token={self.token}")
        assert (there.status, there.headers["location"]) == (303, "/"), there
        self.cookie = there.headers["set-cookie"].partition(";")[0]
        return self.page()

    def page(self, path: str = "/") -> str:
        reply = self.call("GET", path)
        assert reply.status == 200, reply
        return reply.body.decode()


class Viewer:
    """Follows the live stream: ``parts`` is what came last of each part, ``times`` when (monotonic)."""

    def __init__(self, dashboard: DashboardUnderTest, period: str = "24h") -> None:
        self._connection = dashboard.connect()
        headers = {"Cookie": dashboard.cookie, "Host": urlsplit(dashboard.origin).netloc}
        self._connection.request("GET", f"/live?period={period}", headers=headers)
        # Kept here: the connection forgets its socket once a whole answer without a length is being read.
        self._socket = self._connection.sock
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200
        self.parts: dict[str, str] = {}
        self.times: dict[str, float] = {}
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        try:
            for line in self._answer:
                if line.startswith(b"data: "):
                    part: dict[str, Any] = json.loads(line[6:])
                    self.parts[part["id"]] = part["html"]
                    self.times[part["id"]] = time.monotonic()
        except (OSError, http.client.HTTPException):
            pass
        self.ended.set()

    def wait_for(self, part: str, words: str) -> str:
        """The part once it has ``words`` in it."""
        return wait_until(
            lambda: self.parts.get(part, "") if words in self.parts.get(part, "") else "",
            what=f"{words!r} in {part}",
        )

    def close(self) -> None:
        """Leave, as a browser does whose tab is closed."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # the server has left before
            pass
        self._thread.join(300)
        self._answer.close()
        self._connection.close()


@contextmanager
def dashboard(desk: Desk, *arguments: object, **extra: str) -> Iterator[DashboardUnderTest]:
    """`hpm dashboard --port 0` at ``desk``, ended with the block."""
    with desk.start("dashboard", "--port", 0, *arguments, **extra) as running:
        pattern = re.compile(r"^(http://\S+\?token=\S+)$", re.MULTILINE)
        url, *_ = wait_until(lambda: pattern.findall(running.output()), what="the dashboard's URL")
        yield DashboardUnderTest(running, url.replace("0.0.0.0", "127.0.0.1"))


def figures_of(page: str) -> dict[str, str]:
    """The large numbers of a page, by name."""
    found = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page)
    return {name: re.sub(r"<.*?>", "", value) for name, value in found}


def results_of(page: str) -> Counter[str]:
    """How often the table of outcomes, on the page or in the report, shows each result."""
    (table,) = re.findall(r"<h2[^>]*>(?:Recent o|O)utcomes.*?</table>", page, re.DOTALL)
    return Counter(re.findall(r'<span class="mark [a-z_]+">(.*?)</span>', table))
