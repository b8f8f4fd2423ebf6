"""Small files that survive a crash: capped reads, whole-or-nothing writes, exclusion between writers."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time

from hpm_tools import failpoints
from hpm_tools.errors import BadData, CannotCreate, Held, Misconfigured

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

SUFFIX = ".tmp"
LOCK_WAIT = 10.0
"""Seconds to wait for another writer; they hold a file for milliseconds, unless one was stopped."""
_POLL = 0.002
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
NO_ROOM = {
    errno.ENOSPC: "free some disk space, then repeat",
    errno.EDQUOT: "the disk quota is used up: free some space, then repeat",
    errno.EFBIG: "a file size limit (ulimit -f) is in force: raise it, then repeat",
}


class NotARegularFile(BadData):
    """A directory, FIFO, socket, device or symbolic link stands where a state file belongs."""

    kind = "not_a_regular_file"


class TooLarge(BadData):
    """A state file is larger than anything that was ever written there."""

    kind = "too_large"


class Unreadable(Misconfigured):
    """A state file exists and the system refuses to read it: nothing may be concluded from that."""

    kind = "unreadable"


def read_capped(path: str, limit: int) -> bytes | None:
    """The whole file, or None if there is none.

    Neither follows a link nor waits for a FIFO's writer. Raises NotARegularFile, TooLarge (more than
    ``limit`` bytes) and Unreadable.
    """
    fd = _open(path, _READ_FLAGS)
    if fd is None:
        return None
    try:
        return _read(fd, path, limit)
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(fd)


def _open(path: str, flags: int) -> int | None:
    """A descriptor of the regular file at ``path``; None if there is nothing."""
    try:
        # no failpoint: an empty file that is locked before it is used
        fd = os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno == errno.ENOENT and not flags & os.O_CREAT:
            return None
        # ELOOP: a symbolic link; ENXIO: a socket; EISDIR: a directory opened with O_CREAT.
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise _not_regular(path) from None
        if flags & os.O_CREAT:
            raise unwritable(path, error) from error
        raise _unreadable(path, error) from error
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise _not_regular(path)


def _read(fd: int, path: str, limit: int) -> bytes:
    chunks: list[bytes] = []
    left = limit + 1
    while left > 0 and (chunk := os.read(fd, min(left, 1 << 20))):
        chunks.append(chunk)
        left -= len(chunk)
    if left <= 0:
        raise TooLarge(f"{path} is larger than {limit} bytes")
    return b"".join(chunks)


def _not_regular(path: str) -> NotARegularFile:
    import shlex  # here, for it loads re, which the quick commands do without

    return NotARegularFile(
        f"{path} is not a regular file", f"move it away: mv {shlex.quote(path)} {shlex.quote(path)}.aside"
    )


def _unreadable(path: str, error: OSError) -> Unreadable:
    return Unreadable(
        f"cannot read {path}: {error.strerror}",
        "give it back to its user (a command run by sudo may have made it), or check the disk",
    )


def atomic_write(path: str, data: bytes, *, exclusive: bool = False) -> None:
    """Replace ``path`` by ``data`` so that a crash, at any point, leaves the old content or the new.

    The file is 0600. With ``exclusive`` an existing ``path`` raises FileExistsError instead. Raises
    CannotCreate (disk full, read-only, no permission), with the old content intact.
    """
    try:
        while not _write_once(path, data, exclusive):
            continue
        failpoints.reach("file.replaced")
        sync_directory(os.path.dirname(path))
    except FileExistsError:
        raise
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: str, error: OSError) -> CannotCreate:
    """What a write to ``path`` that failed with ``error`` means, and what to do about it."""
    return CannotCreate(f"cannot write {path}: {error.strerror}", _hint(error))


def _hint(error: OSError) -> str:
    return NO_ROOM.get(error.errno or 0, "check the directory's owner and permissions")


# no failpoint: nothing counts before its rename, and a crash has it swept or made anew
def _write_once(path: str, data: bytes, exclusive: bool) -> bool:
    """False when a sweep took the temporary file, made but not yet locked, for a dead writer's."""
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}.{os.getpid()}-{os.urandom(4).hex()}{SUFFIX}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
        failpoints.reach("file.written")
        _move(temporary, path, exclusive)
        return True
    except (BlockingIOError, FileNotFoundError):
        if not os.path.isdir(directory):
            raise
        return False
    finally:
        _unlink(temporary)
        os.close(fd)


