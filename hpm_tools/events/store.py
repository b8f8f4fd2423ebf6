"""Events in an SQLite file that many processes append to and read at the same time."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from hpm_tools.errors import BadData, CannotCreate, HpmError, Misconfigured, TryLater

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MIGRATIONS = (
    """
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        v INTEGER NOT NULL,
        event TEXT NOT NULL,
        agent TEXT NOT NULL,
        role TEXT NOT NULL,
        board TEXT NOT NULL,
        task INTEGER,
        run TEXT,
        host TEXT NOT NULL,
        data TEXT NOT NULL
    ) STRICT;
    CREATE INDEX events_at ON events (at);
    CREATE INDEX events_event ON events (event, id);
    CREATE INDEX events_agent ON events (agent, id);
    CREATE INDEX events_task ON events (task, id) WHERE task IS NOT NULL;
    """,
)
"""What makes each version of the file from the one before; never edited, only added to."""

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
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


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
        number, at, v, event, agent, role, board, task, run, host, data = row
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
            data=json.loads(data),
        )


class Damaged(CannotCreate):
    """A file of events that is no database, or one with broken pages."""

    code = "events_damaged"


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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, events: Iterable[Stored]) -> None:
        """Add ``events`` in one transaction: all of them or none."""
        rows = [event.to_row() for event in events]
        with self._lock, self._telling():
            writing = self._writer()
            with _transaction(writing):
                writing.executemany(
                    f"INSERT INTO events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                    rows,
                )

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
            yield from map(Stored.from_row, page)
            if len(page) < PAGE:
                return
            after, left = page[-1][0], left - len(page) if left > 0 else left

    def latest(self, count: int, **wanted: Any) -> list[Stored]:
        """The newest ``count`` events of those that ``read(**wanted)`` would give, oldest first."""
        condition, values = _condition(**wanted)
        sql = f"SELECT id, {COLUMNS} FROM events WHERE id > 0{condition} ORDER BY id DESC LIMIT ?"  # noqa: S608
        return [Stored.from_row(row) for row in reversed(self._select(sql, (*values, count)))]

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

    def close(self) -> None:
        with self._lock:
            for connection in (self._writing, self._reading):
                if connection is not None:
                    connection.close()
            self._writing = self._reading = None

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn SQLite's errors into ours. The connections are given up: the file may be mended meanwhile."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            problem = _problem(error, self.path)
            if not isinstance(problem, TryLater):
                self.close()
            raise problem from error

    def _delete(self, chosen: str, values: tuple[object, ...]) -> int:
        went = 0
        while True:
            with self._lock, self._telling():
                writing = self._writer()
                with _transaction(writing):
                    sql = f"DELETE FROM events WHERE id IN ({chosen})"  # noqa: S608
                    count = writing.execute(sql, (*values, PRUNED_AT_ONCE)).rowcount
            went += count
            if count < PRUNED_AT_ONCE:
                return went

    def _select(self, sql: str, values: Iterable[object]) -> list[Any]:
        with self._lock, self._telling():
            reading = self._reader()
            return [] if reading is None else reading.execute(sql, tuple(values)).fetchall()

    def _writer(self) -> sqlite3.Connection:
        if self._writing is None:
            _make_private(self.path)
            writing = _connect(f"file:{_quoted(self.path)}?mode=rw", self.wait)
            try:
                writing.execute("PRAGMA journal_mode = WAL")
                writing.execute("PRAGMA synchronous = NORMAL")
                _migrate(writing, self.path)
            except BaseException:
                writing.close()
                raise
            self._writing = writing
        return self._writing

    def _reader(self) -> sqlite3.Connection | None:
        if self._writing is not None:
            return self._writing
        if self._reading is None and os.path.exists(self.path):
            # mode=ro would leave -wal and -shm behind where it is the last to close.
            reading = _connect(f"file:{_quoted(self.path)}?mode=rw", self.wait)
            try:
                reading.execute("PRAGMA query_only = 1")
                version = _version(reading, self.path)
            except BaseException:
                reading.close()
                raise
            if version == 0:
                # Its first writer is just making it.
                reading.close()
                return None
            self._reading = reading
        return self._reading


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT: a writer waits for its turn before it begins, never in the middle."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _problem(error: sqlite3.Error | OSError, path: str) -> HpmError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in DAMAGED:
        return Damaged(
            f"the events in {path} cannot be read: {error}",
            "move it away with its -wal and -shm; the next event makes a new one",
        )
    if isinstance(error, sqlite3.IntegrityError | sqlite3.InterfaceError | sqlite3.DataError):
        return BadData(f"an event that does not fit into {path}: {error}")
    if code in BUSY:
        return TryLater(f"another process keeps {path} locked", "try again")
    why = error.strerror if isinstance(error, OSError) else str(error)
    return CannotCreate(f"the events in {path} cannot be reached: {why}")


def _connect(uri: str, wait: float) -> sqlite3.Connection:
    # autocommit: transactions are begun and ended in _transaction alone
    return sqlite3.connect(uri, uri=True, timeout=wait, isolation_level=None, check_same_thread=False)


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(path)


def _make_private(path: str) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no regular file")
    finally:
        os.close(descriptor)


def _version(connection: sqlite3.Connection, path: str) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise Misconfigured(
            f"{path} was written by a newer version of hpm-tools", "use that version, or move the file away"
        )
    return version


def _migrate(connection: sqlite3.Connection, path: str) -> None:
    if _version(connection, path) == len(MIGRATIONS):
        return
    with _transaction(connection):
        # Looked at again: whoever had its turn before may have done it.
        for number in range(_version(connection, path), len(MIGRATIONS)):
            for statement in filter(str.strip, MIGRATIONS[number].split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")


def _condition(*, names: Sequence[str] = (), **wanted: float | str | None) -> tuple[str, list[object]]:
    """SQL, and its values, for what is wanted: a key of CONDITIONS each; None of one wants any."""
    chosen = {CONDITIONS[name]: value for name, value in wanted.items() if value is not None}
    parts, values = list(chosen), list[object](chosen.values())
    if names:
        parts.append("event = ?" if len(names) == 1 else f"+event IN ({', '.join('?' * len(names))})")
        values += names
    return "".join(f" AND {part}" for part in parts), values
