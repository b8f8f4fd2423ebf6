"""Isolated worktrees for tasks: made, found again after a crash, freed and removed without losing work.

Git's own `worktree add` fails or leaves half-made branches when several run at once, and its `remove`
deletes ignored files without a word (reliability.md §5). So everything here happens under one guard per
repository, a worktree counts as made only once its mark is written, and removal salvages first.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.errors import CannotCreate, HpmError, NotFound
from hpm_tools.worktree import preparing, registration, removal, restore
from hpm_tools.worktree.branches import HEADS, Branches, TaskKey
from hpm_tools.worktree.checkout import switch_back
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git
from hpm_tools.worktree.place import Place, registered
from hpm_tools.worktree.pointer import restore_pointer
from hpm_tools.worktree.registration import Mark, Registration
from hpm_tools.worktree.removal import Removed
from hpm_tools.worktree.repository import WORKTREES_GUARD, Repository
from hpm_tools.worktree.salvage import NOBODY, SALVAGE
from hpm_tools.worktree.status import take_status

if TYPE_CHECKING:
    from collections.abc import Sequence

DIRECTORY = ".worktrees"
SETUP_TIMEOUT = 600.0
REGENERABLE = (
    "node_modules",
    ".venv",
    "venv",
    "target",
    "build",
    "dist",
    "__pycache__",
    ".*_cache",
    ".tox",
    ".gradle",
    ".cache",
)


@dataclass(frozen=True, slots=True)
class Added:
    """A worktree that is ready: ``branch`` is None when detached, ``base`` the commit that it started from."""

    path: Path
    branch: str | None
    base: str
    existed: bool


class GitWorktree:
    """The worktrees of one repository's tasks.

    ``base`` is the directory that they are made in (default: ``.worktrees`` in the repository). ``copy``
    are patterns of ignored files that a new worktree gets, ``setup`` is the program (argv) that prepares
    it, within ``setup_timeout`` seconds. ``regenerable`` names ignored files that need not be kept.
    """

    def __init__(
        self,
        repository: Repository,
        base: Path | str | None = None,
        *,
        copy: Sequence[str] = (),
        setup: Sequence[str] = (),
        regenerable: Sequence[str] = REGENERABLE,
        setup_timeout: float = SETUP_TIMEOUT,
    ) -> None:
        self.repository = repository
        self.base = Path(os.path.realpath(base or repository.root / DIRECTORY))
        self.copy = copy
        self.setup = setup
        self.regenerable = regenerable
        self.setup_timeout = setup_timeout

    def add_for_task(self, key: TaskKey, *, branch: str | None = None, base: str | None = None) -> Added:
        """A worktree ``task-{id}`` for a maker: on ``branch`` if it may be used, else on a branch of its own."""
        return self.add(key, branch=branch, base=base)

    def add_for_review(self, key: TaskKey, *, commit: str | None, branch: str | None = None) -> Added:
        """A worktree ``task-{id}-qa``, detached at the reported ``commit``, or at ``branch`` if none was reported.

        Raises NotFound if that commit is not in this repository.
        """
        revision = commit or (HEADS + branch if branch else None)
        found = self.repository.resolve(revision) if revision else None
        if found is None:
            raise NotFound(
                f"the reported work of task {key[1]} is not in {self.repository.root}: {commit or branch or 'none'}",
                "fetch it, or let a runner on the machine that has it check the task",
            )
        return self.add(key, name=f"task-{key[1]}-qa", detach=found)

    def add(
        self,
        key: TaskKey,
        *,
        name: str | None = None,
        branch: str | None = None,
        base: str | None = None,
        detach: str | None = None,
    ) -> Added:
        """Make the worktree ``name`` (default ``task-{id}``), or find the one made earlier for the same task.

        With ``detach`` it stands at that commit. Otherwise its branch is chosen as Branches.choose says.
        What stands in the way and belongs to nobody known is moved to ``kept/``. Raises GitError,
        CannotCreate, Misconfigured, Held if the repository stays busy.
        """
        key = TaskKey(*key)
        path = self.base / (name or f"task-{key.id}")
        with self.repository.guard(WORKTREES_GUARD):
            self._prepare_base()
            found = self._find_or_clear(key, path, detach)
            return found or self._make(key, path, branch, base, detach)

    def remove(self, path: Path | str, *, agent_id: str = NOBODY) -> Removed:
        """Remove the worktree at ``path``, salvaging first whatever no commit keeps.

        One that is gone already is no error. Raises NotFound for a directory that is no task's worktree.
        """
        path = Path(os.path.realpath(path))
        with self.repository.guard(WORKTREES_GUARD):
            removal.sweep_trash(self.base)
            found = registration.at(self.repository.common_dir, path)
            if found is None and not path.exists():
                return Removed()
            if found is None or found.key is None:
                raise NotFound(f"{path} is not a task's worktree", "hpm worktree.list shows them")
            return removal.remove(found, self.regenerable, agent_id)

    def detach(self, path: Path | str) -> None:
        """Free the branch of the worktree at ``path``: its HEAD then names the same commit without it."""
        found = self._registered(path)
        git = Git(found.place)
        if found.head()[1] is not None:
            git.run("update-ref", "--no-deref", "-m", "hpm: branch freed", "HEAD", "HEAD")

    def switch_checkout(self, key: TaskKey, *, branch: str | None = None, base: str | None = None) -> str:
        """Check out the task's branch in the clean main worktree, where no worktree can be made; its name.

        Raises GitError, CannotCreate.
        """
        with self.repository.guard(WORKTREES_GUARD):
            branches = Branches(self.repository, TaskKey(*key))
            choice = branches.choose(branch, base)
            branches.claim(choice)
            try:
                switch_back(self.repository.root, choice.branch)
            except BaseException:
                branches.unclaim(choice)
                raise
            return choice.branch

    def restore(self, ref: str, to: Path | str | None = None) -> tuple[Path, list[str]]:
        """Bring a salvage back, uncommitted, into the checkout ``to`` or a worktree made for it.

        Returns where, and the paths restored. The salvage stays. Raises NotFound, CannotCreate, GitError.
        """
        found = restore.find(self.repository.git, ref)
        if to is not None:
            path = Path(os.path.realpath(to))
        elif found.head is None:
            raise CannotCreate(
                f"{found.ref} was made before the first commit", "name a checkout for it: --to DIR"
            )
        else:
            task, _, stamp = found.ref.removeprefix(SALVAGE).partition("/")[2].partition("/")
            key = TaskKey("", int(task) if task.isdecimal() else 0, "")
            path = self.add(key, name=f"salvage-{task}-{stamp}", detach=found.head).path
        return path, restore.apply(path, found.ref)

    def list(self) -> list[Registration]:
        """Every worktree that was made for a task."""
        return [found for found in registration.all_of(self.repository.common_dir) if found.key is not None]

    def _registered(self, path: Path | str) -> Registration:
        found = registration.at(self.repository.common_dir, Path(os.path.realpath(path)))
        if found is None:
            raise NotFound(
                f"{path} is not a worktree of {self.repository.root}", "hpm worktree.list shows them"
            )
        return found

    def _prepare_base(self) -> None:
        try:
            self.base.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotCreate(f"cannot make {self.base}: {error.strerror}") from error
        if self.base.is_relative_to(self.repository.root):
            self.repository.exclude(f"/{self.base.relative_to(self.repository.root)}/")
        removal.sweep_trash(self.base)

    def _find_or_clear(self, key: TaskKey, path: Path, detach: str | None) -> Added | None:
        """The usable worktree at ``path``, or None once nothing stands there any more."""
        found = registration.at(self.repository.common_dir, path)
        if found is None:
            if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
                path.rmdir()
            elif os.path.lexists(path):
                removal.set_aside(path, None)
            return None
        if found.key is None:
            raise CannotCreate(
                f"{path} is a worktree that no task owns", f"git worktree remove {path}, or move it"
            )
        if found.mark is None and self._never_used(found):
            removal.discard(found)
            return None
        same = found.key.same_as(key) and not found.missing
        if same and (usable := self._take_up(found, detach)):
            return usable
        if removal.remove(found, self.regenerable).kept_because is not None:
            removal.set_aside(path, found)
        return None

    def _never_used(self, found: Registration) -> bool:
        """Whether a worktree without its mark holds nothing but a part of what git checked out."""
        if found.missing or not (found.admin / "index").exists():
            return True
        try:
            status = take_status(Git(found.place))
        except HpmError:
            return False
        return not (status.untracked or status.unmerged) and all(x.worktree in ".D" for x in status.changed)

    def _take_up(self, found: Registration, detach: str | None) -> Added | None:
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
            and not self._attach(found, mark.branch)
        ):
            return None
        return Added(found.path, mark.branch, mark.base, existed=True)

    def _attach(self, found: Registration, branch: str) -> bool:
        """Put a worktree back on its branch, where that is at the same commit and not checked out elsewhere."""
        wanted = f"{HEADS}{branch}"
        git = Git(found.place)
        commit = git.run("rev-parse", "--verify", "-q", "HEAD", check=False).text
        line = git.text("for-each-ref", "--format=%(objectname) %(worktreepath)", wanted)
        if not commit or line.rstrip() != commit:
            return False
        git.run("symbolic-ref", "-m", "hpm: taken up again", "HEAD", wanted)
        return True

    def _make(
        self, key: TaskKey, path: Path, branch: str | None, base: str | None, detach: str | None
    ) -> Added:
        if detach is not None:
            return self._check_out(path, Mark(key, None, detach))
        branches = Branches(self.repository, key)
        choice = branches.choose(branch, base)
        branches.claim(choice)
        try:
            failpoints.reach("worktree.claimed")
            return self._check_out(path, Mark(key, choice.branch, choice.commit))
        except BaseException:
            if registered(self.repository.common_dir, path) is None:
                branches.unclaim(choice)
            raise

    def _check_out(self, path: Path, mark: Mark) -> Added:
        """Make the worktree that ``mark`` describes; the mark is written last."""
        reason = registration.reason_for(mark.key)
        where = ["--", str(path), mark.branch] if mark.branch else ["--detach", "--", str(path), mark.base]
        try:
            self.repository.git.run(
                "worktree", "add", "--quiet", "--no-checkout", "--lock", "--reason", reason, *where
            )
            admin = registered(self.repository.common_dir, path)
            failpoints.reach("worktree.registered")
            if admin is None:
                raise CannotCreate(f"git made no worktree at {path}")
            place = Place(path, admin, self.repository.common_dir)
            Git(place).run("reset", "--hard", "--quiet", timeout=CHECKOUT_TIMEOUT)
            failpoints.reach("worktree.checked_out")
            known = preparing.prepare(self, place)
            registration.write_mark(admin, replace(mark, copied=known))
            failpoints.reach("worktree.marked")
        except BaseException:
            self._undo(path)
            raise
        return Added(path, mark.branch, mark.base, existed=False)

    def _undo(self, path: Path) -> None:
        try:
            found = registration.at(self.repository.common_dir, path)
            if found is not None and found.mark is None:
                removal.discard(found)
        except (HpmError, OSError):
            return
