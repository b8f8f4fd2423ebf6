"""Guards: exclusion on this host that ends with its holder, however that ends.

A guard is a file that is flocked (not lockf, which an unrelated close of the same file would drop) and
never replaced. The kernel frees it when the holder dies, so a free guard is the proof that it did.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from hpm_tools import failpoints
from hpm_tools.errors import CannotCreate, Held, Misconfigured
from hpm_tools.in_place import Shared, open_in_place
from hpm_tools.names import agent_id as valid_agent_id
from hpm_tools.state.paths import GUARD_SUFFIX, StateDir, task_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_POLL = 0.02
_ONLY_LOOKED_AT = 1.0
"""Seconds for which a guard that is merely being looked at is tried again."""
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

_mine: set[tuple[int, int]] = set()
"""Device and inode of the guards that this process holds."""


class Guard:
    """One guard file, held from ``acquire`` to ``release`` or for the length of a ``with`` block.

    Entering the block raises Held if somebody else holds it. Programs that the holder starts do not
    inherit it. ``what`` names what is guarded, for messages.
    """

    __slots__ = ("_fd", "path", "what")

    def __init__(self, path: str, what: str = "") -> None:
        self.path = path
        self.what = what or path
        self._fd: int | None = None

    @property
    def acquired(self) -> bool:
        """Whether this object holds the guard."""
        return self._fd is not None

    def intact(self) -> bool:
        """Whether it is held and its file still stands there: a removed guard excludes nobody any more."""
        return self._fd is not None and _stands_at(self._fd, self.path)

    def acquire(self, wait: float = 0.0) -> bool:
        """Take the guard, waiting up to ``wait`` seconds; False if somebody else still holds it then.

        Taking a guard that this object holds is True. Raises Misconfigured when something other than a
        regular file stands there, CannotCreate when it cannot be made.
        """
        if self._fd is not None:
            return True
        now = time.monotonic()
        deadline, patience = now + wait, now + _ONLY_LOOKED_AT
        while True:
            fd = _open(self.path, _FLAGS | os.O_CREAT)
            try:
                if _take(fd, self.path):
                    self._keep(fd)
                    return True
                limit = patience if _only_looked_at(fd, self.path) else deadline
            finally:
                if self._fd != fd:
                    os.close(fd)
            left = limit - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(_POLL, left))

    def _keep(self, fd: int) -> None:
        _mine.add(_identity(fd))
        try:
            _show_holder(fd)
            self._fd = fd
        except BaseException:
            _mine.discard(_identity(fd))
            raise

    def release(self) -> None:
        """Let go of the guard; nothing if this object does not hold it. The file stays."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            _mine.discard(_identity(fd))
            os.close(fd)

    def __enter__(self) -> Self:
        if not self.acquire():
            pid = holder_pid(self.path)
            by = f" by process {pid}" if pid else ""
            raise Held(f"{self.what} is already being worked{by} on this host", "try again later", pid=pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def refuse_unusable(path: str) -> None:
    """Raise what `acquire` would of something that stands in the place of a guard; nothing is made, taken or changed."""
    if os.path.lexists(path):
        os.close(_open(path, _FLAGS))


def _open(path: str, flags: int) -> int:
    try:
        return open_in_place(path, flags)
    except Shared as error:
        import shlex  # here, for it loads re, which the quick commands do without

        raise Misconfigured(
            f"cannot use the guard {path}: {error.strerror}",
            f"nothing was written to it; take this name away, and a new guard is made: rm {shlex.quote(path)}",
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise CannotCreate(f"cannot make the guard {path}: {error.strerror}") from error
        import shlex

        named = shlex.quote(path)
        raise Misconfigured(
            f"cannot use the guard {path}: {error.strerror}",
            f"it must be a regular file of this user; what stands there may be moved: mv {named} {named}.aside",
        ) from error


def _take(fd: int, path: str) -> bool:
    if not _flock(fd, path, fcntl.LOCK_EX):
        return False
    # A pruned guard is nobody's any more: the next comer would lock a new file.
    return _stands_at(fd, path)


def _stands_at(fd: int, path: str) -> bool:
    try:
        there = os.stat(path, follow_symlinks=False)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == _identity(fd)


def _identity(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def _flock(fd: int, path: str, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise Misconfigured(
            f"the file system of {path} cannot lock files: {error.strerror}",
            "keep the state on a local disk: set HEADLESS_PM_HOME",
        ) from error
    return True


def _only_looked_at(fd: int, path: str) -> bool:
    """Whether nobody holds it exclusively: ``held`` looks with a shared lock, for an instant."""
    return _flock(fd, path, fcntl.LOCK_SH)


# no failpoint: for people to read; the lock on the file is what counts
def _show_holder(fd: int) -> None:
    # For people only, and so worth no failure: the lock is the truth, and a full disk does not undo it.
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, b"%d\n" % os.getpid(), 0)
    except OSError:
        pass


def held(path: str) -> bool:
    """Whether anybody, this process included, holds the guard. Does not keep or make it."""
    try:
        fd = os.open(path, (_FLAGS & ~os.O_RDWR) | os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Misconfigured(
            f"cannot use the guard {path}: {error.strerror}", "check its owner and permissions"
        ) from error
    try:
        return not _only_looked_at(fd, path)
    finally:
        os.close(fd)


def held_by_other(path: str) -> bool:
    """Whether another process holds the guard."""
    try:
        found = os.stat(path, follow_symlinks=False)
    except OSError:
        return held(path)
    return (found.st_dev, found.st_ino) not in _mine and held(path)


def holder_pid(path: str) -> int | None:
    """The pid that the guard's last holder wrote into it: for display, never for a decision."""
    try:
        fd = os.open(path, (_FLAGS & ~os.O_RDWR) | os.O_RDONLY)
    except OSError:
        return None
    try:
        text = os.read(fd, 32).strip()
        return int(text) if text.isdigit() else None
    except OSError:
        return None
    finally:
        os.close(fd)


def agent_guard(state: StateDir, agent_id: str) -> Guard:
    """The guard that a runner holds for its whole life, and a command while it writes the agent's record."""
    path = state.guard_file(valid_agent_id(agent_id))
    state.prepare()
    _refuse_same_file(path)
    return Guard(path, f"agent {agent_id}")


def _refuse_same_file(path: str) -> None:
    """Misconfigured if two agent ids that differ only in case would share one file."""
    directory, name = os.path.split(path)
    for other in os.listdir(directory):
        if other != name and other.casefold() == name.casefold():
            try:
                same = os.path.samefile(os.path.join(directory, other), path)
            except OSError:
                continue
            if same:
                raise Misconfigured(
                    f"{other} and {name} are one file here: this file system does not tell their case apart",
                    "choose agent ids that differ in more than case",
                )


def task_guard(state: StateDir, board: str, task_id: int, created_at: str) -> Guard:
    """The guard of one task on this host, held from before the board's lock until after clean-up."""
    state.prepare(state.tasks)
    return Guard(
        os.path.join(state.tasks, task_name(board, task_id, created_at) + GUARD_SUFFIX), f"task {task_id}"
    )


def remove_if_free(path: str) -> bool:
    """Remove a task's guard that nobody holds; False if somebody does.

    Safe because it is removed while held, and whoever waited for it finds that its file is gone and
    makes a new one.
    """
    guard = Guard(path)
    if not os.path.lexists(path) or not guard.acquire():
        return False
    try:
        with failpoints.around("state"):
            os.unlink(path)
    finally:
        guard.release()
    return True
