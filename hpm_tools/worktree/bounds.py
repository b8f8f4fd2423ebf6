"""How much of what an agent left uncommitted is taken into git: looked at with lstat(2) before a byte is read.

A forgotten .gitignore leaves a hundred thousand files, and a sparse file may claim to have more bytes than
the disk: both would be hashed for minutes, and kept in the repository for ever.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpm_tools.text import counted, size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hpm_tools.worktree.place import Place

MOST_FILES = 20_000
MOST_BYTES = 2 << 30


def _heed_nothing() -> None:
    return


@dataclass(frozen=True, slots=True)
class Bounds:
    """The files and bytes that are taken in at once. ``heed`` is called while git reads them; it may raise."""

    files: int = MOST_FILES
    bytes: int = MOST_BYTES
    heed: Callable[[], None] = _heed_nothing

    def unbroken(self) -> Bounds:
        """The same bounds, where nothing breaks off what is being read."""
        return Bounds(self.files, self.bytes)

    def excess(self, place: Place, paths: Sequence[str]) -> tuple[str, str] | None:
        """Why ``paths`` in ``place`` are too much, and the command that leads out of it; None: they are not."""
        root = place.root
        total = apparent_size(root, paths)
        many, large = len(paths) > self.files, total > self.bytes
        if not (many or large):
            return None
        limit = counted(self.files, "file") if many else size(self.bytes)
        setting, needed = ("max_files", len(paths)) if many else ("max_bytes", total)
        wanted, way_out = _way_out(place, setting, needed)
        reason = (
            f"{counted(len(paths), 'uncommitted file')} with {size(total)} are more than the {limit} of "
            f"worktree.{setting}; {wanted}: {way_out}"
        )
        return reason, way_out

    def allows(self, place: Place, paths: Sequence[str]) -> bool:
        """Whether ``paths`` in ``place`` may be read."""
        return self.excess(place, paths) is None


def _way_out(place: Place, setting: str, needed: int) -> tuple[str, str]:
    """What to do with the files that are wanted, and the command for it: a checkout is not removed to save them."""
    root = shlex.quote(str(place.root))
    if place.linked:
        return "delete what is not wanted, or save it all", (
            f"HEADLESS_PM_WORKTREE_{setting.upper()}={needed} hpm worktree.remove --path {root}"
        )
    return "commit what is wanted there, delete the rest", f"git -C {root} status"


ALLOWED = Bounds()
"""What is taken in where no configuration says otherwise."""


def apparent_size(root: Path, paths: Sequence[str]) -> int:
    """The bytes that reading ``paths`` would yield: holes count."""
    total = 0
    for path in paths:
        try:
            total += os.lstat(root / path).st_size
        except OSError:
            continue
    return total