# no failpoint: between file.written and file.replaced
def _move(temporary: str, path: str, exclusive: bool) -> None:
    if not exclusive:
        os.replace(temporary, path)
        return
    try:
        os.link(temporary, path, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from None
        os.rename(temporary, path)


def _unlink(path: str) -> None:
    try:
        # no failpoint: nothing counts before its rename, and a crash has it swept or made anew
        os.unlink(path)
    except OSError:
        pass


def remove(path: str) -> None:
    """Remove a file, durably; raises FileNotFoundError, and CannotCreate when the directory cannot be changed."""
    try:
        failpoints.reach("file.removing")
        os.unlink(path)
        failpoints.reach("file.removed")
        sync_directory(os.path.dirname(path))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CannotCreate(f"cannot remove {path}: {error.strerror}", _hint(error)) from error


def sync_directory(path: str) -> None:
    """Make renames and removals in ``path`` durable."""
    fd = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        # Some file systems cannot sync a directory and say EINVAL; their renames are durable or never will be.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(fd)


def sweep(directory: str) -> list[str]:
    """Remove the temporary files of dead writers and return their paths.

    A writer holds a lock on its temporary file, so a free one is proof, whatever its age.
    """
    try:
        names = [name for name in os.listdir(directory) if name.startswith(".") and name.endswith(SUFFIX)]
    except OSError:
        return []
    paths = [os.path.join(directory, name) for name in names]
    return [path for path in paths if _sweep_one(path)]


def remove_older(
    directory: str,
    days: float,
    wanted: Callable[[str], bool],
    when: Callable[[os.stat_result], float] = lambda status: status.st_mtime,
) -> list[str]:
    """Remove the files of ``directory`` whose name is ``wanted`` and that are older than ``days``; returns their paths.

    Their age is that of what they say, unless ``when`` says otherwise. One that cannot be removed is left.
    """
    before, gone = time.time() - days * 86400.0, []
    try:
        names = [name for name in os.listdir(directory) if wanted(name)]
    except OSError:
        return []
    for path in (os.path.join(directory, name) for name in names):
        try:
            if when(os.lstat(path)) < before:
                with failpoints.around("state"):
                    os.unlink(path)
                gone.append(path)
        except OSError:
            continue
    return gone


def _sweep_one(path: str) -> bool:
    try:
        fd = os.open(path, _READ_FLAGS)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # no failpoint: nothing counts before its rename, and a crash has it swept or made anew
        os.unlink(path)
        return True
    except OSError:
        return False
    finally:
        os.close(fd)


class Exclusive:
    """A file locked against other writers of this module for the length of a ``with`` block.

    Writers replace the file by renaming, so whoever gets the lock checks that what it locked still
    stands at ``path`` and otherwise starts again: the lock always belongs to the newest file.
    ``exists`` is False when there is no file, and then nothing is locked; ``create`` makes it first.
    Raises Held if another writer keeps it for ``wait`` seconds.
    """

    __slots__ = ("_create", "_fd", "_wait", "path")

    def __init__(self, path: str, *, create: bool = False, wait: float = LOCK_WAIT) -> None:
        self.path = path
        self._create = create
        self._wait = wait
        self._fd: int | None = None

    @property
    def exists(self) -> bool:
        return self._fd is not None

    def read(self, limit: int) -> bytes:
        """The locked file's content; TooLarge beyond ``limit`` bytes."""
        if self._fd is None:
            return b""
        try:
            os.lseek(self._fd, 0, os.SEEK_SET)
            return _read(self._fd, self.path, limit)
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def __enter__(self) -> Self:
        deadline = time.monotonic() + self._wait
        flags = _READ_FLAGS | (os.O_CREAT if self._create else 0)
        while (fd := _open(self.path, flags)) is not None:
            try:
                if self._lock(fd, deadline) and _stands_at(fd, self.path):
                    self._fd = fd
                    return self
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)
            if time.monotonic() >= deadline:
                raise Held(f"another process is writing {self.path}", "try again in a moment")
        return self

    def _lock(self, fd: int, deadline: float) -> bool:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(_POLL)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _stands_at(fd: int, path: str) -> bool:
    try:
        there = os.stat(path, follow_symlinks=False)
    except OSError:
        return False
    mine = os.fstat(fd)
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)
