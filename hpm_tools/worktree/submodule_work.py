"""What an agent did inside submodules: its superproject's git shows none of it, and keeps none of it."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from hpm_tools.trees import walk
from hpm_tools.worktree import index_entries
from hpm_tools.worktree.git import Git
from hpm_tools.worktree.place import Place, read_pointer
from hpm_tools.worktree.reachability import in_progress
from hpm_tools.worktree.salvage import Extra, save, saved_paths
from hpm_tools.worktree.status import take_status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hpm_tools.worktree.status import Status


DEEPEST = 5


def states(git: Git) -> dict[str, str]:
    """For each submodule of the checkout a digest that changes with its commit and its uncommitted files."""
    return {path: _state(git.place.root, path) for path in _below(git)}


def uncommitted(git: Git) -> list[str]:
    """The submodules of the checkout that hold uncommitted files."""
    root = git.place.root
    return [path for path in _below(git) if (inner := _open(root / path)) and take_status(inner).dirty]


def keep(git: Git, path: str, *, agent_id: str, task_id: int | str) -> str:
    """Salvage what is uncommitted in the submodule at ``path``, in its own repository; a sentence that says where.

    Its files stay as they are. Raises CannotSalvage, GitError.
    """
    inner = _open(git.place.root / path)
    if inner is None:
        return f"files below {path}, a submodule that is not there, were changed"
    found = take_status(inner)
    commits = [found.head] if found.head else []
    ref = save(inner, found, Extra(commits), agent_id=agent_id, task_id=task_id)
    what = (
        "the submodule"
        if not in_progress(inner.place.git_dir)
        else "an unfinished operation in the submodule"
    )
    return f"{what} {path} was changed, which is kept as {ref} in {inner.place.git_dir},"


def holds_files(git: Git, path: str) -> bool:
    """Whether the submodule at ``path`` is not checked out and files lie there, which git shows nowhere."""
    return _open(git.place.root / path) is None and any(_listed(git.place.root / path))


def _below(git: Git, prefix: str = "", depth: int = 0) -> Iterator[str]:
    """The paths of the submodules of a checkout, and of those inside them."""
    for path in index_entries.submodules(git):
        yield f"{prefix}{path}"
        inner = _open(git.place.root / path)
        if inner is not None and depth < DEEPEST:
            yield from _below(inner, f"{prefix}{path}/", depth + 1)


def _state(root: Path, path: str) -> str:
    inner = _open(root / path)
    said = hashlib.sha256()
    if inner is None:
        lines = _listed(root / path)
    else:
        found = take_status(inner)
        lines = _described(inner.place.root, found)
    for line in lines:
        said.update(line.encode(errors="surrogateescape") + b"\0")
    return said.hexdigest()


def _described(top: Path, found: Status) -> Iterator[str]:
    yield f"head {found.head}"
    for path in sorted(saved_paths(found)):
        yield _file(top / path)


def _listed(directory: Path) -> Iterator[str]:
    for here, _, names in walk(directory):
        for name in sorted(names):
            yield _file(directory / here / name)


def _file(path: Path) -> str:
    try:
        found = os.lstat(path)
    except OSError:
        return f"{path} gone"
    return f"{path} {found.st_mode} {found.st_size} {found.st_mtime_ns}"


def _open(directory: Path) -> Git | None:
    """Git for a submodule that is checked out at ``directory``, else None."""
    dot_git = directory / ".git"
    try:
        mode = os.lstat(dot_git).st_mode
    except OSError:
        return None
    git_dir = dot_git if stat.S_ISDIR(mode) else read_pointer(dot_git)
    if git_dir is None or not (git_dir / "HEAD").is_file():
        return None
    return Git(Place(directory, git_dir, git_dir))
