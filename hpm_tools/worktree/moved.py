"""A worktree that its agent moved elsewhere: found again, and put back where its task looks for it.

Where a directory went only the kernel knows, and says so of a descriptor that was opened before (proc(5), /proc/pid/fd).
A runner that takes over, and a system without /proc, have none: they look around the place where it was.
"""

from __future__ import annotations

import os
import shlex
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.worktree import nearby
from hpm_tools.worktree.layout import kept_in
from hpm_tools.worktree.place import read_pointer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpm_tools.worktree.place import Place

DESCRIPTORS = "/proc/self/fd"
_held: dict[str, int] = {}
"""Run → a descriptor of its worktree; one runner has one run at a time."""


def hold(directory: Path, run_id: str) -> None:
    """Keep hold of a run's worktree, so that it is found wherever its agent moves it."""
    if run_id in _held or not os.path.isdir(DESCRIPTORS):
        return
    with suppress(OSError):
        held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        for other in list(_held):
            let_go(other)
        _held[run_id] = held


def let_go(run_id: str) -> None:
    """The run is over: its worktree may be deleted for good."""
    held = _held.pop(run_id, None)
    if held is not None:
        os.close(held)


def find(place: Place, known: str, run_id: str) -> Path | None:
    """Where the worktree of ``place`` is that has the identity ``known``; None if it is there, or was not found."""
    if not known or nearby.directory_identity(place.root) == known:
        return None
    held = _held.get(run_id)
    # A worktree that was made again for the same run is another one.
    if held is not None and nearby.identity_of(os.fstat(held)) == known:
        followed = Path(os.path.realpath(f"{DESCRIPTORS}/{held}"))
        return followed if nearby.directory_identity(followed) == known else None
    for candidate in _around(place.root, place.common_dir):
        # A deleted directory's inode may be another one's by now: only one that says so itself is this worktree.
        if (
            nearby.directory_identity(candidate) == known
            and read_pointer(candidate / ".git") == place.git_dir
        ):
            return candidate
    return None


def put_back(place: Place, known: str, run_id: str) -> str | None:
    """Move the worktree back into its place if it is somewhere else; a sentence about it, None if it is not.

    What stands there meanwhile goes to ``kept/`` beside it, an empty directory excepted. A link is replaced.py's matter.
    """
    directory = place.root
    if directory.is_symlink() or directory.parent.is_symlink():
        return None
    found = find(place, known, run_id)
    if found is None:
        return None
    said = f"the worktree {directory} had been moved to {found}"
    try:
        # no failpoint: an empty directory says nothing; it is made, or removed, again
        directory.parent.mkdir(parents=True, exist_ok=True)
        aside = _clear(directory)
        with failpoints.around("mending"):
            os.rename(found, directory)
    except OSError as error:
        way_out = shlex.join(["mv", str(found), str(directory)])
        return f"{said}, and cannot be put back: {error.strerror}; its files are there ({way_out})"
    return f"{said} and was put back" + (f"; what stood in its place is now {aside}" if aside else "")


def _clear(path: Path) -> Path | None:
    """Make room at ``path``; where what stood there is now. Raises OSError."""
    if not os.path.lexists(path):
        return None
    with suppress(OSError), failpoints.around("mending"):
        os.rmdir(path)
        return None
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = kept_in(path.parent) / f"{path.name}-{stamp}-{uuid.uuid4().hex[:6]}"
    with failpoints.around("mending"):
        os.rename(path, aside)
    return aside


def _around(directory: Path, common_dir: Path) -> Iterator[Path]:
    """Directories beside the worktree, its repository and its parents; of each, one of its own name inside it."""
    root = common_dir.parent
    for place in dict.fromkeys((directory.parent, directory.parent.parent, root, root.parent)):
        for path in nearby.inside(place):
            yield path
            yield path / directory.name
