"""The steps of making a worktree, and of finding out what stands in its place already."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.errors import CannotCreate, Held, HpmError
from hpm_tools.worktree import lfs, prepared, preparing, registration, removal, submodule_fill
from hpm_tools.worktree.branches import HEADS, Branches
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git
from hpm_tools.worktree.locks import RepositoryGuard
from hpm_tools.worktree.mending import restore_pointer
from hpm_tools.worktree.place import Place, registered
from hpm_tools.worktree.registration import Mark
from hpm_tools.worktree.status import take_status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hpm_tools.worktree.belief import Believed
    from hpm_tools.worktree.branches import Choice
    from hpm_tools.worktree.registration import Registration
    from hpm_tools.worktree.repository import Repository
    from hpm_tools.worktree.task_key import TaskKey
    from hpm_tools.worktree.worktrees import GitWorktree

GUARD = "hpm.guard"


@dataclass(frozen=True, slots=True)
class Added:
    """A worktree that is ready: ``branch`` is None when detached, ``base`` the commit that it started from.

    ``pointers``: large files of git-lfs whose content is not on this host; ``unfilled``: its submodules that are not.
    ``refused``: why the wanted branch was not used, where its name reads as something else. ``doubted``: refs in
    whose place an older value was used (belief.py).
    """

    path: Path
    branch: str | None
    base: str
    existed: bool
    pointers: tuple[str, ...] = ()
    refused: str = ""
    unfilled: tuple[str, ...] = ()
    doubted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cleared:
    """What became of that which stood where a worktree is to be made: it is at ``aside``, or a salvage ref has it."""

    aside: Path | None = None
    salvage: str | None = None


@dataclass(frozen=True, slots=True)
class Unready:
    """A worktree that is registered but empty; ``guard`` is held until it is complete."""

    place: Place
    mark: Mark
    guard: RepositoryGuard
    claim: tuple[Branches, Choice] | None


def guard_of(found: Registration) -> RepositoryGuard:
    """Held by whoever prepares or removes the worktree; it goes with the registration."""
    return _guard(found.place)


def _guard(place: Place) -> RepositoryGuard:
    return RepositoryGuard(place.git_dir / GUARD, str(place.root), make_parent=False)


def find_or_clear(
    repository: Repository, path: Path, key: TaskKey, detach: str | None, regenerable: Sequence[str]
) -> tuple[Added | None, Cleared]:
    """The usable worktree at ``path``, or None once nothing stands there any more; and where what stood there is now.

    Raises CannotCreate for a person's worktree, Held for one that another process is busy with.
    """
    found = registration.at(repository.common_dir, path)
    if found is None:
        return None, Cleared(_clear_unregistered(path))
    if found.key is None:
        raise CannotCreate(
            f"{path} is a worktree that no task owns",
            f"to remove it: git -C {repository.root} worktree remove {path}",
        )
    guard = guard_of(found)
    if not guard.acquire():
        raise Held(f"{path} is being prepared or removed by another process", "try again later")
    try:
        same = found.key.same_as(key) and not found.missing
        if same and (usable := _take_up(repository, found, detach)):
            return usable, Cleared()
        return None, _clear(path, found, regenerable)
    finally:
        guard.release()


def _clear_unregistered(path: Path) -> Path | None:
    if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
        with failpoints.around("removal"):
            path.rmdir()
    elif os.path.lexists(path):
        return removal.set_aside(path, None)
    return None


def _clear(path: Path, found: Registration, regenerable: Sequence[str]) -> Cleared:
    kept = removal.Removed()
    if found.mark is not None or not _never_used(found):
        kept = removal.keep(found, regenerable)
    if kept.kept_because is None:
        kept, trash = removal.discard(found, kept)
        removal.delete_trash(trash)
    if kept.kept_because is not None:
        return Cleared(removal.set_aside(path, found), kept.salvage)
    if os.path.lexists(path):
        return Cleared(removal.set_aside(path, None), kept.salvage)  # a link in its place
    return Cleared(salvage=kept.salvage)


def _never_used(found: Registration) -> bool:
    """Whether a worktree without its mark holds nothing but a part of what git checked out."""
    if found.missing or not (found.admin / "index").exists():
        return True
    try:
        status = take_status(Git(found.place))
    except HpmError:
        return False
    return not (status.untracked or status.unmerged) and all(x.worktree in ".D" for x in status.changed)


def _take_up(repository: Repository, found: Registration, detach: str | None) -> Added | None:
    """The worktree of an earlier attempt at the same task, if it can be worked on as it is."""
    mark = found.mark
    if mark is None or (mark.branch is None) != (detach is not None):
        return None
    if detach is not None and mark.base != detach:
        return None
    restore_pointer(found.place)
    if (
        mark.branch is not None
        and found.head()[1] != mark.branch
        and not _attach(repository, found, mark.branch)
    ):
        return None
    return Added(found.path, mark.branch, mark.base, existed=True)


def _attach(repository: Repository, found: Registration, branch: str) -> bool:
    """Put a worktree back on its branch, where that is at the same commit and not checked out elsewhere."""
    wanted = f"{HEADS}{branch}"
    git = Git(found.place)
    commit = git.run("rev-parse", "--verify", "-q", "HEAD", check=False).text
    line = repository.git.text("for-each-ref", "--format=%(objectname) %(worktreepath)", wanted)
    if not commit or line.rstrip() != commit:
        return False
    git.run("symbolic-ref", "-m", "hpm: taken up again", "HEAD", wanted)
    return True


def register(
    repository: Repository,
    path: Path,
    key: TaskKey,
    *,
    branch: str | None,
    base: str | None,
    detach: str | None,
    believed: Believed | None = None,
) -> Unready:
    """Claim a branch, unless ``detach`` names a commit, and register an empty worktree there."""
    claim = None
    mark = Mark(key, None, detach or "")
    if detach is None:
        branches = Branches(repository, key, believed)
        choice = branches.choose(branch, base)
        branches.claim(choice)
        claim = (branches, choice)
        mark = Mark(key, choice.branch, choice.commit)
    try:
        failpoints.reach("worktree.claimed")
        place = _register(repository, path, mark)
        guard = _guard(place)
        if not guard.acquire():
            raise Held(f"{path} is being prepared by another process", "try again later")
        failpoints.reach("worktree.registered")
    except BaseException:
        _forget_unmarked(repository, path)
        if claim is not None and registered(repository.common_dir, path) is None:
            claim[0].unclaim(claim[1])
        raise
    return Unready(place, mark, guard, claim)


def _register(repository: Repository, path: Path, mark: Mark) -> Place:
    where = ["--", str(path), mark.branch] if mark.branch else ["--detach", "--", str(path), mark.base]
    reason = registration.reason_for(mark.key)
    repository.git.run("worktree", "add", "--quiet", "--no-checkout", "--lock", "--reason", reason, *where)
    admin = registered(repository.common_dir, path)
    if admin is None:
        raise CannotCreate(f"git made no worktree at {path}", "is its directory being moved by somebody?")
    return Place(path, admin, repository.common_dir)


def complete(worktrees: GitWorktree, unready: Unready) -> Added:
    """Check out and set up; the mark is written last."""
    place, mark = unready.place, unready.mark
    Git(place).run("reset", "--hard", "--quiet", timeout=CHECKOUT_TIMEOUT)
    failpoints.reach("worktree.checked_out")
    missing = tuple(lfs.pointers(Git(place)))
    unfilled = tuple(submodule_fill.fill_timed(Git(place), worktrees.repository.common_dir))
    failpoints.reach("worktree.filled")
    known = preparing.prepare(worktrees, place)
    registration.write_mark(place.git_dir, mark.completed(known, prepared.take(Git(place))))
    failpoints.reach("worktree.marked")
    return Added(
        place.root,
        mark.branch,
        mark.base,
        existed=False,
        pointers=missing,
        refused=unready.claim[1].refused if unready.claim is not None else "",
        unfilled=unfilled,
        doubted=unready.claim[1].doubted if unready.claim is not None else (),
    )


def undo(repository: Repository, unready: Unready) -> None:
    """Take back a worktree that could not be completed, and its branch unless somebody committed to it."""
    _forget_unmarked(repository, unready.place.root)
    if unready.claim is not None and registered(repository.common_dir, unready.place.root) is None:
        branches, choice = unready.claim
        branches.unclaim(choice)


def _forget_unmarked(repository: Repository, path: Path) -> None:
    try:
        found = registration.at(repository.common_dir, path)
        if found is not None and found.mark is None:
            _, trash = removal.discard(found, removal.Removed())
            removal.delete_trash(trash)
    except (HpmError, OSError):
        return
