"""A damaged file of events is moved beside, with the files that SQLite keeps for it, so that events go on in a new one.

SQLite finds those files by name. Whoever opens or closes the file therefore holds its directory shared, and whoever
moves it holds it alone; appending and reading hold nothing.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from hpm_tools.errors import TryLater
from hpm_tools.in_place import open_in_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    Identity = tuple[int, int]
    """Which file it is, whatever its name."""

CORRUPT = ".corrupt-"
REPORTED = ".damaged"
BESIDE = ("-shm", "-wal", "-journal")
MOST_KEPT = 3
"""Damaged files that are kept before no more is moved: none is ever deleted, and a disk that spoils each is not filled."""
BETWEEN_TRIES = 0.02


@contextmanager
def staying(path: str, wait: float) -> Iterator[None]:
    """Nobody moves the file at ``path`` away within the block; TryLater after ``wait`` seconds."""
    with _directory(path, fcntl.LOCK_SH, wait):
        yield


def identity(path: str) -> Identity | None:
    """The file that is at ``path`` now; None if there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def emptied(path: str) -> bool:
    """Whether the file at ``path`` lost what it held: SQLite would delete its -wal and call it a new one."""
    # In this order: a file that is being made has its first page before it has a -wal.
    return os.path.exists(path + "-wal") and os.path.getsize(path) == 0


def report(path: str, damaged: Identity) -> None:
    """Have the next writer set the file ``damaged`` aside: it may never come to the pages that a reader met."""
    if reported(path) == damaged:
        return
    # no failpoint: half of it names no file, and the next reader writes it again
    with suppress(OSError):
        fd = open_in_place(path + REPORTED, os.O_WRONLY | os.O_CREAT, empty=True)
        with open(fd, "w", encoding="ascii") as file:
            file.write("{}:{}".format(*damaged))


def reported(path: str) -> Identity | None:
    """The file that a reader found damaged at ``path``, there still or not; None if none was."""
    try:
        with open(path + REPORTED, encoding="ascii") as file:
            device, inode = file.read(100).split(":")
        return int(device), int(inode)
    except (OSError, ValueError):
        return None


def set_aside(path: str, damaged: Identity, wait: float) -> bool:
    """Move the file ``damaged`` from ``path`` to ``<path>.corrupt-<time>``; whether it is away now.

    It may have been moved before, by another process, whose new file stays. False if it cannot be moved within
    ``wait`` seconds, or if MOST_KEPT were moved already.
    """
    try:
        with _directory(path, fcntl.LOCK_EX, wait):
            if identity(path) == damaged:
                if len(kept(path)) >= MOST_KEPT:
                    return False
                _move(path)
            with suppress(FileNotFoundError):
                # no failpoint: a report of a file that is gone says nothing
                os.unlink(path + REPORTED)
    except (OSError, TryLater):
        return False
    return True


def kept(path: str) -> list[str]:
    """Where damaged files from ``path`` are now, oldest first."""
    directory, name = os.path.split(path)
    try:
        found = os.listdir(directory)
    except OSError:
        return []
    return sorted(
        os.path.join(directory, other)
        for other in found
        if other.startswith(name + CORRUPT) and not other.endswith(BESIDE)
    )


# no failpoint: a kill leaves nothing that the next writer does not move; test_event_damage has it
def _move(path: str) -> None:
    moved = f"{path}{CORRUPT}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(2).hex()}"
    os.chmod(path, 0o600)
    # First the file itself: killed in between, the next writer finds an empty one beside an old -wal, and moves both.
    for suffix in ("", *BESIDE):
        with suppress(FileNotFoundError):
            os.rename(path + suffix, moved + suffix)


@contextmanager
def _directory(path: str, how: int, wait: float) -> Iterator[None]:
    try:
        descriptor = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:  # then there is no file to keep in its place either
        yield
        return
    try:
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(descriptor, how | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise TryLater(f"another process is moving {path} away", "try again") from None
                time.sleep(BETWEEN_TRIES)
        yield
    finally:
        os.close(descriptor)
