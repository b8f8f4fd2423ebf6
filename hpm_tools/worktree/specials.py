"""FIFOs, sockets and devices where git keeps its files: git opens them and waits for ever.

They hold no content, so unlike everything else that an agent may put there they are removed.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from hpm_tools import failpoints

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hpm_tools.worktree.place import Place

NOT_GITS = frozenset({"hpm", "modules", "worktrees"})
"""Below a common directory: ours, other repositories', other worktrees'."""


def remove_specials(place: Place) -> list[str]:
    """Remove what is neither file nor directory from git's directories of ``place``; the paths removed."""
    found = list(_specials(place.common_dir, NOT_GITS))
    if place.linked:
        found += _specials(place.git_dir, frozenset())
    removed = []
    for path in found:
        try:
            with failpoints.around("removal"):
                os.unlink(path)
        except OSError:
            continue
        removed.append(path)
    return removed


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether ``path``, or what it links to, is a FIFO, a socket or a device."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _specials(top: Path, but: frozenset[str]) -> Iterator[str]:
    waiting = [os.fspath(top)]
    while waiting:
        directory = waiting.pop()
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if directory != os.fspath(top) or entry.name not in but:
                            waiting.append(entry.path)
                    elif not entry.is_file(follow_symlinks=False) and is_special(entry.path):
                        yield entry.path
        except OSError:
            continue
