"""A file of events beside the database, one JSON object a line, that the next writer takes in.

For commands that must not pay for opening a database, and for what the database had no room for at the end.
Imports little: fcntl, os, time and in_place.
"""

from __future__ import annotations

import fcntl
import os
import time

from hpm_tools.in_place import open_in_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SUFFIX = ".spool"
LARGEST = 8 << 20
"""Bytes; what would make it larger is not written."""
TRIES = 40
BETWEEN_TRIES = 0.005
FLAGS = os.O_RDWR | os.O_APPEND


# no failpoint: a kill costs the event alone; test_event_store kills writers
def append(path: str, lines: bytes) -> bool:
    """Add whole ``lines`` to the file at ``path``; False, and nothing raised, if that cannot be done soon."""
    try:
        descriptor = open_in_place(path, FLAGS | os.O_CREAT)
    except OSError:
        return False
    try:
        if not _locked(descriptor):
            return False
        size = os.fstat(descriptor).st_size
        if size + len(lines) > LARGEST:
            return False
        # A writer that was killed, or met a full disk, may have left half a line; it must not swallow ours.
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            lines = b"\n" + lines
        return os.write(descriptor, lines) == len(lines)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    for _ in range(TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(BETWEEN_TRIES)
    return False


def take(path: str, keep: Callable[[bytes], None]) -> None:
    """Hand the file's lines to ``keep`` and empty it; nothing happens while another process is at it.

    What ``keep`` raises leaves the file as it is.
    """
    try:
        descriptor = open_in_place(path, FLAGS)
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lines = os.pread(descriptor, LARGEST, 0)
        if lines:
            keep(lines)
            # no failpoint: a kill costs the event alone; test_event_store kills writers
            os.ftruncate(descriptor, 0)
    except OSError:
        return
    finally:
        os.close(descriptor)
