"""What `git status` says about a checkout, read from its machine format in one call."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.trees import walk
from hpm_tools.worktree import mending
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git, decode, failure

if TYPE_CHECKING:
    from pathlib import Path

PLACEHOLDERS = frozenset(
    {
        ".bash_profile",
        ".bashrc",
        ".gitconfig",
        ".gitmodules",
        ".idea",
        ".mcp.json",
        ".profile",
        ".ripgreprc",
        ".vscode",
        ".zprofile",
        ".zshrc",
    }
)
"""What the Claude CLI's sandbox puts into the directory it works in, empty and read-only (docs/claude-cli.md, Sandbox)."""

WRITABLE_OR_EXECUTABLE = 0o333
BROKEN_INDEX = re.compile(
    rb"index file (corrupt|smaller than expected|open failed)|bad (signature|index)|index uses"
)
NO_COMMIT = "(initial)"
DETACHED = "(detached)"


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

    @property
    def is_gitlink(self) -> bool:
        return "160000" in (self.mode_head, self.mode_index, self.mode_worktree)


@dataclass(slots=True)
class Status:
    """One look at a checkout. ``head`` is None without a commit, ``branch`` is None when detached.

    ``untracked`` paths that end in a slash are repositories inside the checkout; ``ignored`` is filled
    only when asked for, with a slash after directories.
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
    """Look at the checkout of ``git``. The sandbox's placeholders are set apart: nobody's changes."""
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
    if BROKEN_INDEX.search(result.err) and mending.rebuild_index(git):
        result = git.run(*args, timeout=CHECKOUT_TIMEOUT, check=False)
    if result.returncode != 0:
        raise failure(tuple(args), result)
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
    """Whether the untracked ``path`` is an empty read-only file that the CLI's sandbox left there."""
    if path not in PLACEHOLDERS and not path.startswith(".claude/"):
        return False
    try:
        found = os.lstat(directory / path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == 0 and not found.st_mode & WRITABLE_OR_EXECUTABLE


def remove_placeholders(directory: Path) -> list[str]:
    """Remove what the CLI's sandbox left in ``directory``; the paths removed.

    Only once the run's processes are gone: a living sandbox needs them.
    """
    return remove_found_placeholders(directory, take_status(Git(directory), ignored=True))


def remove_found_placeholders(directory: Path, found: Status) -> list[str]:
    """Remove the placeholders that ``found`` names; the paths removed."""
    removed = []
    for path in found.placeholders:
        if is_placeholder(directory, path):
            with failpoints.around("placeholder"):
                os.unlink(directory / path)
            removed.append(path)
    if any(path.startswith(".claude/") for path in removed):
        _remove_empty(directory / ".claude")
    found.placeholders.clear()
    return removed


def _remove_empty(directory: Path) -> None:
    for here in reversed([here for here, _, _ in walk(directory)]):
        try:
            # no failpoint: an empty directory says nothing; it is made, or removed, again
            os.rmdir(here)
        except OSError:
            continue
