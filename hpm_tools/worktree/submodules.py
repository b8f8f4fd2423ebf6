"""Whether a worktree's submodules hold anything that would go with it: their repositories live inside."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpm_tools.worktree import archive, index_entries, proof, reachability, unfinished
from hpm_tools.worktree.git import Git
from hpm_tools.worktree.place import Place, read_pointer
from hpm_tools.worktree.salvage import CannotSalvage
from hpm_tools.worktree.status import take_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def refuse_work_in(git: Git, modules: Path, regenerable: Sequence[str]) -> None:
    """Raise CannotSalvage unless every repository below ``modules`` can be fetched again as it is.

    That is: it is checked out in the one place where ``git`` has its submodule, unchanged, with no ref and no operation
    of its own and no commit that its remote has not. It is asked with the same care as any other: an agent may have
    configured it.
    """
    repositories = set(_repositories(modules))
    for path in index_entries.submodules(git):
        where = git.place.root / path
        git_dir = read_pointer(where / ".git")
        if git_dir is None or not git_dir.is_relative_to(modules):
            continue  # `proof` has looked there
        if git_dir not in repositories:
            # Deleted, or also the repository of a copy: nothing tells which of the files there are work.
            raise CannotSalvage(f"the submodule {path} has no repository of its own", _look(where))
        repositories.remove(git_dir)
        inner = Git(Place(where, git_dir, git_dir))
        _refuse_files(inner, path, regenerable)
        _refuse_commits(inner, f"the submodule {path}")
        refuse_work_in(inner, git_dir / "modules", regenerable)
    if repositories:
        unused = min(repositories)
        raise CannotSalvage(f"the submodule repository {unused} is checked out nowhere", _look(unused))


def refuse_commits_in(modules: Path) -> None:
    """Raise CannotSalvage if a repository below ``modules``, whose worktree is gone, has what its remote has not."""
    for git_dir in _repositories(modules):
        if not _is_repository(git_dir):
            raise CannotSalvage(f"{git_dir} is no repository of a submodule", _look(git_dir))
        # Named as its own work tree, for the one that git wrote into its configuration is gone.
        git = Git(Place(git_dir, git_dir, git_dir))
        _refuse_commits(git, f"the submodule repository {git_dir}")
        head = git.run("rev-parse", "--verify", "-q", "HEAD", check=False).text
        staged = ("diff-index", "--cached", "--quiet", "HEAD", "--")
        if head and (git_dir / "index").exists() and git.run(*staged, check=False).returncode != 0:
            raise CannotSalvage(f"in the submodule repository {git_dir} changes are staged", _look(git_dir))
        refuse_commits_in(git_dir / "modules")


def _look(where: Path) -> str:
    return f"look into {where}, then move it elsewhere"


def _repositories(modules: Path) -> Iterator[Path]:
    """Git directories of submodules, whose names may have slashes and so be directories in between; and all that is none."""
    if not modules.is_dir():
        return
    for entry in sorted(modules.iterdir()):
        if entry.is_symlink() or not entry.is_dir() or _is_repository(entry):
            yield entry
        else:
            yield from _repositories(entry)


def _is_repository(directory: Path) -> bool:
    # Not by its HEAD alone, which may be damaged or gone.
    return os.path.lexists(directory / "HEAD") or (directory / "objects").is_dir()


def _refuse_files(git: Git, path: str, regenerable: Sequence[str]) -> None:
    tracked = proof.heed_every_file(git)
    found = take_status(git, ignored=True)
    below = proof.below_empty_submodules(git)
    proof.prove(git, found, tracked, below, regenerable)
    if archive.precious(git.place.root, below, (), {}):
        raise CannotSalvage(f"the submodule {path} has files below the path of a submodule of its own")
    if found.dirty or archive.precious(git.place.root, found.ignored, regenerable, {}):
        raise CannotSalvage(f"the submodule {path} has uncommitted files")


def _refuse_commits(git: Git, what: str) -> None:
    git_dir = git.place.git_dir
    known = reachability.remembered(git.place)
    # Tags too: one that an agent made cannot be told from one that its remote has.
    args = ("--ignore-missing", "--max-count=1", "--stdin", "--all", "--reflog", "--not", "--remotes")
    stdin = "".join(f"{oid}\n" for oid in sorted(known)).encode()
    if git.run("rev-list", *args, stdin=stdin).text:
        raise CannotSalvage(f"{what} has commits that its remote has not", f"push them from {git_dir}")
    if unfinished.keep_state(git) is not None:
        raise CannotSalvage(f"{what} has an unfinished operation", _look(git_dir))
    if (git_dir / "worktrees").is_dir():
        raise CannotSalvage(f"{what} has worktrees", f"git --git-dir={git_dir} worktree list")
