"""Tidying a repository: what is certainly useless goes by itself, salvaged work only when a person says so."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.worktree import archive, refs, restore, stashes
from hpm_tools.worktree.branches import HEADS, OWNER
from hpm_tools.worktree.git import Git, decode
from hpm_tools.worktree.repository import WORKTREES_GUARD

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from hpm_tools.worktree.restore import Salvaged
    from hpm_tools.worktree.worktrees import GitWorktree

BEING_MADE = 3600.0
"""Seconds for which an archive that no salvage names may belong to a removal that is going on."""


@dataclass(slots=True)
class Pruned:
    """What went: registrations of vanished worktrees, refs that kept nothing any more, salvage refs and
    their archives. ``salvaged`` is what had to be kept of a vanished worktree first."""

    worktrees: list[str] = field(default_factory=list)
    refs: list[str] = field(default_factory=list)
    salvage: list[str] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    salvaged: list[str] = field(default_factory=list)


def tidy(worktrees: GitWorktree, at_work: Collection[str] = ()) -> Pruned:
    """Remove what keeps nothing: vanished worktrees (what was staged in them is salvaged), owners of deleted
    branches, and old values of refs that a branch contains anyway.

    ``at_work`` are the runs that are not over: what is kept in case their agents delete it stays.
    """
    repository = worktrees.repository
    done = Pruned()
    worktrees.sweep()
    for found in worktrees.list():
        if found.missing:
            removed = worktrees.remove(found.path)
            if removed.kept_because is None:
                done.worktrees.append(str(found.path))
                done.salvaged += [removed.salvage] if removed.salvage else []
    with repository.guard(WORKTREES_GUARD):
        done.refs = refs.delete(
            repository.git, [*_ownerless(repository.git), *refs.contained(repository.git)]
        )
        done.refs += stashes.unpin_all(repository.git, at_work)
    return done


def old_salvages(git: Git, older_than: float) -> list[Salvaged]:
    """The salvages made more than ``older_than`` seconds ago."""
    limit = time.time() - older_than
    return [salvaged for salvaged in restore.salvages(git) if salvaged.made_at <= limit]


def old_archives(git: Git, older_than: float) -> list[Path]:
    """The archives made more than ``older_than`` seconds ago that no salvage names: a deletion that was ended
    halfway leaves one, and so does a removal that was repeated."""
    limit = time.time() - max(older_than, BEING_MADE)
    named = _named_archives(git)
    folder = _archives(git)
    return [
        path
        for path in sorted(folder.glob("*.tar"))
        if path.name not in named and path.lstat().st_mtime <= limit
    ]


def delete_salvages(git: Git, chosen: Iterable[Salvaged], archives: Iterable[Path] = ()) -> Pruned:
    """Delete salvage refs, the archives that no other salvage names, and ``archives`` that none did."""
    chosen = list(chosen)
    done = Pruned(salvage=refs.delete(git, [(salvaged.ref, salvaged.commit) for salvaged in chosen]))
    still = _named_archives(git)
    own = [_archives(git) / salvaged.archive[0] for salvaged in chosen if salvaged.archive]
    for path in dict.fromkeys([*own, *archives]):
        if path.name not in still:
            with failpoints.around("prune"):
                path.unlink(missing_ok=True)
                archive.finished_mark(path).unlink(missing_ok=True)
            done.archives.append(path.name)
    return done


def note_finished(archived: Path) -> None:
    """Write down that the task of an archive was reported, from when on its days are counted."""
    with failpoints.around("prune"):
        archive.finished_mark(archived).touch(mode=0o600)


def delete_expired(git: Git, older_than: float) -> list[str]:
    """Delete the archives of tasks that were reported more than ``older_than`` seconds ago; their names.

    The salvage refs stay with all else that they hold.
    """
    limit, gone = time.time() - older_than, []
    for mark in sorted(_archives(git).glob(f"*.tar{archive.FINISHED}")):
        path = mark.with_name(mark.name.removesuffix(archive.FINISHED))
        if mark.lstat().st_mtime <= limit and path.exists():
            with failpoints.around("prune"):
                path.unlink(missing_ok=True)
            gone.append(path.name)
    return gone


def _archives(git: Git) -> Path:
    return git.place.common_dir / "hpm" / "archive"


def _named_archives(git: Git) -> set[str]:
    return {salvaged.archive[0] for salvaged in restore.salvages(git) if salvaged.archive}


def _ownerless(git: Git) -> list[tuple[str, str]]:
    lines = decode(
        git.run("for-each-ref", "--format=%(refname) %(objectname)", HEADS, OWNER).out
    ).splitlines()
    pairs = [(name, oid) for name, _, oid in (line.partition(" ") for line in lines)]
    heads = {name.removeprefix(HEADS) for name, _ in pairs if name.startswith(HEADS)}
    return [
        (name, oid) for name, oid in pairs if name.startswith(OWNER) and name.removeprefix(OWNER) not in heads
    ]
