"""``runs/``: the 0600 logs of agent runs, kept until they are old or too many, and ``before/`` likewise."""

from __future__ import annotations

import os
import time

from hpm_tools import failpoints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

KEPT_DAYS = 30.0
KEPT_BYTES = 1 << 30


def prune(
    directory: str, *, days: float = KEPT_DAYS, keep_bytes: int = KEPT_BYTES, in_use: Collection[str] = ()
) -> list[str]:
    """Remove files of ``directory`` older than ``days``, and the oldest beyond ``keep_bytes``; returns their paths.

    ``in_use`` are paths to keep whatever their age: those of runs that are going on.
    """
    oldest = time.time() - days * 86400.0
    total = 0
    removed = []
    for changed, size, path in _newest_first(directory):
        total += size
        if path in in_use or (changed >= oldest and total <= keep_bytes):
            continue
        try:
            with failpoints.around("state"):
                os.unlink(path)
        except OSError:
            continue
        removed.append(path)
    return removed


def _newest_first(directory: str) -> list[tuple[float, int, str]]:
    try:
        with os.scandir(directory) as entries:
            found = [
                (entry.stat(follow_symlinks=False), entry.path)
                for entry in entries
                if entry.is_file(follow_symlinks=False)
            ]
    except OSError:
        return []
    return sorted(((stat.st_mtime, stat.st_size, path) for stat, path in found), reverse=True)
