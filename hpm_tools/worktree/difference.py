"""What a checkout's work changes, as text: for agents that have no git to look at it themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.errors import HpmError
from hpm_tools.worktree.git import Git, decode

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 40_000
"""Characters of the patch; the list of files before it has a fourth of that."""
PLAIN = ("--no-color", "--no-ext-diff", "--no-textconv", "--no-renames")
"""Nothing that the repository's attributes and settings name is run for it."""


def difference(directory: Path, base: str | None, *, branched: bool) -> str:
    """The files and the patch between ``base`` and what lies in ``directory``; empty where it cannot be told.

    ``branched``: from where the checked-out commit branched off ``base``, to that commit. Otherwise from
    ``base`` itself to the files, without those that git does not know yet.
    """
    if base is None:
        return ""
    try:
        git = Git(directory)
        if branched:
            start = git.run("merge-base", base, "HEAD").text
            compared: tuple[str, ...] = ("diff-tree", "-r", *PLAIN)
            ends: tuple[str, ...] = (start, "HEAD")
        else:
            compared, ends = ("diff-index", *PLAIN), (base, "--")
        files = decode(git.run(*compared, "--stat", *ends).out)
        patch = decode(git.run(*compared, "-p", *ends).out)
    except HpmError:
        return ""  # too large, or no such commit: the agent is told that there is none here
    return f"{_short(files, LIMIT // 4)}\n{_short(patch, LIMIT)}".strip("\n")


def _short(text: str, limit: int) -> str:
    missing = len(text) - limit
    return text if missing <= 0 else f"{text[:limit]}\n[{missing} more characters left out here]\n"
