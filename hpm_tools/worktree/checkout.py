"""Work in the main checkout itself: leaving it as it was found, and switching its branch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpm_tools.errors import CannotCreate
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git, decode
from hpm_tools.worktree.salvage import SALVAGE, tree_of
from hpm_tools.worktree.status import remove_found_placeholders, take_status

if TYPE_CHECKING:
    from pathlib import Path

    from hpm_tools.worktree.status import Status


def clean_to_head(directory: Path) -> None:
    """Put the checkout at ``directory`` back to its HEAD, once a salvage ref holds what is there.

    Ignored files and repositories inside the checkout stay. Raises CannotCreate if no salvage ref holds
    exactly the present content: then nothing is removed.
    """
    git = Git(directory)
    found = take_status(git)
    remove_found_placeholders(git.place.root, found)
    if not found.dirty:
        return
    tree = tree_of(git, found)
    kept = decode(git.run("for-each-ref", "--format=%(tree)", SALVAGE).out).split()
    if tree not in kept:
        raise CannotCreate(
            f"the uncommitted changes in {directory} are in no salvage ref, so they stay",
            "see what they are: git status",
        )
    git.run("reset", "--hard", "--quiet", timeout=CHECKOUT_TIMEOUT)
    _remove_untracked(git.place.root, found)


def _remove_untracked(root: Path, found: Status) -> None:
    # `git clean` would take along what appeared since; these files are known to be saved.
    for path in found.untracked:
        if path.endswith("/"):
            continue
        try:
            os.unlink(root / path)
        except FileNotFoundError:
            continue
        parent = os.path.dirname(path)
        while parent:
            try:
                os.rmdir(root / parent)
            except OSError:
                break
            parent = os.path.dirname(parent)


def switch_back(directory: Path, branch: str | None) -> None:
    """Check out ``branch`` again in a clean checkout. Raises GitError if files stand in the way."""
    if branch:
        git = Git(directory)
        git.run(
            "-c",
            "advice.detachedHead=false",
            "checkout",
            "--quiet",
            "--no-guess",
            branch,
            "--",
            timeout=CHECKOUT_TIMEOUT,
        )
