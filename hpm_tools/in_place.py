"""Opening a private file that is written where it stands, and never a file of somebody else's by its name.

Files that are replaced by a rename need none of this: the rename changes a name, not what it led to.
Imports os and stat alone, for the quick commands use it.
"""

from __future__ import annotations

import errno
import os
import stat

FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class Shared(OSError):
    """Not a private regular file: writing it would change what stands under another name, or is another user's."""


def open_in_place(path: str | os.PathLike[str], flags: int, *, empty: bool = False) -> int:
    """Open ``path`` (0600 if it is made) by ``flags``; with ``empty`` its content goes once it is known to be ours.

    Raises Shared where a hard link, another user's file or no regular file stands there, which is left as it
    was; OSError of open(2) otherwise (ELOOP for a symbolic link). O_TRUNC must not be among the flags: it
    would empty the file before it is looked at.
    """
    fd = os.open(path, flags | FLAGS, 0o600)
    try:
        problem = _problem(os.fstat(fd))
        if problem:
            raise Shared(errno.EMLINK, problem, os.fspath(path))
        if empty:
            # no failpoint: crash logs and reports of damage, which are written anew
            os.ftruncate(fd, 0)
    except BaseException:
        os.close(fd)
        raise
    return fd


def not_ours(path: str | os.PathLike[str]) -> str:
    """Why the file at ``path`` must not be written where it stands, for what opens by name (SQLite); "" if it may."""
    try:
        return _problem(os.lstat(path))
    except OSError:
        return ""  # whoever opens it meets the same error, and says so


def _problem(found: os.stat_result) -> str:
    if not stat.S_ISREG(found.st_mode):
        return "it is not a regular file"
    # 0 names: removed since it was opened. Whoever must know compares it with what stands there now.
    if found.st_nlink > 1:
        return "it is a hard link to a file that has another name, too"
    # root may look after a user's state; whom a link of that user's leads to was checked above.
    if os.geteuid() not in (0, found.st_uid):
        return "it belongs to another user"
    return ""
