"""The repository that agents work on, found around a directory."""

from __future__ import annotations

import os
import re
import shlex
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import hpm_tools
from hpm_tools import failpoints
from hpm_tools.errors import CannotCreate, Misconfigured
from hpm_tools.process.capture import capture
from hpm_tools.worktree import droppings, nearby, refstorage, refused_config, replaced_git, status
from hpm_tools.worktree.branches import HEADS, OWNER
from hpm_tools.worktree.discovery import ordinary_place
from hpm_tools.worktree.git import Git, base_environment, decode, program, version
from hpm_tools.worktree.locks import RepositoryGuard
from hpm_tools.worktree.place import Place, read_pointer, read_small
from hpm_tools.worktree.refs import DEFAULT_NAMES
from hpm_tools.worktree.specials import refuse_misplaced

CHECKOUT_GUARD = "checkout.guard"
WORKTREES_GUARD = "worktrees.guard"
GUARDED = {CHECKOUT_GUARD: "the checkout", WORKTREES_GUARD: "the repository's list of worktrees"}
HINT = "run it inside a git repository, or name one with --repo or HEADLESS_PM_REPO"


class Head(NamedTuple):
    """Where a checkout stands: ``commit`` is None before the first one, ``branch`` None when detached."""

    commit: str | None
    branch: str | None


class Repository:
    """A repository with a main worktree: ``root`` is that worktree, ``common_dir`` its git directory."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.root = place.root
        self.common_dir = place.common_dir
        self.git = Git(place.repository)
        self._identity = nearby.identity(place.common_dir)

    @classmethod
    def discover(cls, path: Path | str, *, named: bool = True) -> Repository:
        """The repository around ``path``, also seen from one of its linked worktrees.

        Raises Misconfigured if git is missing or too old, if there is none, if it is bare, if it belongs to somebody
        else, if its references are no files, and, unless the operator ``named`` it, if it is the checkout that this
        program itself runs from.
        """
        path = Path(os.path.realpath(path))
        if not path.is_dir():
            raise Misconfigured(f"{path} is no directory", HINT)
        version()
        place = ordinary_place(str(path))
        if place is None:
            refstorage.refuse_around(path)
            place = _main_place(path, _common_dir(path))
            refstorage.refuse(place.common_dir)
        if not named and place.directory == Path(hpm_tools.__file__).resolve().parent.parent:
            raise Misconfigured(
                f"{place.directory} is hpm-tools itself, which agents should not work on by accident",
                "run it in your own repository, or name this one with --repo",
            )
        return cls(place)

    def refuse_replaced(self) -> None:
        """Raise GitReplaced if the git directory is not the one any more that was found at first."""
        replaced_git.refuse(self.common_dir, self._identity)

    def guard(self, name: str) -> RepositoryGuard:
        """A guard that all processes working on this repository share: CHECKOUT_GUARD or WORKTREES_GUARD."""
        return RepositoryGuard(self.common_dir / "hpm" / name, f"{GUARDED.get(name, name)} of {self.root}")

    def head(self, directory: Path | None = None) -> Head:
        """Where the checkout at ``directory`` (default: the root) stands."""
        git = self._git(directory)
        result = git.run("rev-parse", "HEAD", "--symbolic-full-name", "HEAD", check=False)
        lines = result.text.splitlines()
        if result.returncode == 0 and len(lines) == 2:
            return Head(lines[0], lines[1].removeprefix(HEADS) if lines[1] != "HEAD" else None)
        # No commit yet; or a tag or branch is called HEAD, too, and then git names neither in full (sha1-name.c).
        commit = git.run("rev-parse", "--verify", "-q", "HEAD^{commit}", check=False).text
        name = git.run("symbolic-ref", "-q", "HEAD", check=False).text
        return Head(commit or None, name.removeprefix(HEADS) or None)

    def branch_of(self, directory: Path | None = None) -> str | None:
        """The branch checked out at ``directory``, None when detached."""
        return self.head(directory).branch

    def dirty(self, directory: Path | None = None) -> list[str]:
        """Paths with uncommitted content at ``directory``: tracked or untracked, not ignored.

        What the CLI's sandbox and other agents' programs leave behind does not count.
        """
        git = self._git(directory)
        found = status.take_status(git)
        left = droppings.uncommitted(git, found) if found.dirty else ()
        return [path for path in found.dirty if path not in left]

    def resolve(self, revision: str) -> str | None:
        """The commit that ``revision`` names here, or None."""
        result = self.git.run(
            "rev-parse", "--verify", "-q", "--end-of-options", f"{revision}^{{commit}}", check=False
        )
        return result.text or None if result.returncode == 0 else None

    def tree(self, commit: str | None) -> str | None:
        """The id of the tree of ``commit``, or None if there is no such commit."""
        if commit is None:
            return None
        return self.git.run("rev-parse", "--verify", "-q", f"{commit}^{{tree}}", check=False).text or None

    @cached_property
    def _default_branch(self) -> str | None:
        remote = self.git.run("symbolic-ref", "-q", "refs/remotes/origin/HEAD", check=False).text
        if remote.startswith("refs/remotes/origin/"):
            return remote.removeprefix("refs/remotes/origin/")
        patterns = [kind + name for kind in (HEADS, OWNER) for name in DEFAULT_NAMES]
        existing = self.git.text("for-each-ref", "--format=%(refname)", *patterns).splitlines()
        for name in DEFAULT_NAMES:
            if HEADS + name in existing and OWNER + name not in existing:
                return name
        return self.branch_of(self.root)

    def default_branch(self) -> str | None:
        """The branch that work is based on: origin's default, else main, master or trunk, else the current one.

        A branch that is a task's is none of these. None in a detached checkout without any of them.
        """
        return self._default_branch

    def exclude(self, pattern: str) -> None:
        """Have git ignore ``pattern`` in this repository alone, through .git/info/exclude."""
        path = self.common_dir / "info" / "exclude"
        text = read_small(path) or ""
        if pattern in text.splitlines():
            return
        line = ("" if not text or text.endswith("\n") else "\n") + pattern + "\n"
        try:
            # no failpoint: an empty directory says nothing; it is made, or removed, again
            path.parent.mkdir(exist_ok=True)
            with failpoints.around("exclude"), open(path, "a", encoding="utf-8", opener=_plain) as file:
                file.write(line)
        except OSError as error:
            raise CannotCreate(f"cannot write {path}: {error.strerror}") from error

    def _git(self, directory: Path | None) -> Git:
        if directory is None or Path(directory) == self.root:
            return Git(self.place)
        return Git(Path(directory))


def _plain(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)


def _common_dir(path: Path) -> Path:
    """Ask git, which finds every kind of repository and checks that it is the caller's own."""
    dot_git = None
    for directory in (path, *path.parents):
        if (directory / ".git").is_dir():
            dot_git = directory / ".git"
            refuse_misplaced(Place(directory, dot_git, dot_git))
            break
    args = ["rev-parse", "--path-format=absolute", "--git-common-dir"]
    answer = capture([program(), *args], cwd=path, env=base_environment())
    stderr = decode(answer.err)
    if "dubious ownership" in stderr:
        raise Misconfigured(
            f"the repository around {path} belongs to another user",
            f"if you trust it: git config --global --add safe.directory {_named_unsafe(stderr, path)}",
        )
    lines = decode(answer.out).splitlines()
    if answer.rc != 0 or len(lines) != 1:
        if dot_git is not None and (refused := refused_config.refusal(dot_git, stderr)):
            raise refused
        said = "" if "not a git repository" in stderr else f" ({stderr.strip().partition(chr(10))[0]})"
        way_out = replaced_git.look_alike(path)
        hint = f"one lies beside its place; to put it back: {way_out}" if way_out else HINT
        raise Misconfigured(f"there is no git repository around {path}{said}", hint)
    return Path(os.path.realpath(lines[0]))


