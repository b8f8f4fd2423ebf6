"""Taking a worktree away without losing anything: save, verify, move aside in one step, then delete."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.errors import CannotCreate, HpmError, Interrupted
from hpm_tools.trees import delete_tree
from hpm_tools.worktree import archive, kept_inside, prepared, proof, reachability, submodules, unfinished
from hpm_tools.worktree.bounds import ALLOWED, Bounds
from hpm_tools.worktree.git import Git
from hpm_tools.worktree.layout import kept_in
from hpm_tools.worktree.mending import replace_text, restore_pointer
from hpm_tools.worktree.place import Place, registrations
from hpm_tools.worktree.salvage import NOBODY, Extra, commit_index, save
from hpm_tools.worktree.specials import refuse_misplaced, remove_specials
from hpm_tools.worktree.status import Status, take_status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from hpm_tools.worktree.registration import Registration

TRASH = ".trash-"
REMOVING = ".removing-"
"""Before the administrative name of a worktree that was moved and is not proved to be kept yet.

What is still written there is work."""


@dataclass(frozen=True, slots=True)
class Removed:
    """How a removal ended: the salvage ref and archive that it made, or why the directory stays.

    ``way_out`` is what a person can do about that; ``proof`` is what was found kept before the directory is moved.
    """

    salvage: str | None = None
    archive: Path | None = None
    kept_because: str | None = None
    way_out: str = ""
    proof: proof.Proof | None = field(default=None, compare=False, repr=False)


def keep(
    registration: Registration,
    regenerable: Sequence[str],
    agent_id: str = NOBODY,
    bounds: Bounds = ALLOWED,
    *,
    discard_ignored: bool = False,
) -> Removed:
    """Salvage everything that would go with a worktree; ``kept_because`` says why that is not possible."""
    key = registration.key
    try:
        kept = keep_all(
            registration,
            regenerable,
            agent_id=agent_id,
            task_id=key.id if key else 0,
            bounds=bounds,
            discard_ignored=discard_ignored,
        )
    except Interrupted:
        raise
    except HpmError as error:
        return Removed(kept_because=error.message, way_out=error.hint)
    failpoints.reach("removal.saved")
    return kept


def keep_all(
    registration: Registration,
    regenerable: Sequence[str],
    *,
    agent_id: str,
    task_id: int,
    bounds: Bounds = ALLOWED,
    discard_ignored: bool = False,
) -> Removed:
    """Salvage everything that would go with a worktree, its ignored files only unless ``discard_ignored``.

    Raises CannotSalvage.
    """
    if registration.missing:
        submodules.refuse_commits_in(registration.admin / "modules")
        return Removed(_keep_index(registration, agent_id, task_id))
    remove_specials(registration.place)
    refuse_misplaced(registration.place)
    restore_pointer(registration.place)
    kept_inside.refuse_kept_inside(registration.place)
    git = Git(registration.place)
    tracked = proof.heed_every_file(git)
    found = take_status(git, ignored=True)
    proof.refuse_worktrees_inside(git)
    if found.nested:
        proof.refuse_repository(git, found.nested[0])
    below = proof.below_empty_submodules(git)
    reachability.refuse_incomplete_branch(git, found)
    proved = proof.prove(git, found, tracked, below, regenerable)
    submodules.refuse_work_in(git, registration.admin / "modules", regenerable)
    mark = registration.mark
    # Looked through in any case: a repository among them is nobody's to discard.
    files = archive.precious(registration.path, found.ignored, regenerable, mark.copied if mark else {})
    if discard_ignored:
        files = []
    # Nothing tells what of it could be made again: the patterns are for ignored files.
    files += archive.precious(registration.path, below, (), {})
    commits = reachability.unkept(git, found, mark.branch if mark else None)
    commits += [state for state in (unfinished.keep_state(git, found.head),) if state]
    if not (files or commits or prepared.worked_on(git, found, mark.prepared if mark else {}, bounds)):
        return Removed(proof=proved)
    stored = None
    if files:
        folder = registration.place.common_dir / "hpm" / "archive"
        stored = archive.write(registration.path, files, folder, f"{agent_id}-{task_id}")
    extra = Extra(commits, [stored.line] if stored else [])
    ref = save(git, found, extra, agent_id=agent_id, task_id=task_id, bounds=bounds)
    return Removed(ref, stored.path if stored else None, proof=proved)


def _keep_index(registration: Registration, agent_id: str, task_id: int) -> str | None:
    """Save what was staged, and the commits, of a worktree whose directory somebody else removed."""
    git = Git(Place(None, registration.admin, registration.place.common_dir))
    head = git.run("rev-parse", "--verify", "-q", "HEAD", check=False).text or None
    branch = registration.head()[1]
    found = Status(head=head, branch=branch)
    mark = registration.mark
    commits = reachability.unkept(git, found, mark.branch if mark else branch)
    commits += [state for state in (unfinished.keep_state(git), unfinished.keep_conflicts(git)) if state]
    staged = (registration.admin / "index").exists() and head is not None
    if staged and git.run("diff-index", "--cached", "--quiet", "HEAD", "--", check=False).returncode != 0:
        commits = [*commits, commit_index(git, head)]
    return save(git, found, Extra(commits), agent_id=agent_id, task_id=task_id)


def discard(
    registration: Registration, kept: Removed, trash_in: Path | None = None
) -> tuple[Removed, Path | None]:
    """Take a worktree whose content is ``kept`` out of the way and forget it; what is left to delete.

    It is renamed in one step: a crash in the middle must not leave half a worktree that looks like an
    agent's deletions. If that is impossible it stays, and the first result says why. ``trash_in``: the directory
    that it goes to, if that is on the same file system; else it stays where it is, under another name.
    """
    trash = None
    if not registration.missing:
        away = _beside(registration.path, trash_in)
        trash = away / f"{TRASH}{uuid.uuid4().hex}"
        moved = away / f"{REMOVING}{registration.admin.name}" if kept.proof else trash
        if (why := _move(registration.path, moved)) is not None:
            return replace(kept, kept_because=why), None
        failpoints.reach("removal.renamed")
        # Whoever still writes there has until now: nothing new gets to a path that is no more.
        if (late := kept.proof and _late(kept.proof, moved)) is not None:
            back = _put_back(moved, registration.path, registration)
            why = f"{late} changed while it was being removed"
            hint = "end what is still writing there, then try again"
            return replace(kept, kept_because=f"{why}; it is at {back}", way_out=hint), None
        if moved != trash and (why := _move(moved, trash)) is not None:
            return replace(kept, kept_because=why), None
    forget(registration.admin)
    failpoints.reach("removal.forgotten")
    return kept, trash


def _beside(path: Path, wanted: Path | None) -> Path:
    """``wanted``, if a rename of ``path`` can lead there; else the directory that it is in."""
    if wanted is None:
        return path.parent
    try:
        return wanted if os.stat(wanted).st_dev == os.stat(path).st_dev else path.parent
    except OSError:
        return path.parent


def _late(proved: proof.Proof, trash: Path) -> str | None:
    try:
        return proved.late(trash)
    except HpmError as error:
        return error.message


def _move(path: Path, target: Path) -> str | None:
    """Give a directory another name beside its own; why that is impossible, or None."""
    try:
        with failpoints.around("removal"):
            os.rename(path, target)
    except OSError as error:
        # A network's file system whose answer was lost reports a rename as failed that was done.
        if not os.path.lexists(target) or os.path.lexists(path):
            return f"it cannot be removed: {error.strerror}"
    return None


def _put_back(moved: Path, path: Path, registration: Registration | None) -> Path:
    """Give a directory its name again that is not to be removed after all; if that is taken, one in ``kept/``."""
    if os.path.lexists(path):
        return set_aside(moved, registration)
    return path if _move(moved, path) is None else moved


def delete_trash(trash: Path | None) -> None:
    """Delete what ``discard`` left; what cannot be deleted is tried again by the next sweep."""
    if trash is not None:
        try:
            with failpoints.around("removal"):
                delete_tree(trash)
        except OSError:
            return


def forget(admin: Path) -> None:
    """Delete an administrative directory, as `git worktree prune` would."""
    with failpoints.around("removal"):
        if admin.is_symlink():
            admin.unlink()  # an agent's: what it leads to is left alone
        else:
            delete_tree(admin)
    try:
        with failpoints.around("removal"):
            admin.parent.rmdir()
    except OSError:
        return


def sweep_trash(
    directory: Path, common_dir: Path, guard: Callable[[], AbstractContextManager[object]]
) -> None:
    """Delete what a removal that was killed left in ``directory``, and put back what it had not proved to be kept.

    ``guard`` is held while directories are removed: under it, whoever left one there is gone.
    """
    for name in _left(directory, TRASH):
        delete_trash(directory / name)
    if _left(directory, REMOVING):
        with guard():
            homes = {admin.name: dot_git.parent for admin, dot_git in registrations(common_dir)}
            for name in _left(directory, REMOVING):
                own = name.removeprefix(REMOVING)
                _put_back(directory / name, homes.get(own, directory / own), None)


def _left(base: Path, prefix: str) -> list[str]:
    try:
        return [name for name in os.listdir(base) if name.startswith(prefix)]
    except OSError:
        return []


def set_aside(path: Path, registration: Registration | None) -> Path:
    """Move a directory that is in the way, and in doubt, to ``kept/`` beside it; its new path.

    A registered worktree stays registered there, even one that is gone. Raises CannotCreate.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    try:
        target = kept_in(path.parent) / f"{path.name}-{stamp}-{uuid.uuid4().hex[:6]}"
        if os.path.lexists(path):
            with failpoints.around("removal"):
                os.rename(path, target)
        failpoints.reach("removal.set_aside")
        if registration is not None:
            replace_text(registration.admin / "gitdir", f"{target / '.git'}\n")
    except OSError as error:
        raise CannotCreate(
            f"cannot move {path} out of the way: {error.strerror}", "move it by hand"
        ) from error
    return target
