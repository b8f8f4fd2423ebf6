"""A real board server for tests: on a free port, on a file of its own, talked to without our client."""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from hpm_tools.board.server import BoardProcess, Settings, start

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

KEY = "test-board-key"
API = "/api/v1"


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def detail(self) -> Any:
        return self.json["detail"]


class BoardUnderTest:
    """A running server. ``url``, ``key``, ``db`` (the SQLite file), ``upstream``; ``call`` speaks plain HTTP."""

    def __init__(self, process: BoardProcess, settings: Settings, log: Path) -> None:
        self.process = process
        self.settings = settings
        self.log = log
        self.url = process.url
        self.key = process.key
        self.db = settings.db
        self.upstream = settings.upstream
        self.pid = process.process.pid

    # -- HTTP

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = KEY,
        within: float = 600.0,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> Reply:
        """One request on a connection of its own. ``path`` below /api/v1 unless it starts with ``//``."""
        where = path[1:] if path.startswith("//") else API + path
        query = {name: value for name, value in query.items() if value is not None}
        if query:
            where += "?" + urlencode(query)
        sent = dict(headers or {})
        if key is not None:
            sent["X-API-Key"] = key
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = "application/json"
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=within)
        with closing(connection):
            connection.request(method, where, data, sent)
            response = connection.getresponse()
            return Reply(response.status, dict(response.getheaders()), response.read())

    def ok(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """``call`` that must answer 200; its JSON."""
        reply = self.call(method, path, body, **query)
        assert reply.status == 200, (method, path, reply.status, reply.body)
        return reply.json

    # -- the usual moves

    def register(self, agent_id: str, role: str = "backend_dev", level: str = "principal") -> Any:
        return self.ok("POST", "/register", {"agent_id": agent_id, "role": role, "level": level})

    def pm(self) -> str:
        """A registered project manager's id."""
        self.register("pm1", "pm")
        return "pm1"

    def feature(self) -> int:
        pm = self.pm()
        epic = self.ok("POST", "/epics", {"name": "E", "description": "e"}, agent_id=pm)
        feature = {"epic_id": epic["id"], "name": "F", "description": "f"}
        return int(self.ok("POST", "/features", feature, agent_id=pm)["id"])

    def add_task(self, status: str = "created", *, feature_id: int | None = None, **fields: Any) -> Any:
        """A task in ``status``, made and moved there by the project manager; the board's answer."""
        task = {
            "feature_id": self.feature() if feature_id is None else feature_id,
            "title": "Add a greeting",
            "description": "Write hello.txt",
            "target_role": "backend_dev",
            "difficulty": "junior",
            "complexity": "minor",
            "branch": "main",
            **fields,
        }
        made = self.ok("POST", "/tasks/create", task, agent_id=self.pm())
        return made if status == "pending" else self.put(made["id"], "pm1", status)["task"]

    def put(self, task_id: int, agent_id: str, status: str, notes: str | None = None, **query: Any) -> Any:
        body = {"status": status} if notes is None else {"status": status, "notes": notes}
        return self.ok("PUT", f"/tasks/{task_id}/status", body, agent_id=agent_id, **query)

    def lock(self, task_id: int, agent_id: str) -> Reply:
        return self.call("POST", f"/tasks/{task_id}/lock", agent_id=agent_id)

    def task(self, task_id: int) -> Any:
        """The task as GET /tasks shows it; None if it is not there."""
        return next((task for task in self.ok("GET", "/tasks") if task["id"] == task_id), None)

    def statuses(self, task_id: int) -> list[str]:
        """The task's statuses so far, oldest first, by the changelog."""
        rows = [row for row in self.ok("GET", "/changelog", limit=-1) if row["task_id"] == task_id]
        return [row["new_status"] for row in reversed(rows)]

    # -- the database and the clock

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement on the server's own file and commit it; the rows."""
        with closing(sqlite3.connect(self.db, timeout=300)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def wipe(self) -> None:
        """Everything out of the database, ids starting over, and the clock right again."""
        with closing(sqlite3.connect(self.db, timeout=300)) as connection, connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in tables:
                connection.execute(f"DELETE FROM {table}")
        self.shift_clock(0)

    def shift_clock(self, seconds: float) -> None:
        """Let the server's clock be ``seconds`` ahead of ours from its next request on."""
        path = str(self.settings.clock_offset_file)
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(str(seconds))
        os.replace(path + ".new", path)

    @property
    def alive(self) -> bool:
        return self.process.process.poll() is None


@contextmanager
def running_board(
    directory: Path,
    *,
    upstream: bool = False,
    lock_delay: float = 0.0,
    port: int = 0,
    db: str = "board.db",
    more_keys: tuple[str, ...] = (),
) -> Iterator[BoardUnderTest]:
    """A server of its own in ``directory``, ended with the block. The same directory again is the same board."""
    settings = Settings(
        db=str(directory / db),
        keys=(KEY, *more_keys),
        port=port,
        upstream=upstream,
        lock_delay=lock_delay,
        clock_offset_file=str(directory / "clock"),
    )
    log = directory / "board.log"
    process = start(settings, log=str(log))
    try:
        yield BoardUnderTest(process, settings, log)
    finally:
        process.stop(within=2.0 if upstream else 10.0)


def path_of(*parts: object) -> str:
    """A path with each part quoted: ids are text and may hold anything."""
    return "/" + "/".join(quote(str(part), safe="") for part in parts)
