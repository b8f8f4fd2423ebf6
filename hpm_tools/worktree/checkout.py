"""Work in the main checkout itself: leaving it as it was found, and switching its branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.errors import CannotCreate
from hpm_tools.worktree.files import drop
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git
from hpm_tools.worktree.index_entries import GITLINK
from hpm_tools.worktree.salvage import covering, dirty_entries, saved_paths
from hpm_tools.worktree.status import take_status

if TYPE_CHECKING:
    from pathlib import Path

    from hpm_tools.worktree.status import Status


NO_MODE = "000000"


def clean_to_head(directory: Path) -> None:
    """Put the checkout at ``directory`` back to its HEAD, once a salvage ref holds what is there.

    Ignored files and repositories inside the checkout stay. Safe to repeat after a crash. Raises
    CannotCreate if no salvage ref holds all of the present content: then nothing is removed.
    """
    git = Git(directory)
    found = take_status(git)
    if not saved_paths(found):
        return
    entries = dirty_entries(git, found)
    if covering(git, found.head, entries) is None:
        raise CannotCreate(
            f"the uncommitted changes in {directory} are in no salvage ref, so they stay",
            "see what they are: git status",
        )
    if found.head is not None:
        git.run("reset", "--hard", "--quiet", timeout=CHECKOUT_TIMEOUT)
        failpoints.reach("checkout.reset")
    _remove_untracked(git.place.root, found)


def _remove_untracked(root: Path, found: Status) -> None:
    # `git clean` would take along what appeared since; these files are known to be saved.
    # A submodule that was added is a directory: what is in it is not in the salvage, and stays.
    added = [entry for entry in found.changed if entry.mode_head == NO_MODE]
    staged = [entry.path for entry in added if entry.mode_index != GITLINK]
    for path in [*staged, *found.untracked]:
        if not path.endswith("/"):
            drop(root, path)


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
