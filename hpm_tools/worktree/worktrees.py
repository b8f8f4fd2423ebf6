"""Isolated worktrees for tasks: made, found again after a crash, freed and removed without losing work.

Git's own `worktree add` fails or leaves half-made branches when several run at once, and its `remove`
deletes ignored files without a word (docs/design.md, Git worktrees). So the list of worktrees changes only under one
guard per repository, a worktree counts as made only once its mark is written, and removal salvages first.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from hpm_tools import failpoints, names
from hpm_tools.config.model import REGENERABLE
from hpm_tools.errors import CannotCreate, Held, NotFound
from hpm_tools.worktree import filters, making, registration, removal, restore
from hpm_tools.worktree.bounds import Bounds
from hpm_tools.worktree.branches import HEADS, Branches
from hpm_tools.worktree.checkout import switch_back
from hpm_tools.worktree.git import Git, failure
from hpm_tools.worktree.layout import DIRECTORY, SALVAGE, base_directory
from hpm_tools.worktree.registration import Registration
from hpm_tools.worktree.removal import Removed
from hpm_tools.worktree.repository import WORKTREES_GUARD, Repository
from hpm_tools.worktree.salvage import NOBODY
from hpm_tools.worktree.task_key import TaskKey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hpm_tools.worktree.belief import Believed
    from hpm_tools.worktree.making import Added

SETUP_TIMEOUT = 600.0


class TaskWorktree(TypedDict):
    """One task's worktree: ``branch`` is None where it is detached, ``head`` is the commit it stands at."""

    path: Path
    task_id: int
    branch: str | None
    head: str | None


