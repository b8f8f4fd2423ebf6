"""Commits that only a checkout's own files remember: detached heads, reflogs, half-done merges and rebases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.worktree import admin_files
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT
from hpm_tools.worktree.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from hpm_tools.worktree.git import Git
    from hpm_tools.worktree.place import Place

IN_PROGRESS = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "BISECT_LOG": "bisect",
    # Between two of several commits no pseudo-ref says that there are more to come (wt-status.c, wt_status_get_state).
    "sequencer": "cherry-pick or revert",
}
REFS = ("--branches", "--tags", "--remotes")
KEPT = (*REFS, "--glob=refs/hpm/salvage/*")


def in_progress(git_dir: Path) -> str | None:
    """The operation that was begun in a checkout and not finished, such as ``rebase``, or None."""
    for name, operation in IN_PROGRESS.items():
        if (git_dir / name).exists():
            return operation
    return None


def refuse_incomplete(git: Git, head: str, known: Sequence[str]) -> None:
    """Raise GitError if an object that ``head`` needs, and no commit of ``known``, is in no pack and no file.

    `git status` and `git diff` believe an index that names the same objects, and look into none of them.
    ``known``: commits, or options of rev-list that stand for some.
    """
    # What a partial clone left with its remote is not missing (git-rev-list(1), --missing).
    args = ("--objects", "--quiet", "--missing=allow-promisor", head, "--not", *known)
    git.run("rev-list", *args, timeout=CHECKOUT_TIMEOUT)


def refuse_incomplete_branch(git: Git, found: Status) -> None:
    """Raise GitError if an object is missing that only the commits of the checkout's own branch need."""
    if found.head is not None:
        own = [f"--exclude={found.branch}"] if found.branch else []
        refuse_incomplete(git, found.head, [*own, *REFS])


def interrupted(git: Git, found: Status) -> list[str]:
    """Commits that an unfinished operation needs and nothing else keeps."""
    if in_progress(git.place.git_dir) is None:
        return []
    return _not_kept(git, admin_files.object_ids(git.place), found)


def unkept(git: Git, found: Status, branch: str | None) -> list[str]:
    """Commits that would be lost with this worktree: nothing but its own files leads to them.

    What was amended or reset away on ``branch`` is in that branch's reflog, which stays.
    """
    common = git.place.common_dir
    candidates = remembered(git.place)
    for name in {branch, found.branch} - {None}:
        candidates -= admin_files.reflog_ids(common / "logs" / "refs" / "heads" / str(name))
    if found.branch is None and found.head is not None:
        candidates.add(found.head)
    return _not_kept(git, candidates, found)


def remembered(place: Place) -> set[str]:
    """The objects that any of the checkout's own files names: pseudo-refs, refs of its own, reflogs, operations."""
    return admin_files.object_ids(place) | admin_files.logged_ids(place)


def without_ref(git: Git, candidates: Iterable[str]) -> list[str]:
    """The commits among ``candidates`` that no branch, tag or remote branch reaches; of a line, the newest."""
    return _not_kept(git, candidates, Status(), REFS)


def _not_kept(git: Git, candidates: Iterable[str], found: Status, kept: Sequence[str] = KEPT) -> list[str]:
    wanted = {commit for commit in _commits(git, candidates) if commit}
    if not wanted:
        return []
    lines = [*sorted(wanted), *([f"^{found.head}"] if found.head and found.head not in wanted else [])]
    stdin = "".join(f"{line}\n" for line in lines).encode()
    args = ("rev-list", "--parents", "--ignore-missing", "--stdin", "--not", *kept)
    listed = [line.split(" ") for line in git.run(*args, stdin=stdin).text.splitlines()]
    # All that is listed is reached from a wanted one: those that are nobody's parent lead to the others.
    inner = {parent for _, *parents in listed for parent in parents}
    return [oid for oid, *_ in listed if oid in wanted and oid not in inner]


def _commits(git: Git, names: Iterable[str]) -> list[str]:
    """The commits that ``names`` are, or that tags among them lead to; what is missing or another thing is left out."""
    stdin = "".join(f"{name}^{{commit}}\n" for name in sorted(names)).encode()
    if not stdin:
        return []
    # A tag that leads to no commit ends `cat-file --batch-check` with no error, but with "missing".
    listed = git.run("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=stdin).text.splitlines()
    return [line.partition(" ")[0] for line in listed if line.endswith(" commit")]
