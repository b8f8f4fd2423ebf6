"""A run's own temporary directory, so that what agents and their tools leave in /tmp goes with the run.

The runner that makes it holds a lock on it (flock) for as long as it uses it, and writes down in it for which run. A start
removes those that nobody holds and of whose run nothing lives: a runner that was killed, and whose record was lost,
leaves one behind of which nothing else knows.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.errors import CannotCreate
from hpm_tools.process.identity import boot_id
from hpm_tools.process.tree import living_cookies
from hpm_tools.trees import delete_tree

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

LONGEST = 64
MARK = ".hpm-run"
GONE = ".gone"
"""Added to the name of a directory that is being removed because it was forgotten."""
_LARGEST_MARK = 4096
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK_PATIENCE = 2.0
_LOCK_PAUSE = 0.02
_NAMESPACE = "/proc/self/ns/pid"


def scratch_path(run_id: str, environ: Mapping[str, str]) -> Path:
    """Where the run's directory is: the same for every process that knows ``run_id`` and TMPDIR.

    In /tmp where TMPDIR is a long path: the CLI puts sockets below it, and Linux limits theirs to 107 bytes.
    """
    name = f"{_prefix()}{hashlib.sha256(run_id.encode()).hexdigest()[:16]}"
    path = Path(environ.get("TMPDIR") or tempfile.gettempdir(), name)
    return path if len(os.fsencode(path)) <= LONGEST else Path("/tmp", name)  # noqa: S108


def _prefix() -> str:
    return f"hpm-{os.geteuid()}-"


@contextmanager
def scratch_directory(run_id: str, environ: Mapping[str, str]) -> Iterator[Path]:
    """The run's directory, 0700, for the length of a ``with`` block; what cannot be removed at its end stays.

    Raises CannotCreate, also if somebody else's thing is in its place.
    """
    path = scratch_path(run_id, environ)
    with failpoints.around("scratch"):
        held = _make(path, run_id)
    try:
        yield path
    finally:
        remove_scratch(run_id, environ)
        if held is not None:
            os.close(held)


# no failpoint: its caller stands between two
def _make(path: Path, run_id: str) -> int | None:
    """Create the directory, mark it and lock it; the descriptor that holds the lock, None where it cannot be had."""
    until = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            found = path.lstat()
        except OSError as error:
            raise CannotCreate(
                f"the temporary directory {path}: {error.strerror}", "is TMPDIR writable?"
            ) from error
        if path.is_symlink() or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise CannotCreate(f"the temporary directory {path} is not ours alone", "remove it")
        held, busy = _lock(path)
        # A start of another agent may just have removed what a killed run of the same id had left there.
        if held is not None and _stands_at(held, path):
            _mark(held, run_id)
            return held
        if held is not None:
            os.close(held)
        elif not busy or time.monotonic() > until:
            # The run needs the directory, not the lock; without a mark nobody else removes it.
            with suppress(OSError):
                (path / MARK).unlink()
            return None
        time.sleep(_LOCK_PAUSE)


def _lock(path: Path) -> tuple[int | None, bool]:
    """A descriptor of the directory that holds its lock, or None; and whether another try may do better."""
    try:
        fd = os.open(path, _DIRECTORY)
    except OSError as error:
        return None, isinstance(error, FileNotFoundError)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        return None, isinstance(error, BlockingIOError)
    return fd, True


def _stands_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.lstat())
    except OSError:
        return False


# no failpoint: a mark that is not whole is none, and the directory is left where it is
def _mark(directory: int, run_id: str) -> None:
    """Note whose directory it is. Without the mark, as on a full disk, it is merely left where its runner dies."""
    with suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        fd = os.open(MARK, flags, 0o600, dir_fd=directory)
        with open(fd, "w", encoding="utf-8") as file:
            json.dump({"run": run_id, "seen_from": _seen_from()}, file)


def _seen_from() -> str:
    """What tells from where all processes of a run can be seen: this boot, and this namespace of process numbers.

    In containers that share /tmp the processes of the others are not seen. Source: pid_namespaces(7).
    """
    return f"{boot_id()} {os.readlink(_NAMESPACE)}"


def remove_scratch(run_id: str, environ: Mapping[str, str]) -> None:
    """Remove the directory with all it holds, if it is there; what cannot be removed stays."""
    with failpoints.around("scratch"), suppress(OSError):
        delete_tree(scratch_path(run_id, environ))


def remove_forgotten(environ: Mapping[str, str], known: Collection[str]) -> None:
    """Remove the directories of this user's runs that are over without anybody having removed them.

    Only where that is certain: the maker is gone (nobody holds the lock), it was of this boot and of our namespace of
    process numbers, and no living process carries the run's id. All others stay, and so do those of the runs ``known``,
    whose runner removes them.
    """
    held: dict[Path, int] = {}
    try:
        for path in _all(environ):
            fd, _ = _lock(path)
            if fd is not None:
                held[path] = fd
        # After the locks: a run's first process begins while its runner holds the lock.
        owners = {path: _run_of(path) for path in held}
        living = living_cookies() if any(owners.values()) else None
        over = [
            path
            for path, run_id in owners.items()
            if path.name.endswith(GONE)
            or (living is not None and run_id is not None and run_id not in known and run_id not in living)
        ]
        for path in over:
            _take_away(path, held[path])
    finally:
        for fd in held.values():
            os.close(fd)


def _take_away(path: Path, held: int) -> None:
    """Rename it first: another runner that goes on with the run gets a new directory, and never this one half removed."""
    gone = path.with_name(path.name.removesuffix(GONE) + GONE)
    with failpoints.around("scratch"), suppress(OSError):
        if _stands_at(held, path):
            path.rename(gone)
            delete_tree(gone)


def _all(environ: Mapping[str, str]) -> list[Path]:
    form = re.compile(rf"{re.escape(_prefix())}[0-9a-f]{{16}}(?:{re.escape(GONE)})?")
    try:
        with os.scandir(scratch_path("", environ).parent) as entries:
            return [
                Path(entry.path)
                for entry in entries
                if form.fullmatch(entry.name) and entry.stat(follow_symlinks=False).st_uid == os.geteuid()
            ]
    except OSError:
        return []


def _run_of(path: Path) -> str | None:
    """The run that the directory's mark names, if it is of this boot and of our namespace; else None."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(path / MARK, flags), "rb") as file:
            said = json.loads(file.read(_LARGEST_MARK))
        run_id, seen_from = said["run"], said["seen_from"]
        # An agent may write there, too: the directory's name says of which run it is.
        named = scratch_path(run_id, {"TMPDIR": "/"}).name == path.name
        return str(run_id) if named and seen_from == _seen_from() else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
