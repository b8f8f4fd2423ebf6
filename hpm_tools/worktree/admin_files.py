"""The files in a checkout's own git directory, found by walking it: no list says where git may write an object's id.

Pseudo-refs and what operations leave go with a worktree, and gitrepository-layout(5) names only some of them.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools.errors import CannotCreate
from hpm_tools.trees import walk
from hpm_tools.worktree.git import decode
from hpm_tools.worktree.place import read_part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpm_tools.worktree.place import Place

OID = re.compile(rb"\b[0-9a-f]{40}(?:[0-9a-f]{24})?\b")
STEPS = re.compile(r"(sequencer|rebase-merge)/(.*todo.*|done)")
"""Lists of commits still to be picked, which git abbreviates when several are picked (sequencer.c, walk_revs_populate_todo)."""

ABBREVIATED = re.compile(rb"\b[0-9a-f]{4,64}\b")
LARGEST = 256 << 20
"""Bytes of one file that are searched for ids; a worktree with a larger one stays where it is."""

SHARED = frozenset({"hooks", "hpm", "info", "lfs", "modules", "objects", "worktrees"})
"""Directories that a main worktree shares with all others, or that hold other repositories."""

OWN_REFS = ("bisect", "worktree", "rewritten")
"""Below refs/ and logs/refs/: of one worktree alone (git-worktree(1), REFS)."""

NO_IDS = frozenset({"index", "config", "config.worktree", "packed-refs", "shallow", "description", "locked"})


def object_ids(place: Place) -> set[str]:
    """The ids that stand in the checkout's own files, reflogs and the index apart; some may be abbreviated."""
    found: set[str] = set()
    for path in own_files(place):
        name = path.relative_to(place.git_dir).as_posix()
        if (
            not name.startswith("logs/")
            and name not in NO_IDS
            and not name.startswith(("hpm", "sharedindex."))
        ):
            form = ABBREVIATED if STEPS.fullmatch(name) else OID
            found.update(match.decode() for match in form.findall(_content(path)))
    return {oid for oid in found if oid.strip("0")}


def logged_ids(place: Place) -> set[str]:
    """The ids in the reflogs of the checkout's own: HEAD's, those of pseudo-refs and of its own refs."""
    found: set[str] = set()
    for path in own_files(place):
        if path.relative_to(place.git_dir).parts[0] == "logs":
            found |= reflog_ids(path)
    return found


def reflog_ids(path: Path) -> set[str]:
    """The ids of a whole reflog; a message may hold anything, so only the first two fields of a line count."""
    found: set[str] = set()
    for line in _content(path).splitlines():
        found.update(decode(line[:140]).split(" ")[:2])
    return {oid for oid in found if OID.fullmatch(oid.encode(errors="replace")) and oid.strip("0")}


def own_files(place: Place) -> Iterator[Path]:
    """The regular files of the checkout's own git directory; of a main worktree's, those that it does not share.

    Raises CannotCreate for a directory that cannot be read.
    """
    start = len(f"{place.git_dir}/")
    for here, directories, others in walk(place.git_dir, _unreadable):
        relative = here[start:]
        if not relative:
            skipped = {"modules"} if place.linked else SHARED
            directories[:] = [name for name in directories if name not in skipped]
        elif not place.linked and relative in ("refs", "logs/refs"):
            directories[:] = [name for name in directories if name in OWN_REFS]
            continue
        for name in others:
            path = Path(here, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


def _unreadable(error: OSError) -> None:
    raise CannotCreate(f"cannot read {error.filename}: {error.strerror}") from error


def _content(path: Path) -> bytes:
    try:
        size = os.lstat(path).st_size
    except FileNotFoundError:
        return b""
    if size > LARGEST:
        raise CannotCreate(f"{path} is too large to be searched for commits")
    content = read_part(path, 0, LARGEST)
    if content is None:
        raise CannotCreate(f"cannot read {path}")
    return content
