"""What an agent did to its checkout, judged by git alone: the evidence behind every verdict."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpm_tools.errors import Misconfigured
from hpm_tools.worktree import reachability, refs, tampering
from hpm_tools.worktree.git import Git, GitError
from hpm_tools.worktree.leftovers import commit_leftovers
from hpm_tools.worktree.place import Place
from hpm_tools.worktree.pointer import restore_pointer
from hpm_tools.worktree.status import Status, take_status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Evidence", "Snapshot", "commit_leftovers", "delta"]

MOST_COMMITS = 1000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A checkout as it was before its agent started; kept in the record, outside the agent's reach.

    ``refs`` maps the names of branches, tags and our own refs to their ids, ``marks`` is what
    tampering.fingerprint says. ``head`` is None before the first commit, ``branch`` when detached.
    """

    run_id: str
    directory: str
    git_dir: str
    common_dir: str
    head: str | None
    branch: str | None
    refs: Mapping[str, str]
    marks: Mapping[str, Any]

    @classmethod
    def take(cls, directory: Path, run_id: str) -> Snapshot:
        """Look at the checkout whose top is ``directory``. Raises Misconfigured, GitError."""
        git = Git(directory)
        place = git.place
        found = refs.read(git)
        return cls(
            run_id=run_id,
            directory=str(place.root),
            git_dir=str(place.git_dir),
            common_dir=str(place.common_dir),
            head=found.head,
            branch=found.branch,
            refs=refs.watched(found),
            marks=tampering.fingerprint(git),
        )

    @property
    def place(self) -> Place:
        return Place(Path(self.directory), Path(self.git_dir), Path(self.common_dir))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Snapshot:
        """Raises Misconfigured if ``data`` is no snapshot."""
        try:
            return cls(**{item.name: data[item.name] for item in fields(cls)})
        except (KeyError, TypeError) as error:
            raise Misconfigured(
                f"the record's snapshot lacks {error}", "hpm unlock gives the task back"
            ) from error


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is different from the snapshot.

    ``commits``: ids added on top of ``base``, oldest first, at most 1000. ``dirty``: paths with uncommitted
    content. ``moved_by_someone``: why HEAD is not where this task's work may be committed, or None.
    ``unfinished``: an operation such as ``rebase`` that was left half done. ``tampering``: sentences about
    git's own files and lost refs. ``moved_refs``: sentences about branches that went elsewhere.
    """

    base: str | None
    head: str | None
    branch: str | None
    commits: Sequence[str] = ()
    dirty: Sequence[str] = ()
    moved_by_someone: str | None = None
    unfinished: str | None = None
    tampering: Sequence[str] = ()
    moved_refs: Sequence[str] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def delta(directory: Path, snapshot: Snapshot) -> Evidence:
    """Compare the checkout at ``directory`` with ``snapshot``; safe to repeat.

    Restores the worktree's own `.git` pointer. Branches and tags that were moved or deleted stay as they
    are; their old values are kept at ``refs/hpm/before/<run>/…``. Raises GitError where git cannot tell.
    """
    said = []
    place = snapshot.place
    if os.path.realpath(directory) != snapshot.directory:
        raise Misconfigured(f"the snapshot is of {snapshot.directory}, not of {directory}")
    if restore_pointer(place):
        said.append(f"{place.root / '.git'} had been changed and was restored")
    git = Git(place)
    said += tampering.changes(git, snapshot.marks)
    found = take_status(git)
    lost, moved = refs.keep_before(git, snapshot.refs, own=snapshot.branch, run_id=snapshot.run_id)
    unfinished = reachability.in_progress(place.git_dir)
    return Evidence(
        base=snapshot.head,
        head=found.head,
        branch=found.branch,
        commits=_commits(git, snapshot.head, found.head),
        dirty=found.dirty,
        moved_by_someone=_moved(git, snapshot, found, unfinished),
        unfinished=unfinished,
        tampering=[*said, *lost],
        moved_refs=moved,
    )


def _commits(git: Git, base: str | None, head: str | None) -> list[str]:
    if head is None or head == base:
        return []
    span = [head] if base is None else [head, f"^{base}"]
    return git.text(
        "rev-list", "--reverse", "--topo-order", f"--max-count={MOST_COMMITS}", *span
    ).splitlines()


def _moved(git: Git, snapshot: Snapshot, found: Status, unfinished: str | None) -> str | None:
    if unfinished:
        return f"a {unfinished} was left unfinished"
    if found.branch != snapshot.branch:
        return (
            f"the checkout was switched from {snapshot.branch or 'a commit'} to {found.branch or 'a commit'}"
        )
    if snapshot.head is None or found.head == snapshot.head:
        return None
    if found.head is None:
        return f"the branch {snapshot.branch} was removed"
    if not _is_ancestor(git, snapshot.head, found.head):
        return f"{snapshot.branch or 'HEAD'} was moved away from {snapshot.head[:12]}"
    return None


def _is_ancestor(git: Git, older: str, newer: str) -> bool:
    result = git.run("merge-base", "--is-ancestor", older, newer, check=False)
    if result.returncode not in (0, 1):
        raise GitError(
            f"git cannot compare {older[:12]} with {newer[:12]}", stderr=result.err.decode(errors="replace")
        )
    return result.returncode == 0
