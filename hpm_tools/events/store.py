"""Events in an SQLite file that many processes append to and read at the same time."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from hpm_tools.errors import TryLater
from hpm_tools.events import damage, database
from hpm_tools.events.database import transaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CONDITIONS = {
    # The plus keeps SQLite from using an index that is not in the order of ids: it would sort for every page.
    "since": "+at >= ?",
    "until": "+at < ?",
    "agent": "agent = ?",
    "task": "task = ?",
    "run": "run = ?",
}
COLUMNS = "at, v, event, agent, role, board, task, run, host, data"
PAGE = 1000
PRUNED_AT_ONCE = 2000
"""Rows that one transaction deletes: nobody waits long for it."""
DAY = 86400.0
FLEETING = ("agent_progress",)
"""Of interest while they are fresh: kept for a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One event.

    ``id`` grows with each event of the file, 0 before it is stored; ``at`` is Unix seconds, ``v`` the version
    of this kind of event, ``run`` the take of the task that it belongs to (``record.run_id``), ``data`` the
    kind's own fields and ``text``, the sentence for a person.
    """

    id: int = 0
    at: float
    v: int = 1
    event: str
    agent: str
    role: str = ""
    board: str = ""
    task: int | None = None
    run: str | None = None
    host: str = ""
    data: dict[str, Any] = field(default_factory=dict)

    def to_row(self) -> tuple[object, ...]:
        text = json.dumps(self.data, separators=(",", ":"))
        return (
            self.at,
            self.v,
            self.event,
            self.agent,
            self.role,
            self.board,
            self.task,
            self.run,
            self.host,
            text,
        )

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        number, at, v, event, agent, role, board, task, run, host, text = row
        data = json.loads(text)
        if not isinstance(data, dict) or not isinstance(at, float):
            raise TypeError("its fields are no event's")
        return cls(
            id=number,
            at=at,
            v=v,
            event=event,
            agent=agent,
            role=role,
            board=board,
            task=task,
            run=run,
            host=host,
            data=data,
        )


class EventStore:
    """The events at ``path``. Safe to share between threads; opened at the first use, made at the first append.

    ``wait``: seconds to wait for another writer before TryLater. Every method raises Damaged for a broken
    file, Misconfigured for one of a newer version, and CannotCreate for what the disk refuses.
    """

    def __init__(self, path: str, *, wait: float = 5.0) -> None:
        self.path = path
        self.wait = wait
        self._lock = threading.RLock()
        self._writing: sqlite3.Connection | None = None
        self._reading: sqlite3.Connection | None = None
        self._opened: damage.Identity | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, events: Iterable[Stored]) -> None:
        """Add ``events`` in one transaction: all of them or none."""
        rows = [event.to_row() for event in events]
        with self._lock, self._telling():
            self._insert(rows)
            if self._moved():
                # It was set aside while it was written to: these went where nobody reads.
                self._insert(rows)

    def read(
        self,
        *,
        after: int = 0,
        since: float | None = None,
        until: float | None = None,
        names: Sequence[str] = (),
        agent: str | None = None,
        task: int | None = None,
        run: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Stored]:
        """The events with an id above ``after``, oldest first; none where there is no file yet.

        ``since`` and ``until`` are Unix seconds, the first included. Read a page at a time: what is appended
        meanwhile comes too, and no writer is ever waited for or kept waiting.
        """
        condition, values = _condition(since=since, until=until, names=names, agent=agent, task=task, run=run)
        sql = f"SELECT id, {COLUMNS} FROM events WHERE id > ?{condition} ORDER BY id LIMIT ?"  # noqa: S608
        if since is not None:
            rows = self._select("SELECT min(id) FROM events WHERE at >= ?", (since,))
            after = max(after, (rows[0][0] if rows and rows[0][0] else 0) - 1)
        left = -1 if limit is None else limit
        while left:
            page = self._select(sql, (after, *values, PAGE if left < 0 else min(PAGE, left)))
            yield from map(self._event, page)
            if len(page) < PAGE:
                return
            after, left = page[-1][0], left - len(page) if left > 0 else left

    def latest(self, count: int, **wanted: Any) -> list[Stored]:
        """The newest ``count`` events of those that ``read(**wanted)`` would give, oldest first."""
        condition, values = _condition(**wanted)
        sql = f"SELECT id, {COLUMNS} FROM events WHERE id > 0{condition} ORDER BY id DESC LIMIT ?"  # noqa: S608
        return [self._event(row) for row in reversed(self._select(sql, (*values, count)))]

    def newest_id(self) -> int:
        """The id of the newest event; 0 if there is none."""
        rows = self._select("SELECT max(id) FROM events", ())
        return int(rows[0][0] or 0) if rows else 0

    def count(self) -> int:
        rows = self._select("SELECT count(*) FROM events", ())
        return int(rows[0][0]) if rows else 0

    def prune(self, keep_days: float, most: int, *, now: float) -> int:
        """Delete what is older than ``keep_days``, then the oldest beyond ``most``; returns how many went.

        In many short transactions: no writer waits for long.
        """
        oldest = "SELECT id FROM events WHERE {} ORDER BY id LIMIT ?"
        fleeting = ", ".join(f"'{name}'" for name in FLEETING)
        went = self._delete(oldest.format("at < ?"), (now - keep_days * DAY,))
        went += self._delete(oldest.format(f"event IN ({fleeting}) AND at < ?"), (now - DAY,))
        excess = self.count() - most
        if excess > 0:
            edge = self._select("SELECT id FROM events ORDER BY id LIMIT 1 OFFSET ?", (excess,))
            went += self._delete(oldest.format("id < ?"), (edge[0][0] if edge else self.newest_id() + 1,))
        return went

    def set_aside(self) -> bool:
        """Move the file that was found Damaged away, so that the next append begins a new one; whether it is away.

        As ``damage.set_aside``, which bounds how many are kept.
        """
        with self._lock:
            self.close()
            return self._opened is not None and damage.set_aside(self.path, self._opened, self.wait)

    def heed_report(self) -> None:
        """Set the file aside if it is one in which a reader met damage."""
        found = damage.reported(self.path)
        if found is not None:
            damage.set_aside(self.path, found, self.wait)

    def close(self) -> None:
        with self._lock, ExitStack() as held:
            connections = [found for found in (self._writing, self._reading) if found is not None]
            self._writing = self._reading = None
            if connections:
                # SQLite deletes -wal and -shm by name: never those of the file that came after this one.
                with suppress(OSError, TryLater):
                    held.enter_context(damage.staying(self.path, self.wait))
            for connection in connections:
                connection.close()

    def _moved(self) -> bool:
        """Whether the file that is open here is no longer the one at ``path``."""
        is_open = self._writing is not None or self._reading is not None
        return is_open and damage.identity(self.path) != self._opened

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn SQLite's errors into ours. The connections are given up: the file may be mended meanwhile."""
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            problem = database.problem(error, self.path)
            if not isinstance(problem, TryLater):
                self.close()
            raise problem from error

    def _report(self) -> None:
        if self._opened is not None:
            damage.report(self.path, self._opened)

    def _delete(self, chosen: str, values: tuple[object, ...]) -> int:
        went = 0
        while True:
            with self._lock, self._telling():
                writing = self._writer()
                with transaction(writing):
                    sql = f"DELETE FROM events WHERE id IN ({chosen})"  # noqa: S608
                    count = writing.execute(sql, (*values, PRUNED_AT_ONCE)).rowcount
            went += count
            if count < PRUNED_AT_ONCE:
                return went

    def _select(self, sql: str, values: Iterable[object]) -> list[Any]:
        try:
            with self._lock, self._telling():
                reading = self._reader()
                return [] if reading is None else reading.execute(sql, tuple(values)).fetchall()
        except database.Damaged:
            self._report()
            raise

    def _event(self, row: Sequence[Any]) -> Stored:
        try:
            return Stored.from_row(row)
        except (TypeError, ValueError) as error:
            self._report()
            raise database.damaged(self.path, f"event {row[0]}: {error}") from error

    def _insert(self, rows: list[tuple[object, ...]]) -> None:
        writing = self._writer()
        with transaction(writing):
            writing.executemany(
                f"INSERT INTO events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                rows,
            )

    def _writer(self) -> sqlite3.Connection:
        if self._moved():
            self.close()
        if self._writing is None:
            with self._opening():
                self._writing = database.open_to_write(self.path, self.wait)
        return self._writing

    def _reader(self) -> sqlite3.Connection | None:
        if self._moved():
            self.close()
        if self._writing is None and self._reading is None and os.path.exists(self.path):
            with self._opening():
                self._reading = database.open_to_read(self.path, self.wait)
        return self._writing or self._reading

    @contextmanager
    def _opening(self) -> Iterator[None]:
        """Note which file is opened; its -wal is open, too, at the end, so that it may be moved from then on."""
        with damage.staying(self.path, self.wait):
            try:
                yield
            finally:
                self._opened = damage.identity(self.path)


def _condition(*, names: Sequence[str] = (), **wanted: float | str | None) -> tuple[str, list[object]]:
    """SQL, and its values, for what is wanted: a key of CONDITIONS each; None of one wants any."""
    chosen = {CONDITIONS[name]: value for name, value in wanted.items() if value is not None}
    parts, values = list(chosen), list[object](chosen.values())
    if names:
        parts.append("event = ?" if len(names) == 1 else f"+event IN ({', '.join('?' * len(names))})")
        values += names
    return "".join(f" AND {part}" for part in parts), values
