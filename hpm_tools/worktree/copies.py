"""Copies of git's own small files as they were before a run, for the commands that put them back.

They lie in a directory that the caller names, where no agent writes, under the digest of what they hold and its mode: a
file that no run changes is copied once. As all state they are for the user alone, whatever the mode of the file was.
"""

from __future__ import annotations

import fcntl
import os
import shlex
from typing import TYPE_CHECKING

from hpm_tools.errors import CannotCreate

if TYPE_CHECKING:
    from pathlib import Path

LENGTH = 24
"""Characters of a digest in a name: enough to tell files apart, and short in a command."""


class Copies:
    """The copies in ``directory``; none are made or known where that is None."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def keep(self, digest: str, content: bytes, mode: int) -> None:
        """Keep a file's content under its ``digest``. Raises CannotCreate."""
        if self._directory is None:
            return
        path = self._directory / f"{digest[:LENGTH]}.{mode & 0o777:o}"
        try:
            os.utime(path)  # whoever removes old ones sees that this is in use
            return
        except FileNotFoundError:
            pass
        except OSError as error:
            raise CannotCreate(f"cannot use {path}: {error.strerror}") from error
        write(path, content)

    def of(self, digest: str) -> Path | None:
        """Where the copy with ``digest`` is, or None if there is none."""
        found = self._directory.glob(f"{digest[:LENGTH]}.*") if self._directory is not None else ()
        return next((path for path in found if path.is_file()), None)

    def put_back(self, digest: str, file: Path) -> str | None:
        """The command that makes ``file`` what it was, or None."""
        copy = self.of(digest)
        if copy is None:
            return None
        # First away: where a link stands now, cp would write to what it names.
        there = shlex.quote(str(file))
        return f"rm -f {there} && cp {shlex.quote(str(copy))} {there} && chmod {copy.suffix[1:]} {there}"


def write(path: Path, content: bytes) -> None:
    """Make the file at ``path`` whole, or not at all. Raises CannotCreate."""
    try:
        if not _write_once(path, content):
            _write_once(path, content)
    except OSError as error:
        hint = "free some disk space, then repeat"
        raise CannotCreate(f"cannot write {path}: {error.strerror}", hint) from error


# no failpoint: nothing counts before its rename, and a crash has it swept or made anew
def _write_once(path: Path, content: bytes) -> bool:
    """False when a sweep took the half file, made but not yet locked, for a dead writer's (state/files.py)."""
    half = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    fd = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.write(content)
        file.flush()
        try:
            os.replace(half, path)
        except FileNotFoundError:
            return False
    return True
