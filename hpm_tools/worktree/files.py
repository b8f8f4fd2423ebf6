"""Files below a directory, reached without following a symbolic link that an agent may have put there."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from hpm_tools import failpoints

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


UNSAFE = frozenset({"", ".", "..", ".git"})


def parts(path: str) -> list[str]:
    """The components of ``path``, which must stay below where it starts and out of git's own directory.

    Git itself never writes others, but an agent can make trees and archives that hold them. Raises OSError.
    """
    found = path.split("/")
    for part in found:
        # Some file systems do not tell case apart, and some ignore invisible characters.
        if "".join(filter(str.isprintable, part)).casefold() in UNSAFE or "\0" in part:
            raise OSError(errno.EINVAL, "a path that leads elsewhere", path)
    return found


def descend(top: Path, parents: Sequence[str], *, make: bool) -> int:
    """A file descriptor of the directory ``parents`` below ``top``, made if asked for. Raises OSError."""
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in parents:
        try:
            if make:
                try:
                    # no failpoint: an empty directory says nothing; it is made, or removed, again
                    os.mkdir(part, dir_fd=fd)
                except FileExistsError:
                    pass
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


def _half(name: str) -> str:
    """What a file is called until it is whole."""
    return f".{name[:100]}.hpm-new"


def drop_half(top: Path, path: str) -> None:
    """Remove what a ``put`` of ``path`` left that was killed. Raises OSError."""
    *parents, name = parts(path)
    try:
        fd = descend(top, parents, make=False)
    except OSError:
        return
    try:
        # no failpoint: nothing counts before its rename, and a crash has it swept or made anew
        os.unlink(_half(name), dir_fd=fd)
    except FileNotFoundError:
        pass
    finally:
        os.close(fd)


# no failpoint: nothing counts before its rename, and a crash has it swept or made anew
def put(top: Path, path: str, content: bytes, mode: int) -> None:
    """Write a file anew, replacing what is there, in one step. Raises OSError."""
    *parents, name = parts(path)
    fd = descend(top, parents, make=True)
    temporary = _half(name)
    try:
        try:
            os.unlink(temporary, dir_fd=fd)
        except FileNotFoundError:
            pass
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        writing = os.open(temporary, flags, mode, dir_fd=fd)
        with os.fdopen(writing, "wb") as file:
            file.write(content)
            os.fchmod(writing, mode)
        with failpoints.around("place"):
            os.replace(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
    finally:
        os.close(fd)


def put_link(top: Path, path: str, target: str | bytes) -> None:
    """Make a symbolic link, replacing what is there. Raises OSError."""
    *parents, name = parts(path)
    fd = descend(top, parents, make=True)
    try:
        with failpoints.around("place"):
            try:
                os.unlink(name, dir_fd=fd)
            except FileNotFoundError:
                pass
            os.symlink(target, name, dir_fd=fd)
    finally:
        os.close(fd)


def drop(top: Path, path: str) -> None:
    """Remove a file, and the directories above it that it leaves empty. Raises OSError."""
    *parents, name = parts(path)
    try:
        fd = descend(top, parents, make=False)
    except FileNotFoundError:
        return
    try:
        with failpoints.around("place"):
            os.unlink(name, dir_fd=fd)
    except FileNotFoundError:
        pass
    finally:
        os.close(fd)
    drop_empty(top, parents)


def drop_empty(top: Path, parents: Sequence[str]) -> None:
    """Remove the directory ``parents`` below ``top`` and those above it, as far as they are empty."""
    for count in range(len(parents), 0, -1):
        try:
            # no failpoint: an empty directory says nothing; it is made, or removed, again
            os.rmdir(os.path.join(top, *parents[:count]))
        except OSError:
            return
