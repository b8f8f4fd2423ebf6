"""What `git status` says about a checkout, read from its machine format in one call."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hpm_tools.worktree import mending
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git, GitError, decode, failure, index_is_damaged

if TYPE_CHECKING:
    from pathlib import Path

WRITABLE_OR_EXECUTABLE = 0o333
NO_COMMIT = "(initial)"
DETACHED = "(detached)"


class BrokenIndex(GitError):
    """A checkout's index cannot be read, and is not made anew without a person."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A tracked path that differs: ``index`` and ``worktree`` are status letters, ``.`` for none, as in git-status(1).

    The modes are octal texts, ``000000`` where there is no file; the ids are those in HEAD and in the index.
    """

    path: str
    index: str
    worktree: str
    mode_head: str
    mode_index: str
    mode_worktree: str
    id_head: str
    id_index: str


@dataclass(slots=True)
class Status:
    """One look at a checkout. ``head`` is None without a commit, ``branch`` is None when detached.

    ``untracked`` paths that end in a slash are repositories inside the checkout; ``ignored`` is filled
    only when asked for, with a slash after directories. ``placeholders`` are the untracked or ignored files that
    are empty and read-only: a sandbox's, and nobody's changes.
    """

    head: str | None = None
    branch: str | None = None
    changed: list[Changed] = field(default_factory=list)
    unmerged: list[str] = field(default_factory=list)
    untracked: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    placeholders: list[str] = field(default_factory=list)

    @property
    def dirty(self) -> list[str]:
        """Every path with uncommitted content that is not ignored."""
        return [*(entry.path for entry in self.changed), *self.unmerged, *self.untracked]

    @property
    def nested(self) -> list[str]:
        """Repositories inside the checkout that it does not track."""
        return [path for path in self.untracked if path.endswith("/")]


def take_status(git: Git, *, ignored: bool = False) -> Status:
    """Look at the checkout of ``git``. Raises BrokenIndex, GitError."""
    # Looking into submodules would run git there, with what an agent wrote into their configuration.
    args = [
        "status",
        "--porcelain=v2",
        "--branch",
        "-z",
        "-uall",
        "--no-renames",
        "--ignore-submodules=dirty",
    ]
    if ignored:
        args.append("--ignored=matching")
    result = git.run(*args, timeout=CHECKOUT_TIMEOUT, check=False)
    if index_is_damaged(decode(result.err)) and mending.rebuild_index(git):
        result = git.run(*args, timeout=CHECKOUT_TIMEOUT, check=False)
    if result.returncode != 0:
        error = failure(tuple(args), result)
        if index_is_damaged(error.stderr):
            raise BrokenIndex(
                error.message, mending.way_out_of_index(git), returncode=error.returncode, stderr=error.stderr
            )
        raise error
    output = result.out
    found = Status()
    for line in decode(output).split("\0"):
        _read(found, line)
    _set_placeholders_apart(found, git.place.root)
    return found


def _read(found: Status, line: str) -> None:
    kind, _, rest = line.partition(" ")
    if kind == "1":
        xy, _, mode_head, mode_index, mode_worktree, id_head, id_index, path = rest.split(" ", 7)
        found.changed.append(
            Changed(path, xy[0], xy[1], mode_head, mode_index, mode_worktree, id_head, id_index)
        )
    elif kind == "u":
        found.unmerged.append(rest.split(" ", 9)[9])
    elif kind == "?":
        found.untracked.append(rest)
    elif kind == "!":
        found.ignored.append(rest)
    elif rest.startswith("branch.oid "):
        oid = rest.removeprefix("branch.oid ")
        found.head = None if oid == NO_COMMIT else oid
    elif rest.startswith("branch.head "):
        branch = rest.removeprefix("branch.head ")
        found.branch = None if branch == DETACHED else branch


def _set_placeholders_apart(found: Status, directory: Path) -> None:
    for paths in (found.untracked, found.ignored):
        apart = [path for path in paths if is_placeholder(directory, path)]
        found.placeholders += apart
        paths[:] = [path for path in paths if path not in apart]


def is_placeholder(directory: Path, path: str) -> bool:
    """Whether the untracked ``path`` is an empty file that nobody may write, as sandboxes leave them (placeholders.py)."""
    try:
        found = os.lstat(directory / path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == 0 and not found.st_mode & WRITABLE_OR_EXECUTABLE
