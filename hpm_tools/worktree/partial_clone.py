"""What a partial clone left with its remote: the runner's git uses no network, so no worktree can be made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpm_tools.worktree.git import Git

FILTERS = r"^remote\..*\.(promisor|partialclonefilter)$|^extensions\.partialclone$"
"""The settings of a partial clone (git's Documentation/technical/partial-clone.txt)."""


def is_partial(git: Git) -> bool:
    """Whether the repository was cloned without some of its objects."""
    return bool(git.run("config", "--name-only", "--get-regexp", FILTERS, check=False).text)


def missing(git: Git, commit: str) -> int:
    """How many files and directories of ``commit`` are not in this repository; what is below a missing one is unknown."""
    found = git.text("rev-list", "--objects", "--missing=print", "--no-walk", commit)
    return sum(line.startswith("?") for line in found.splitlines())
