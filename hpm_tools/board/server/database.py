"""The SQLite file: short transactions, one writer at a time, readers never in its way.

WAL with synchronous=NORMAL: a killed server loses nothing that was answered; a power cut may take the
last moments before it, and never the file's integrity.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, create_engine, event
from sqlalchemy.exc import OperationalError

from hpm_tools.board.server.tables import metadata
from hpm_tools.errors import BadData, CannotCreate, Held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

BUSY_SECONDS = 5.0
"""How long a writer waits for another process that holds the file; the real server's value."""

APPLICATION_ID = 0x48504D42
""""HPMB" in the file's header: a database that is ours to write to."""
SCHEMA = 1

ROWID_LIMIT = 2**63


class DatabaseBusy(Held):
    """Another process has held the file for longer than BUSY_SECONDS."""

    def __init__(self) -> None:
        super().__init__("the board's database is held by another process", "end that process, or try again")


def rowid(number: int) -> int:
    """``number`` as a row id; one beyond SQLite's 64 bits becomes -1, which no row has."""
    return number if -ROWID_LIMIT <= number < ROWID_LIMIT else -1


class Database:
    """Connections to one SQLite file, made if absent.

    Raises CannotCreate when the file cannot be opened, BadData when it is not a board's, DatabaseBusy.
    """

    def __init__(self, path: str) -> None:
        _claim(path)
        url = URL.create("sqlite", database=path)
        self._engine = create_engine(
            url, pool_size=8, max_overflow=40, connect_args={"timeout": BUSY_SECONDS}
        )
        event.listen(self._engine, "connect", _prepare)
        event.listen(self._engine, "begin", _begin)
        self._writing = self._engine.execution_options(begin="IMMEDIATE")
        # SQLite lets waiting writers sleep and retry in no order; a lock of our own wakes the next at once.
        self._turn = threading.Lock()
        with self.write() as connection:
            metadata.create_all(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view; sees everything committed before it."""
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that nothing else writes into; committed when the block ends, undone if it raises.

        Raises DatabaseBusy when others held the file all the time.
        """
        if not self._turn.acquire(timeout=BUSY_SECONDS):
            raise DatabaseBusy
        try:
            with self._writing.begin() as connection:
                yield connection
        except OperationalError as error:
            if "locked" in str(error.orig):
                raise DatabaseBusy from error
            raise
        finally:
            self._turn.release()

    def close(self) -> None:
        self._engine.dispose()


def _claim(path: str) -> None:
    """Make the file, or see that it is ours. Somebody else's, the real server's included, stays as it is."""
    try:
        # Private from the start; SQLite gives its -wal and -shm files the mode of this one.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise CannotCreate(
            f"cannot open the board's database {path}: {error.strerror}",
            "name a file in a directory that exists and that you may write to, with --db",
        ) from error
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            problem = _foreign(connection)
            if problem is None:
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA}")
            connection.execute("ROLLBACK" if problem else "COMMIT")
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise DatabaseBusy from error
        problem = str(error)
    if problem:
        raise BadData(f"{path} cannot be the board's database: {problem}", "name another file with --db")


def _foreign(connection: sqlite3.Connection) -> str | None:
    """Why the database is none of ours; None for an empty file and for a board's."""
    ((owner,),) = connection.execute("PRAGMA application_id")
    ((version,),) = connection.execute("PRAGMA user_version")
    ((objects,),) = connection.execute("SELECT count(*) FROM sqlite_master")
    if (owner, version) == (APPLICATION_ID, SCHEMA) or (owner, version, objects) == (0, 0, 0):
        return None
    return f"it has schema {version}" if owner == APPLICATION_ID else "it is another program's"


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # sqlite3 must not begin transactions by itself; _begin does
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN " + connection.get_execution_options().get("begin", "DEFERRED"))
