"""Directory trees that are deeper than the standard library's recursion, and than any path may be long."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEYOND_RECURSION = 1020
BEYOND_PATHS = 3000
"""Directories one in another; with names of one letter the latter's path has more than 4096 bytes."""


def grow(top: Path, depth: int, name: str = "d") -> None:
    """Make ``depth`` directories one in another below ``top``, a file in the last."""
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    file = os.open("last.txt", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=fd)
    os.write(file, b"down here\n")
    os.close(file)
    os.close(fd)


@contextmanager
def cleared(top: Path) -> Iterator[Path]:
    """``top`` is gone after the block, whatever fails: pytest's own clean-up would fail at a deep tree."""
    try:
        yield top
    finally:
        subprocess.run(["rm", "-rf", "--", top], check=True)
