"""Stash entries that were made and dropped since a moment: no reflog has them, but their objects are there until a gc.

`git fsck --unreachable` would walk the whole repository. What was written since then is loose, and told by its time.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from hpm_tools.worktree import stashes
from hpm_tools.worktree.git import decode
from hpm_tools.worktree.log_lines import LogLine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hpm_tools.worktree.git import Git

OF_STASH = re.compile(r"(?:WIP on|On) .+: ")
MOST_OBJECTS = 20_000
"""Loose objects whose time is looked at; where there are more, the rest is left out."""
MOST_NEW = 5000
MOST = 100
"""Commits shaped like an entry of which git is asked whether anything leads to them: each takes a process."""
SLACK = 2.0
"""Seconds by which a file system's time may lag behind the clock."""


def find(git: Git, since: float, before: Sequence[str]) -> list[LogLine]:
    """The entries made after ``since`` that neither the stash nor a ref leads to, newest first; ``before``: older ones."""
    floor = since - SLACK
    new = list(_loose_since(git.place.common_dir / "objects", floor))[:MOST_NEW] if since else []
    if not new:
        return []
    commits = [oid for oid, kind in _kinds(git, new) if kind == "commit"]
    known = {*stashes.entries(git), *before}
    found = [line for line in _read(git, commits) if line.new not in known and line.time >= floor]
    newest = sorted(found, key=lambda line: -line.time)[:MOST]
    return [line for line in newest if _is_loose(git, line.new)]


def _loose_since(objects: Path, floor: float) -> Iterator[str]:
    seen = 0
    for number in range(256):
        directory = objects / f"{number:02x}"
        try:
            if directory.stat().st_mtime < floor:
                continue  # a new name in it would have changed its time
            with os.scandir(directory) as entries:
                for entry in entries:
                    seen += 1
                    if seen > MOST_OBJECTS:
                        return
                    if entry.stat(follow_symlinks=False).st_mtime >= floor:
                        yield f"{number:02x}{entry.name}"
        except OSError:
            continue


def _kinds(git: Git, oids: Sequence[str]) -> Iterator[tuple[str, str]]:
    stdin = "".join(f"{oid}\n" for oid in oids).encode()
    # A temporary file of a git that is at work has no id for a name, and is answered with "missing".
    out = git.run("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=stdin).text
    for line in out.splitlines():
        oid, _, kind = line.partition(" ")
        yield oid, kind


def _read(git: Git, commits: Sequence[str]) -> Iterator[LogLine]:
    """Those of ``commits`` that are shaped like a stash entry (git-stash(1), DISCUSSION)."""
    if not commits:
        return
    stdin = "".join(f"{oid}\n" for oid in commits).encode()
    args = ("rev-list", "--no-walk=unsorted", "--stdin", "--format=%H%x00%P%x00%ct%x00%s")
    for line in decode(git.run(*args, stdin=stdin).out).splitlines():
        fields = line.split("\0")
        if len(fields) == 4 and len(fields[1].split()) in (2, 3) and OF_STASH.match(fields[3]):
            yield LogLine("", fields[0], int(fields[2]), fields[3])


def _is_loose(git: Git, commit: str) -> bool:
    """Whether no ref but a salvage leads to it."""
    args = ("rev-list", "-n", "1", commit, "--not", "--exclude=refs/hpm/*", "--all")
    return bool(git.run(*args, check=False).text)
