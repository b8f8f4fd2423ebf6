"""Putting a worktree's rewritten `.git` pointer right: the one thing of git's own that is restored."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from hpm_tools.errors import CannotCreate

if TYPE_CHECKING:
    from hpm_tools.worktree.place import Place


def restore_pointer(place: Place) -> bool:
    """Make the worktree's `.git`, and the way back to it, name each other again; True if they did not.

    A directory that stands in the pointer's place, a repository of the agent's own, is moved beside it.
    """
    if not place.linked or place.directory is None or not place.directory.is_dir():
        return False
    back = place.git_dir / "gitdir"
    dot_git = place.directory / ".git"
    if place.pointer_is_right and _says(back, f"{dot_git}\n"):
        return False
    try:
        if dot_git.is_dir() and not dot_git.is_symlink():
            os.rename(dot_git, dot_git.with_name(f".git-of-agent-{int(time.time())}"))
        _replace(dot_git, place.pointer_text or "")
        _replace(back, f"{dot_git}\n")
    except OSError as error:
        raise CannotCreate(f"cannot restore {dot_git}: {error.strerror}") from error
    return True


def _says(path: os.PathLike[str], text: str) -> bool:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(len(text) + 1) == text
    except (OSError, UnicodeDecodeError):
        return False


def _replace(path: os.PathLike[str], text: str) -> None:
    temporary = f"{os.fspath(path)}.hpm-new"
    try:
        os.unlink(temporary)
    except FileNotFoundError:
        pass
    with open(temporary, "x", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)
