"""A misbehaving HTTP server, by itself or between a client and a real board.

Each request is given to a function that says what happens, as a sequence of acts on the connection:
bytes to send, seconds (a float) to wait, or RESET. After the last act the connection closes, unless that
was KEEP. `forward` lets the real board carry the request out, whatever the client gets to see of it::

    def lose_the_answer(request):
        if request.method == "PUT":
            request.forward(board.url)
            return [RESET]
        return [request.forward(board.url), KEEP]

    with FaultServer(lose_the_answer) as server:
        Board(server.url, key)
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import struct
import threading
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Act(Enum):
    RESET = "reset"
    KEEP = "keep"


RESET = Act.RESET
KEEP = Act.KEEP


@dataclass(frozen=True)
class Request:
    """One request; ``number`` counts from 1 over all of the server's."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    number: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def forward(self, url: str) -> bytes:
        """Let the server at ``url`` carry the request out; its answer as bytes to send."""
        place = urlsplit(url)
        connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=600)
        with closing(connection):
            sent = {name: value for name, value in self.headers.items() if name not in ("host", "connection")}
            connection.request(self.method, self.target, self.body or None, sent)
            response = connection.getresponse()
            body = response.read()
            kept = ("content-type", "retry-after", "location")
            headers = {n: v for n, v in response.getheaders() if n.lower() in kept}
        return answer(body, status=response.status, headers=headers)


def answer(
    body: bytes | str | Any,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    length: int | None = None,
) -> bytes:
    """A whole HTTP answer. A ``body`` that is neither bytes nor text is sent as JSON."""
    fields = {"content-type": "text/plain"}
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        fields["content-type"] = "application/json"
        body = json.dumps(body).encode()
    fields |= {name.lower(): value for name, value in (headers or {}).items()}
    fields["content-length"] = str(len(body) if length is None else length)
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class FaultServer:
    """Serves on loopback; ``requests`` are those that arrived whole."""

    def __init__(self, behave: Callable[[Request], Iterable[bytes | float | Act]]) -> None:
        self.behave = behave
        self.requests: list[Request] = []
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self._connections: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._accept, name="fault-server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._guard:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(300)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._guard:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as reader:
                while (request := self._read(reader)) is not None and self._act(connection, request):
                    pass
        except OSError:
            pass
        finally:
            with self._guard:
                self._connections.discard(connection)

    def _read(self, reader: Any) -> Request | None:
        first = reader.readline().decode("latin-1").split()
        if len(first) < 2:
            return None
        headers: dict[str, str] = {}
        while (line := reader.readline().decode("latin-1").strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = reader.read(int(headers.get("content-length", "0")))
        with self._guard:
            request = Request(first[0], first[1], headers, body, len(self.requests) + 1)
            self.requests.append(request)
        return request

    def _act(self, connection: socket.socket, request: Request) -> bool:
        for act in self.behave(request):
            if isinstance(act, bytes):
                connection.sendall(act)
            elif act is KEEP:
                return True
            elif act is RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            elif isinstance(act, float | int) and self._closing.wait(act):
                return False
        return False
