"""Directories known by what the file system calls them, wherever they are, and the ones beside a place to look for them in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MOST = 2000
"""Names that are looked at in one directory."""


def identity(path: Path) -> str:
    """What tells the directory, or file, at ``path`` from every other; "" if there is none. A link to it is no other."""
    try:
        return identity_of(os.stat(path))
    except OSError:
        return ""


def directory_identity(path: Path) -> str:
    """The same of a directory that is really there: "" for a link to one, and for all else."""
    return identity(path) if path.is_dir() and not path.is_symlink() else ""


def identity_of(found: os.stat_result) -> str:
    return f"{found.st_dev}:{found.st_ino}"


def inside(directory: Path) -> list[Path]:
    """What is in ``directory``, in the order of the names; of very much the first only, nothing if it cannot be read."""
    try:
        return [directory / name for name in sorted(os.listdir(directory))[:MOST]]
    except OSError:
        return []
