"""Exclusion per repository, and the lock files that a killed git leaves behind."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from hpm_tools import failpoints
from hpm_tools.errors import CannotCreate, Held
from hpm_tools.in_place import open_in_place

if TYPE_CHECKING:
    from types import TracebackType

POLL = 0.02
BUSY_PATIENCE = 10.0
"""Seconds to wait for a git that has its lock file open; git holds one for milliseconds, a big checkout longer."""

DEAD_AFTER = 1.0
"""Seconds for which a lock file must have stayed as it is, with nobody having it open, to count as left behind."""

UNABLE = re.compile(r"Unable to create '([^'\n]+\.lock)': File exists")


class RepositoryGuard:
    """An flock on a file in the repository's git directory; it ends with its holder, however that ends.

    As a context manager it waits for ``patience`` seconds and raises Held after that.
    """

    def __init__(self, path: Path, what: str, patience: float = 120.0, *, make_parent: bool = True) -> None:
        self.path = path
        self.what = what
        self.patience = patience
        self.make_parent = make_parent
        self._fd: int | None = None

    @property
    def acquired(self) -> bool:
        """Whether this object holds the guard."""
        return self._fd is not None

    def acquire(self, wait: float = 0.0) -> bool:
        """Take the guard, waiting up to ``wait`` seconds; False if somebody else has it.

        Raises CannotCreate if the file cannot be made.
        """
        deadline = time.monotonic() + wait
        while self._fd is None:
            fd = self._open()
            if self._flock(fd):
                self._fd = fd
                break
            os.close(fd)
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL)
        return True

    def release(self) -> None:
        """Let go; nothing if this object does not hold it. The file stays."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        if not self.acquire(self.patience):
            raise Held(f"{self.what} is in use by another process", "try again later", path=str(self.path))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _open(self) -> int:
        try:
            try:
                return self._open_file()
            except OSError:
                if not self._move_aside():
                    raise
                return self._open_file()
        except OSError as error:
            raise CannotCreate(f"cannot use the guard {self.path}: {error.strerror}") from error

    # no failpoint: an empty file whose lock is what counts
    def _open_file(self) -> int:
        if self.make_parent:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            if self.path.parent.is_symlink():
                raise NotADirectoryError(errno.ENOTDIR, "its directory is a link", str(self.path.parent))
        return open_in_place(self.path, os.O_RDWR | os.O_CREAT)

    def _move_aside(self) -> bool:
        """Rename what an agent put in the guard's place or its directory's; True if there was any.

        Else one agent's directory or link there would end every later runner of the repository.
        """
        moved = False
        for path, is_right in ((self.path.parent, _is_directory), (self.path, _is_own_file)):
            if (path == self.path or self.make_parent) and os.path.lexists(path) and not is_right(path):
                with failpoints.around("mending"):
                    _rename_aside(path)
                moved = True
        return moved

    def _flock(self, fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            there = os.stat(self.path, follow_symlinks=False)
        except OSError:
            return False
        mine = os.fstat(fd)
        # A guard file that was replaced guards nothing: the next comer would lock the new one.
        return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _is_directory(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)


def _is_own_file(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def free_dead(stderr: str, common_dir: Path) -> bool:
    """Deal with the lock file that made git fail with ``stderr``; True if trying again makes sense.

    Waits while a living process has it open, and removes it once nobody has. Files outside ``common_dir``
    are not touched.
    """
    found = UNABLE.search(stderr)
    if found is None:
        return False
    path = Path(found.group(1))
    if not path.is_absolute() or common_dir not in Path(os.path.realpath(path.parent), path.name).parents:
        return False
    return _wait_or_remove(path)


def _wait_or_remove(path: Path) -> bool:
    deadline = time.monotonic() + BUSY_PATIENCE
    seen: tuple[int, int, int] | None = None
    unused_since = time.monotonic()
    while time.monotonic() < deadline:
        now = _state(path)
        if now is None:
            return True
        if now != seen or _open_somewhere(path):
            seen, unused_since = now, time.monotonic()
        elif time.monotonic() - unused_since >= DEAD_AFTER:
            with failpoints.around("removal"):
                _take_away(path)
            return True
        time.sleep(5 * POLL)
    return False


# no failpoint: guarded by its caller
def _take_away(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        # No git made that, and it may hold something.
        _rename_aside(path)
    else:
        path.unlink(missing_ok=True)


# no failpoint: guarded by its callers
def _rename_aside(path: Path) -> None:
    os.rename(path, path.with_name(f"{path.name}.of-agent-{time.time_ns()}"))


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _open_somewhere(path: Path) -> bool:
    """Whether a process that we may look at has ``path`` open; True where that cannot be told."""
    try:
        found = path.stat()
        pids = [name for name in os.listdir("/proc") if name.isdigit()]
    except FileNotFoundError as error:
        return bool(error.filename == "/proc")
    return any(_has_open(pid, (found.st_dev, found.st_ino)) for pid in pids)


def _has_open(pid: str, wanted: tuple[int, int]) -> bool:
    directory = f"/proc/{pid}/fd"
    try:
        numbers = os.listdir(directory)
    except OSError:
        return False
    for number in numbers:
        try:
            found = os.stat(f"{directory}/{number}")
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == wanted:
            return True
    return False
