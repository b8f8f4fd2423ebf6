"""Directory trees as agents and their tools leave them: of any depth, and with directories made read-only.

The standard library's rmtree, walk and rglob recurse: a tree a thousand directories deep ended the runner
that met it with a RecursionError, and every one after it.
"""

# no failpoints in this module: guarded by whoever has a tree deleted

from __future__ import annotations

import os
import stat
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def walk(
    top: str | os.PathLike[str], on_error: Callable[[OSError], object] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each directory at and below ``top``, before those in it: its path, its directories' names, all its other names.

    Symbolic links are not followed. Names taken out of the directories are not looked into.
    """
    waiting = [os.fspath(top)]
    while waiting:
        here = waiting.pop()
        directories: list[str] = []
        others: list[str] = []
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    (directories if entry.is_dir(follow_symlinks=False) else others).append(entry.name)
        except OSError as error:
            if on_error is not None:
                on_error(error)
            continue
        yield here, directories, others
        waiting += [os.path.join(here, name) for name in directories]


def delete_tree(top: str | os.PathLike[str]) -> None:
    """Delete a directory and all it holds; nothing if it is not there.

    Directories further down are moved up before they are emptied, so that no path grows too long. What can be
    deleted is, whatever cannot; then the first OSError is raised.
    """
    try:
        _permit(None, os.fspath(top))
        fd = os.open(top, _DIRECTORY)
    except FileNotFoundError:
        return
    failed: dict[str, OSError] = {}
    try:
        while names := [name for name in os.listdir(fd) if name not in failed]:
            for name in names:
                try:
                    _delete(fd, name)
                except OSError as error:
                    failed[name] = error
    finally:
        os.close(fd)
    for failure in failed.values():
        if not isinstance(failure, FileNotFoundError):
            raise failure
    try:
        os.rmdir(top)
    except FileNotFoundError:
        return


def _delete(top: int, name: str) -> None:
    """Delete the entry ``name`` of ``top``; the directories in it become entries of ``top``."""
    if not _permit(top, name):
        os.unlink(name, dir_fd=top)
        return
    fd = os.open(name, _DIRECTORY, dir_fd=top)
    failure: OSError | None = None
    try:
        for inner in os.listdir(fd):
            try:
                if _permit(fd, inner):
                    os.rename(inner, uuid.uuid4().hex, src_dir_fd=fd, dst_dir_fd=top)
                else:
                    os.unlink(inner, dir_fd=fd)
            except OSError as error:
                failure = failure or error
    finally:
        os.close(fd)
    if failure is not None:
        raise failure
    os.rmdir(name, dir_fd=top)


def _permit(parent: int | None, name: str) -> bool:
    """Whether it is a directory; then its owner may list, empty and move it from now on."""
    mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    if not stat.S_ISDIR(mode):
        return False
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(name, stat.S_IRWXU, dir_fd=parent)
    return True
