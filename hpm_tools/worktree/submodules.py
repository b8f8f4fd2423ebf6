"""Whether a worktree's submodules hold anything that would go with it: their repositories live inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.worktree import archive, index_entries, proof, reachability
from hpm_tools.worktree.git import Git
from hpm_tools.worktree.place import Place, read_pointer
from hpm_tools.worktree.salvage import CannotSalvage
from hpm_tools.worktree.status import take_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def refuse_work_in(git: Git, modules: Path, regenerable: Sequence[str]) -> None:
    """Raise CannotSalvage unless every repository below ``modules`` can be fetched again as it is.

    That is: it is checked out where ``git`` has a submodule, unchanged, with no stash and no commit that
    its remote has not. It is asked with the same care as any other: an agent may have configured it.
    """
    repositories = set(_repositories(modules))
    if not repositories:
        return
    for path in index_entries.submodules(git):
        git_dir = read_pointer(git.place.root / path / ".git")
        if git_dir in repositories:
            repositories.remove(git_dir)
            _refuse_work(Git(Place(git.place.root / path, git_dir, git_dir)), path, regenerable)
    if repositories:
        raise CannotSalvage(f"the submodule repository {min(repositories)} is checked out nowhere")


def _repositories(modules: Path) -> Iterator[Path]:
    """Git directories of submodules; their names may have slashes, and so be directories in between."""
    if not modules.is_dir():
        return
    for entry in sorted(modules.iterdir()):
        if (entry / "HEAD").is_file():
            yield entry
        elif entry.is_dir() and not entry.is_symlink():
            yield from _repositories(entry)


def _refuse_work(git: Git, path: str, regenerable: Sequence[str]) -> None:
    proof.heed_every_file(git)
    found = take_status(git, ignored=True)
    below = proof.below_empty_submodules(git)
    proof.prove(git, found, below, regenerable)
    if archive.precious(git.place.root, below, (), {}):
        raise CannotSalvage(f"the submodule {path} has files below the path of a submodule of its own")
    if found.dirty or archive.precious(git.place.root, found.ignored, regenerable, {}):
        raise CannotSalvage(f"the submodule {path} has uncommitted files")
    git_dir = git.place.git_dir
    known = reachability.remembered(git.place) | ({found.head} if found.head else set())
    args = ("--ignore-missing", "--max-count=1", "--stdin", "--branches", "--not", "--remotes", "--tags")
    stdin = "".join(f"{oid}\n" for oid in sorted(known)).encode()
    if git.run("rev-list", *args, stdin=stdin).text or git.text("for-each-ref", "refs/stash"):
        raise CannotSalvage(f"the submodule {path} has commits that its remote has not")
    refuse_work_in(git, git_dir / "modules", regenerable)