class GitWorktree:
    """The worktrees of one repository's tasks.

    ``repository`` is the path of the repository, or of anything in it, or the Repository itself. A path raises
    Misconfigured if there is no repository that worktrees can be made in.

    ``create_for_task``, ``get_worktree_path``, ``list_worktrees`` and ``cleanup`` are the guide's and need the task's
    number only. The others are the runner's, which knows which board's task it is, and from when.

    ``base`` is the directory that they are made in (default: ``.worktrees`` in the repository). ``copy``
    are patterns of ignored files that a new worktree gets, ``setup`` is the program (argv) that prepares
    it, within ``setup_timeout`` seconds. ``regenerable`` names ignored files that need not be kept.
    ``clean`` takes the secrets out of what the set-up says. ``bounds`` says how much is salvaged at once.
    """

    def __init__(
        self,
        repository: Repository | Path | str,
        base: Path | str | None = None,
        *,
        copy: Sequence[str] = (),
        setup: Sequence[str] = (),
        regenerable: Sequence[str] = REGENERABLE,
        setup_timeout: float = SETUP_TIMEOUT,
        clean: Callable[[str], str] = str,
        bounds: Callable[[], Bounds] = Bounds,
    ) -> None:
        self.repository = (
            repository if isinstance(repository, Repository) else Repository.discover(repository)
        )
        self.base = base_directory(self.repository.root, base)
        self.copy = copy
        self.setup = setup
        self.regenerable = regenerable
        self.setup_timeout = setup_timeout
        self.clean = clean
        self.bounds = bounds
        self.set_aside: dict[Path, Path] = {}
        """What stood where a worktree was made, and where it is now."""
        self.salvaged: dict[Path, str] = {}
        """Where a worktree was made in the place of an earlier one, and the ref that has what was left in that."""
        self.run_id: str | None = None
        """Marks the processes of the set-up; set by whoever runs one."""
        self.should_stop: Callable[[], str | None] | None = None
        """Asked while a set-up runs; a reason ends it."""
        self.believed: Believed | None = None
        """Says which refs an agent may have moved, and from where."""
        self._default_base = base is None

    def create_for_task(self, task_id: int, branch_name: str | None = None) -> Path:
        """Make the task's worktree, ``task-{id}`` in ``base``, or find the one made earlier; its path.

        It is on ``branch_name`` unless that is the default branch, or main, master or trunk, checked out somewhere or
        another task's: then ``feature/task-{id}`` starts from it. ``list_worktrees`` says which.

        Raises UsageError for what is no task's number or no branch's name, and what ``add`` raises.
        """
        branch = None if branch_name is None else names.branch(branch_name)
        return self.add_for_task(TaskKey("", names.task_id(task_id), ""), branch=branch).path

    def get_worktree_path(self, task_id: int) -> Path | None:
        """The path of the task's worktree; None if it has none. Raises UsageError for what is no task's number."""
        path = self.path_of(names.task_id(task_id))
        found = registration.at(self.repository.common_dir, path)
        return path if found is not None and found.key is not None and not found.missing else None

    def list_worktrees(self) -> Sequence[TaskWorktree]:
        """The worktrees that were made for tasks and are there. Raises GitError."""
        listed = []
        for found in self.list():
            commit, branch = found.head()
            if found.key is not None and not found.missing:
                head = commit or (self.repository.resolve(HEADS + branch) if branch else None)
                listed.append(TaskWorktree(path=found.path, task_id=found.key.id, branch=branch, head=head))
        return listed

    def cleanup(self, task_id: int) -> Removed:
        """Remove the task's worktree, salvaging first whatever no commit keeps; its branch stays.

        What was salvaged is in the ``salvage`` and ``archive`` of what is returned. Where something cannot be
        kept, the directory stays and ``kept_because`` says why. One that is gone already is no error.

        Raises UsageError for what is no task's number, NotFound for a directory that is no task's worktree, and
        Held if another process is preparing or removing it.
        """
        return self.remove(self.path_of(names.task_id(task_id)))

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
                f"the reported work of task {key.id} is not in {self.repository.root}: {commit or branch or 'none'}",
                "fetch it, or let a runner on the machine that has it check the task",
            )
        return self.add(key, name=self.path_of(key.id, review=True).name, detach=found)

    def path_of(self, task_id: int, *, review: bool = False) -> Path:
        """Where a task's worktree stands, or would. Raises UsageError for what is no task's id."""
        task_id = names.task_id(task_id)
        return self.base / (f"task-{task_id}-qa" if review else f"task-{task_id}")

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
        CannotCreate, Misconfigured, Held if the repository stays busy or another process prepares it.
        """
        path = self.base / name if name else self.path_of(key.id)
        filters.refuse_unsound(Git(self.repository.place))
        self._prepare_base()
        with self.repository.guard(WORKTREES_GUARD):
            found, cleared = making.find_or_clear(self.repository, path, key, detach, self.regenerable)
            if cleared.aside is not None:
                self.set_aside[path] = cleared.aside
            if cleared.salvage is not None:
                self.salvaged[path] = cleared.salvage
            if found is not None:
                return found
            unready = making.register(
                self.repository,
                path,
                key,
                branch=branch,
                base=base,
                detach=detach,
                believed=self.believed,
            )
        # Checking out and setting up may take minutes, and need no exclusion from other worktrees.
        with unready.guard:
            try:
                return making.complete(self, unready)
            except BaseException:
                with self.repository.guard(WORKTREES_GUARD):
                    making.undo(self.repository, unready)
                raise

    def remove(self, path: Path | str, *, agent_id: str = NOBODY, discard_ignored: bool = False) -> Removed:
        """Remove the worktree at ``path``, salvaging first whatever no commit keeps.

        ``discard_ignored``: the files that git ignores are not kept. One that is gone already is no error. Raises NotFound for a directory that is no task's worktree,
        Held if another process is preparing or removing it.
        """
        path = _unfollowed(self.repository.common_dir, path)
        self.sweep()
        found = registration.at(self.repository.common_dir, path)
        if found is None and not os.path.lexists(path):
            return Removed()
        if found is not None and found.key is None and found.missing:
            raise NotFound(
                f"{path} is gone, and was no task's worktree",
                f"to have git forget it: git -C {self.repository.root} worktree remove {path}",
            )
        if found is None or found.key is None:
            raise NotFound(f"{path} is not a task's worktree", "hpm worktree.list shows them")
        guard = making.guard_of(found)
        if not guard.acquire():
            raise Held(f"{path} is being prepared or removed by another process", "try again later")
        try:
            return self._remove(found, agent_id, discard_ignored=discard_ignored)
        finally:
            guard.release()

    def keep(self, path: Path, *, agent_id: str = NOBODY) -> Removed:
        """Salvage what a removal of the task's worktree at ``path`` would, and leave it there.

        Where that cannot be, ``kept_because`` says why.
        """
        found = registration.at(self.repository.common_dir, path)
        if found is None or found.key is None:
            return Removed(kept_because=f"{path} is not a task's worktree")
        return removal.keep(found, self.regenerable, agent_id, self.bounds())

    def _remove(self, found: Registration, agent_id: str, *, discard_ignored: bool) -> Removed:
        kept = removal.keep(found, self.regenerable, agent_id, self.bounds(), discard_ignored=discard_ignored)
        if kept.kept_because is None:
            with self.repository.guard(WORKTREES_GUARD):
                kept, trash = removal.discard(found, kept)
            removal.delete_trash(trash)
        if kept.kept_because is not None:
            found.note_kept(kept.kept_because, kept.way_out)
        return kept

    def remove_made_by_agent(
        self, found: Registration, key: TaskKey, journal: Callable[[Removed], None], *, agent_id: str
    ) -> Removed:
        """Remove a worktree that the agent of the task ``key`` made, by the same proof as any other.

        ``journal`` is given what was kept before anything goes. Its branch stays.
        """
        owned = Registration(found.path, found.admin, key, None)
        kept = removal.keep(owned, self.regenerable, agent_id, self.bounds())
        if kept.kept_because is None:
            journal(kept)
            with self.repository.guard(WORKTREES_GUARD):
                # Its own directory may be anywhere, where nobody would look for what a killed removal left.
                kept, trash = removal.discard(owned, kept, self._trash)
            removal.delete_trash(trash)
        return kept

    @property
    def _trash(self) -> Path:
        return self.repository.common_dir / "hpm"

    def sweep(self) -> None:
        """Delete what a removal left that was killed, or that met a full disk; put back what it had not proved yet.

        Raises Held if the repository stays busy.
        """
        for directory in (self.base, self._trash):
            removal.sweep_trash(
                directory, self.repository.common_dir, lambda: self.repository.guard(WORKTREES_GUARD)
            )

    def detach(self, path: Path | str) -> None:
        """Free the branch of the worktree at ``path``: its HEAD then names the same commit without it."""
        found = self._registered(path)
        git = Git(found.place)
        if found.head()[1] is None:
            return
        args = ("update-ref", "--no-deref", "-m", "hpm: branch freed", "HEAD", "HEAD")
        freed = git.run(*args, check=False)
        # Before its first commit a branch is no ref, and so in nobody's way.
        if freed.returncode != 0 and git.run("rev-parse", "--verify", "-q", "HEAD", check=False).text:
            raise failure(args, freed)

    def switch_checkout(self, key: TaskKey, *, branch: str | None = None, base: str | None = None) -> str:
        """Check out the task's branch in the clean main worktree, where no worktree can be made; its name.

        Raises GitError, CannotCreate.
        """
        with self.repository.guard(WORKTREES_GUARD):
            branches = Branches(self.repository, key, self.believed)
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
        return registration.of_tasks(self.repository.common_dir)

    def _registered(self, path: Path | str) -> Registration:
        found = registration.at(self.repository.common_dir, Path(os.path.realpath(path)))
        if found is None:
            raise NotFound(
                f"{path} is not a worktree of {self.repository.root}", "hpm worktree.list shows them"
            )
        return found

    def say_set_aside(self) -> Sequence[str]:
        """Sentences about what stood where worktrees were made, each said once."""
        said = [
            f"what stood at {path} is no task's, so it is now {aside} (to put it back once the task's worktree is gone: "
            f"mv {aside} {path})"
            for path, aside in self.set_aside.items()
        ]
        self.set_aside.clear()
        return said

    def say_salvaged(self) -> Sequence[tuple[str, str]]:
        """(ref, sentence) of what was left where worktrees were made, each said once."""
        said = [
            (
                ref,
                f"what was left uncommitted in {path} before is kept as {ref} (hpm worktree.restore --ref {ref})",
            )
            for path, ref in self.salvaged.items()
        ]
        self.salvaged.clear()
        return said

    def _prepare_base(self) -> None:
        own = self.repository.root / DIRECTORY
        if self._default_base and own.is_symlink():
            raise CannotCreate(
                f"{own} is a link, which an agent could have made",
                f"remove it; to keep worktrees elsewhere set HEADLESS_PM_WORKTREE_BASE={os.path.realpath(own)}",
            )
        if not self._default_base and os.path.lexists(self.base) and not self.base.is_dir():
            raise CannotCreate(
                f"{self.base} is no directory, where worktrees are made",
                f"move it away: mv {self.base} {self.base}.aside",
            )
        try:
            if self._default_base and own.exists() and not own.is_dir():
                aside = own.with_name(f"{DIRECTORY}.of-agent-{time.time_ns()}")
                with failpoints.around("mending"):
                    os.rename(own, aside)
                self.set_aside[own] = aside
            with failpoints.around("worktree"):
                self.base.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotCreate(f"cannot make {self.base}: {error.strerror}") from error
        if self.base.is_relative_to(self.repository.root):
            self.repository.exclude(f"/{self.base.relative_to(self.repository.root)}/")
        self.sweep()


def _unfollowed(common_dir: Path, path: Path | str) -> Path:
    """The real path, but that of the name itself where a worktree is registered: a link there is an agent's."""
    above, name = os.path.split(os.path.abspath(path))
    own = Path(os.path.realpath(above)) / name
    if os.path.islink(own) and registration.at(common_dir, own) is not None:
        return own
    return Path(os.path.realpath(path))
