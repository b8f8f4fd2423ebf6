"""What the index of a checkout records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git, decode
from hpm_tools.worktree.place import read_part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GITLINK = "160000"
"""The mode of a submodule's entry."""

LARGEST_READ = 16 << 20
GITLINK_BYTES = bytes.fromhex("0000e000")
"""GITLINK as every version of the index has it: 32 bits, the highest first (gitformat-index(5))."""

ELSEWHERE = (b"link\0", b"sdir\0")
"""Begins of the extensions by which entries stand in another file, or in a tree: a split and a sparse index."""


def stages(git: Git) -> Iterator[tuple[str, str, str, str]]:
    """(mode, id, stage, path) of each entry. Raises GitError."""
    for line in decode(git.run("ls-files", "--stage", "-z", timeout=CHECKOUT_TIMEOUT).out).split("\0"):
        if line:
            facts, _, path = line.partition("\t")
            mode, oid, stage = facts.split(" ")
            yield mode, oid, stage, path


def submodules(git: Git) -> dict[str, str]:
    """The submodules of a checkout: path → the commit that the index records for it. Raises GitError."""
    if not _may_hold_gitlinks(git.place.git_dir / "index"):
        return {}
    return {path: oid for mode, oid, _, path in stages(git) if mode == GITLINK}


def _may_hold_gitlinks(index: Path) -> bool:
    """False only if no entry can be a submodule's. Most repositories have none, and need no process to say so."""
    content = read_part(index, 0, LARGEST_READ)
    if content is None or len(content) == LARGEST_READ or not content.startswith(b"DIRC"):
        return True
    return any(part in content for part in (GITLINK_BYTES, *ELSEWHERE))
