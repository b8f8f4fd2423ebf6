"""Commits that only a checkout's own files remember: detached heads, reflogs, half-done merges and rebases."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools.trees import walk
from hpm_tools.worktree.git import decode
from hpm_tools.worktree.place import read_part, read_small

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpm_tools.worktree.git import Git
    from hpm_tools.worktree.status import Status

OID = re.compile(r"\b[0-9a-f]{40}(?:[0-9a-f]{24})?\b")
IN_PROGRESS = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "BISECT_LOG": "bisect",
}
POINTING = (
    "ORIG_HEAD",
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "BISECT_LOG",
    "rebase-merge/orig-head",
    "rebase-merge/onto",
    "rebase-merge/stopped-sha",
    "rebase-merge/amend",
    "rebase-merge/autostash",
    "rebase-apply/orig-head",
    "rebase-apply/autostash",
    "sequencer/head",
)
REFLOG_TAIL = 1 << 20
KEPT = ("--branches", "--tags", "--remotes", "--glob=refs/hpm/salvage/*")
MOST = 200


def in_progress(git_dir: Path) -> str | None:
    """The operation that was begun in a checkout and not finished, such as ``rebase``, or None."""
    for name, operation in IN_PROGRESS.items():
        if (git_dir / name).exists():
            return operation
    return None


def interrupted(git: Git, found: Status) -> list[str]:
    """Commits that an unfinished operation needs and nothing else keeps."""
    if in_progress(git.place.git_dir) is None:
        return []
    return _not_kept(git, _pointed_to(git.place.git_dir), found)


def unkept(git: Git, found: Status, branch: str | None) -> list[str]:
    """Commits that would be lost with this worktree: nothing but its own files leads to them.

    What was amended or reset away on ``branch`` is in that branch's reflog, which stays.
    """
    common = git.place.common_dir
    candidates = remembered(git.place.git_dir) | _own_refs(git.place.git_dir)
    for name in {branch, found.branch} - {None}:
        candidates -= _reflog(common / "logs" / "refs" / "heads" / str(name))
    if found.branch is None and found.head is not None:
        candidates.add(found.head)
    return _not_kept(git, candidates, found)


def remembered(git_dir: Path) -> set[str]:
    """Commits that HEAD has stood at, and those that unfinished operations name."""
    return _pointed_to(git_dir) | _reflog(git_dir / "logs" / "HEAD")


def _not_kept(git: Git, candidates: Iterable[str], found: Status) -> list[str]:
    wanted = set(candidates)
    if not wanted:
        return []
    lines = [*sorted(wanted), *([f"^{found.head}"] if found.head and found.head not in wanted else [])]
    stdin = "".join(f"{line}\n" for line in lines).encode()
    listed = git.run("rev-list", "--ignore-missing", "--stdin", "--not", *KEPT, stdin=stdin).text
    lost = [oid for oid in listed.splitlines() if oid in wanted]
    if len(lost) > 1:
        lost = git.text("merge-base", "--independent", *lost[:MOST]).splitlines()
    return lost


def _pointed_to(git_dir: Path) -> set[str]:
    found: set[str] = set()
    for name in POINTING:
        found.update(OID.findall(read_small(git_dir / name) or ""))
    return found


def _reflog(path: Path) -> set[str]:
    lines = (read_part(path, -REFLOG_TAIL, REFLOG_TAIL) or b"").splitlines()
    found: set[str] = set()
    for line in lines:
        found.update(decode(line[:140]).split(" ")[:2])
    return {oid for oid in found if OID.fullmatch(oid) and oid.strip("0")}


def _own_refs(git_dir: Path) -> set[str]:
    """refs/bisect, refs/worktree and refs/rewritten live in the worktree's own directory."""
    found: set[str] = set()
    for here, _, names in walk(git_dir / "refs"):
        for name in names:
            path = Path(here, name)
            if path.is_file() and not path.is_symlink():
                found.update(OID.findall(read_small(path) or ""))
    return found
