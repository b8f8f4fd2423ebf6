"""How much of what an agent left uncommitted is taken into git: looked at with lstat(2) before a byte is read.

A forgotten .gitignore leaves a hundred thousand files, and a sparse file may claim to have more bytes than
the disk: both would be hashed for minutes, and kept in the repository for ever.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpm_tools.text import counted, size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

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

    def excess(self, root: Path, paths: Sequence[str]) -> tuple[str, str] | None:
        """Why ``paths`` below ``root`` are too much, and the command that takes them in all the same; None: they are not."""
        total = apparent_size(root, paths)
        many, large = len(paths) > self.files, total > self.bytes
        if not (many or large):
            return None
        limit = counted(self.files, "file") if many else size(self.bytes)
        setting, needed = ("max_files", len(paths)) if many else ("max_bytes", total)
        way_out = f"HEADLESS_PM_WORKTREE_{setting.upper()}={needed} hpm worktree.remove --path {root}"
        reason = (
            f"{counted(len(paths), 'uncommitted file')} with {size(total)} are more than the {limit} of "
            f"worktree.{setting}; delete what is not wanted, or save it all: {way_out}"
        )
        return reason, way_out

    def allows(self, root: Path, paths: Sequence[str]) -> bool:
        """Whether ``paths`` below ``root`` may be read."""
        return self.excess(root, paths) is None


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