def _named_unsafe(stderr: str, path: Path) -> str:
    """The directory that git wants to be told is safe, as a shell word: the repository's, not one inside it."""
    found = re.search(r"--add safe\.directory (.+)$", stderr, re.MULTILINE)
    return found[1] if found else shlex.quote(str(path))


def _main_place(path: Path, common: Path) -> Place:
    _refuse_link(path, common)
    if _is_bare(common):
        raise Misconfigured(
            f"the repository {common} is bare: it has no files to work on, whatever worktrees it has",
            "clone it, and use the clone",
        )
    if common.name == ".git" and common.is_dir():
        return Place(common.parent, common, common)
    # The git directory of a submodule, or one made by --separate-git-dir: its worktree points to it.
    for directory in (path, *path.parents):
        if read_pointer(directory / ".git") == common:
            return Place(directory, common, common)
    worktree = _configured_worktree(common)
    if worktree is not None and read_pointer(worktree / ".git") == common:
        return Place(worktree, common, common)
    raise Misconfigured(
        f"the repository {common} is bare: it has no files to work on", "clone it, and use the clone"
    )


def _refuse_link(path: Path, common: Path) -> None:
    """Raise Misconfigured if the checkout around ``path`` has a link for its git directory.

    A link is what an agent would leave to have git work elsewhere; a file that names the directory is plain to see.
    """
    for directory in (path, *path.parents):
        dot_git = directory / ".git"
        if dot_git.is_symlink() and Path(os.path.realpath(dot_git)) == common:
            link, pointer = shlex.quote(str(dot_git)), shlex.quote(f"gitdir: {common}")
            raise Misconfigured(
                f"{dot_git} is a symbolic link to {common}, which is not supported",
                f"a file that names it is: rm {link} && echo {pointer} > {link}",
            )


def _is_bare(common: Path) -> bool:
    if common.name == ".git" and (common / "index").exists():
        return False  # a checkout, in whose configuration somebody set core.bare: the runner's git names its files itself
    asked = ("config", "--file", str(common / "config"), "--type=bool", "core.bare")
    return Git(Place(None, common, common)).run(*asked, check=False).text == "true"


def _configured_worktree(common: Path) -> Path | None:
    answer = Git(Place(None, common, common)).run(
        "config", "--file", str(common / "config"), "core.worktree", check=False
    )
    return Path(os.path.realpath(common / answer.text)) if answer.returncode == 0 and answer.text else None
