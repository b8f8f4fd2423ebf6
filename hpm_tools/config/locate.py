"""Finding the repository to work on, and recognising hpm-tools' own checkout, without running git."""

from __future__ import annotations

import os

from hpm_tools.config.files import read_file
from hpm_tools.errors import Misconfigured


def find_repository(start: str) -> str | None:
    """The main worktree of the git repository around ``start``; None if there is none.

    In a linked worktree ``.git`` is a file that leads to the repository through its commondir.
    """
    directory = os.path.realpath(start)
    while True:
        pointer = os.path.join(directory, ".git")
        if os.path.isdir(pointer):
            return directory
        if os.path.isfile(pointer):
            return _main_worktree(directory, pointer)
        parent = os.path.dirname(directory)
        if parent == directory:
            return None
        directory = parent


def _main_worktree(directory: str, pointer: str) -> str:
    git_dir = os.path.join(directory, _text(pointer).removeprefix("gitdir:").strip())
    common = _text(os.path.join(git_dir, "commondir")).strip()
    if not common:
        return directory
    common_dir = os.path.normpath(os.path.join(git_dir, common))
    return os.path.dirname(common_dir) if os.path.basename(common_dir) == ".git" else directory


def _text(path: str) -> str:
    """What is in a file of git's; "" if it cannot be read or the path cannot be one."""
    try:
        return (read_file(path) or b"").decode(errors="replace")
    except (Misconfigured, ValueError):
        return ""


def is_own_checkout(repository: str) -> bool:
    """True if ``repository`` is the checkout that this very hpm-tools runs from."""
    package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    source = os.path.dirname(package)
    if not os.path.exists(os.path.join(source, ".git")):
        return False
    own = find_repository(source)
    return own is not None and os.path.realpath(repository) == own
