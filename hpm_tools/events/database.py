"""The SQLite file of events as a file: made, opened, brought to this version, and what is wrong with it said in our words."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from hpm_tools.errors import BadData, CannotCreate, HpmError, Misconfigured, TryLater
from hpm_tools.events import damage
from hpm_tools.in_place import not_ours

if TYPE_CHECKING:
    from collections.abc import Iterator

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

OLDEST = (3, 37)
"""The first SQLite that knows STRICT: to an older one a sound file looks damaged."""
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite writes beside a database, in place and by its name (https://sqlite.org/tempfiles.html)."""

PAUSE = 0.02
"""Seconds between two tries to change the mode of a file that another process is making."""

BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class Damaged(BadData):
    """A file of events that is no database, or one with broken pages."""

    kind = "events_damaged"


def open_to_write(path: str, wait: float) -> sqlite3.Connection:
    """The file at ``path``, made if there is none, in WAL mode and of this version."""
    _make_private(path)
    opened = _open(path, wait)
    try:
        _switch_to_wal(opened, wait)
        opened.execute("PRAGMA synchronous = NORMAL")
        _migrate(opened, path)
    except BaseException:
        opened.close()
        raise
    return opened


def _switch_to_wal(opened: sqlite3.Connection, wait: float) -> None:
    """Put the file into WAL mode; tried again for ``wait`` seconds while another process does the same.

    SQLite does not wait here: who holds a read lock and needs the exclusive one is told at once that it is busy, lest
    two of them wait for each other (https://sqlite.org/c3ref/busy_handler.html).
    """
    until = time.monotonic() + wait
    while True:
        try:
            opened.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in BUSY or time.monotonic() >= until:
                raise
            time.sleep(PAUSE)
        else:
            return


def open_to_read(path: str, wait: float) -> sqlite3.Connection | None:
    """The file at ``path``; None for one that its first writer is just making."""
    opened = _open(path, wait)
    try:
        opened.execute("PRAGMA query_only = 1")
        if _version(opened, path):
            return opened
    except BaseException:
        opened.close()
        raise
    opened.close()
    return None


def _open(path: str, wait: float) -> sqlite3.Connection:
    if sqlite3.sqlite_version_info < OLDEST:
        raise Misconfigured(
            f"events need SQLite 3.37 or newer, and this Python has {sqlite3.sqlite_version}",
            "run hpm with another Python, or set events.enabled to false",
        )
    if damage.emptied(path):
        raise damaged(path, "it was emptied")
    for file in (path, *(path + suffix for suffix in BESIDE)):
        problem = not_ours(file)
        if problem:
            raise Misconfigured(
                f"cannot use the events in {file}: {problem}", "move it away: the next event makes a new file"
            )
    # mode=ro would leave -wal and -shm behind where it is the last to close.
    uri = f"file:{_quoted(path)}?mode=rw"
    # autocommit: transactions are begun and ended in transaction() alone
    return sqlite3.connect(uri, uri=True, timeout=wait, isolation_level=None, check_same_thread=False)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT: a writer waits for its turn before it begins, never in the middle."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def problem(error: sqlite3.Error | OSError | UnicodeDecodeError, path: str) -> HpmError:
    """What a person is told of ``error``."""
    code = getattr(error, "sqlite_errorcode", None)
    # Python's own: SQLite quoted, or held, text that is none.
    if isinstance(error, UnicodeDecodeError) or (
        isinstance(error, sqlite3.OperationalError) and code is None
    ):
        return damaged(path, "there is text in it that is not UTF-8")
    code = (code or 0) & 0xFF
    if code in DAMAGED:
        return damaged(path, str(error))
    if isinstance(error, sqlite3.IntegrityError | sqlite3.InterfaceError | sqlite3.DataError):
        return BadData(f"an event that does not fit into {path}: {error}")
    if code in BUSY:
        return TryLater(f"another process keeps {path} locked", "try again")
    why = error.strerror if isinstance(error, OSError) else str(error)
    return CannotCreate(f"the events in {path} cannot be reached: {why}")


def damaged(path: str, why: str) -> Damaged:
    """What a person is told, and can do."""
    hint = "the next run sets it aside and begins a new one; or move it away, with its -wal and -shm"
    if len(damage.kept(path)) >= damage.MOST_KEPT:
        hint = f"{damage.MOST_KEPT} damaged ones are kept beside it: move them away, and see whether the disk is sound"
    return Damaged(f"the events in {path} cannot be read: {why}", hint)


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(path)


def _make_private(path: str) -> None:
    # One that is there is not opened: closing it would give up the locks of every connection of this process, and
    # another process would then delete the -wal that they write to.
    if not os.path.lexists(path):
        with suppress(FileExistsError):
            # no failpoint: a kill costs the event alone; test_event_store kills writers
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise CannotCreate(f"the events cannot be kept in {path}: that is no regular file")


def _version(connection: sqlite3.Connection, path: str) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version < 0:
        raise damaged(path, f"{version} is no version")
    if version > len(MIGRATIONS):
        raise Misconfigured(
            f"{path} was written by a newer version of hpm-tools", "use that version, or move the file away"
        )
    return version


def _migrate(connection: sqlite3.Connection, path: str) -> None:
    if _version(connection, path) == len(MIGRATIONS):
        return
    with transaction(connection):
        # Looked at again: whoever had its turn before may have done it.
        version = _version(connection, path)
        if version == 0 and connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            raise damaged(path, "there is something in it that is no event")
        for number in range(version, len(MIGRATIONS)):
            for statement in filter(str.strip, MIGRATIONS[number].split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
