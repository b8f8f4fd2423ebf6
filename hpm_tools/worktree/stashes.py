"""The entries of the stash: all but the newest are kept by nothing but a reflog, which `git stash clear` deletes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.worktree import refs
from hpm_tools.worktree.log_lines import log_lines

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from hpm_tools.worktree.git import Git

MOST = 1000
LONGEST_LOG = 1 << 20


def entries(git: Git) -> list[str]:
    """The ids of the newest entries, newest first."""
    lines = log_lines(git.place.common_dir / "logs" / refs.STASH, -LONGEST_LOG, LONGEST_LOG)
    return list(dict.fromkeys(line.new for line in reversed(lines) if line.complete))[:MOST]


def pin(git: Git, before: Sequence[str], run_id: str) -> None:
    """Keep each entry of ``before`` while an agent works: it may clear the stash and prune the objects in one go."""
    if before:
        refs.keep(git, _names(before, run_id))


def unpin(git: Git, run_id: str) -> list[str]:
    """Delete the refs of ``pin`` of a run whose entries are still in the stash; their names."""
    return _unpin(git, _pinned(git, f"{refs.BEFORE}{run_id}/stash/"))


def unpin_all(git: Git, at_work: Collection[str]) -> list[str]:
    """`unpin` for every run but those ``at_work``, whose agents may still clear the stash; the refs' names."""
    found = _pinned(git, f"{refs.BEFORE}*/stash/*")
    over = [(name, oid) for name, oid in found if name.removeprefix(refs.BEFORE).split("/")[0] not in at_work]
    return _unpin(git, over)


def _pinned(git: Git, pattern: str) -> list[tuple[str, str]]:
    rows = git.text("for-each-ref", "--format=%(refname) %(objectname)", pattern).splitlines()
    return [(name, oid) for name, _, oid in (row.partition(" ") for row in rows)]


def _unpin(git: Git, pinned: Sequence[tuple[str, str]]) -> list[str]:
    there = set(entries(git)) if pinned else set()
    return refs.delete(git, [(name, oid) for name, oid in pinned if oid in there])


def _names(before: Sequence[str], run_id: str) -> dict[str, str]:
    return {f"{refs.BEFORE}{run_id}/stash/{number:04}": oid for number, oid in enumerate(before)}


def keep_dropped(git: Git, before: Sequence[str], run_id: str) -> list[str]:
    """Keep each entry of ``before`` that is no longer there; a sentence about them, safe to repeat."""
    there = set(entries(git))
    below = f"{refs.BEFORE}{run_id}/stash/"
    gone = {name: oid for name, oid in _names(before, run_id).items() if oid not in there}
    if not gone:
        return []
    refs.keep(git, gone)
    how_many = "1 entry" if len(gone) == 1 else f"{len(gone)} entries"
    told = f"the stash lost {how_many} of {len(before)}, kept below {below}"
    return [f"{told}; to put back what was lost: {put_back(below)}"]


def put_back(below: str) -> str:
    """The command that makes stash entries of the refs below ``below`` again, the oldest first."""
    form = "--format='git stash store -m %(contents:subject) %(objectname)'"
    return f"git for-each-ref --shell --sort=-refname {form} {below} | sh"
