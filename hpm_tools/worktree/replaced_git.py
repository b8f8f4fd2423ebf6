"""A repository whose git directory was renamed or replaced while a runner works in it.

Nothing is put back: it may be a person who moves a repository. But no task is worked, salvaged or taken in what stands
there now, and a person is told what was there and where it is.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from hpm_tools.worktree import nearby
from hpm_tools.worktree.place import read_pointer
from hpm_tools.worktree.specials import Unsound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class GitReplaced(Unsound):
    """Another thing, or none, stands where the repository's git directory was."""

    kind = "repository_replaced"


def refuse(common_dir: Path, known: str) -> None:
    """Raise GitReplaced if the repository at ``common_dir`` is not the one any more whose identity is ``known``."""
    if not known or nearby.identity(common_dir) == known:
        return
    found = next((path for path in _near(common_dir) if nearby.directory_identity(path) == known), None)
    there = os.path.lexists(common_dir)
    said = f"{common_dir} was {'replaced' if there else 'moved away'}"
    if found is None:
        raise GitReplaced(said, f"put the git directory back to {common_dir}, or begin again in a new clone")
    away = _command("mv", common_dir, f"{common_dir}.other")
    way_out = " && ".join([*([away] if there else []), _command("mv", found, common_dir)])
    raise GitReplaced(f"{said}; the repository is now {found}", f"to put it back: {way_out}")


def look_alike(root: Path) -> str:
    """The command that puts a git directory back that lies beside its place in ``root``; "" if none is to be seen."""
    dot_git = root / ".git"
    found = next((path for path in nearby.inside(root) if path != dot_git and _is_git_directory(path)), None)
    if found is None:
        return ""
    away = [_command("mv", dot_git, f"{dot_git}.other")] if os.path.lexists(dot_git) else []
    return " && ".join([*away, _command("mv", found, dot_git)])


def _is_git_directory(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()


def _near(common_dir: Path) -> Iterator[Path]:
    """Where a git directory may have been put: beside it, beside its checkout, or where a `.git` file points now."""
    pointed = read_pointer(common_dir)
    if pointed is not None:
        yield pointed
    yield from _below(common_dir.parent)
    yield from _below(common_dir.parent.parent)


def _below(directory: Path) -> Iterator[Path]:
    for path in nearby.inside(directory):
        yield path
        yield path / ".git"


def _command(*words: object) -> str:
    return shlex.join(map(str, words))
