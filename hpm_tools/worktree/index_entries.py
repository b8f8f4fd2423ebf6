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

FLAGS_AT = 60
"""Where an entry's flags begin, after its times, mode, owner, size and SHA-1."""
ASSUMED_OR_EXTENDED = 0xC000
LENGTH = 0x0FFF
CHECKSUM = 20

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


def may_be_flagged(index: Path) -> bool:
    """False only if no entry is assumed unchanged, or to be skipped: most indexes say so without a process.

    Versions 2 and 3 with SHA-1, the usual ones, are read (gitformat-index(5)); of every other one git has to be asked.
    """
    content = read_part(index, 0, LARGEST_READ) or b""
    if len(content) == LARGEST_READ or content[:8] not in (b"DIRC\0\0\0\2", b"DIRC\0\0\0\3"):
        return True
    at, end = 12, len(content) - CHECKSUM
    for _ in range(_number(content, 8, 4)):
        flags = _number(content, at + FLAGS_AT, 2)
        length = flags & LENGTH
        named = FLAGS_AT + 2 + length
        if flags & ASSUMED_OR_EXTENDED or length == LENGTH or content[at + named : at + named + 1] != b"\0":
            return True
        at += named + 8 & ~7  # at least one NUL follows the name
    while at < end:
        if content[at : at + 4] in (b"link", b"sdir"):
            return True
        at += 8 + _number(content, at + 4, 4)
    return at != end


def _number(content: bytes, at: int, size: int) -> int:
    return int.from_bytes(content[at : at + size])
