"""Finding the repository around a directory as git would, by reading files.

Starting git costs more than all else that a listing does. Only the ordinary case is decided here: a `.git`
directory of a format that every git reads, and the caller's own. Whatever differs in any way is left to git.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from hpm_tools.worktree.place import POINTER_LIMIT, Place, read_part

ORDINARY_HEAD = re.compile(rb"ref: refs/\S+\n|[0-9a-f]{40}\n")
ORDINARY_CONFIG = re.compile(
    rb"""\[core\]\n
    \trepositoryformatversion[ ]=[ ]0\n
    (?:\t(?!bare[ ]=[ ]true)[a-z]+[ ]=[ ](?:true|false)\n)*
    (?:\[(?!core|include|extensions)[a-z][a-z0-9-]*(?:[ ]"[^"\\\n]+")?\]\n
        (?:\t[a-z][a-z0-9-]*[ ]=[ ][^"\\\n]*\n)*)*""",
    re.VERBOSE | re.IGNORECASE,
)
"""What `git init`, `git clone` and `git config` write. Git has the last of several values, and refuses what it cannot read."""


def ordinary_place(start: str) -> Place | None:
    """The main worktree around ``start``; None where git itself must be asked whether there is one."""
    directory = os.path.realpath(start)
    try:
        device = os.stat(directory).st_dev
        while os.stat(directory).st_dev == device:
            git_dir = os.path.join(directory, ".git")
            if os.path.lexists(git_dir):
                return _ordinary(directory, git_dir)
            parent = os.path.dirname(directory)
            if os.path.exists(os.path.join(directory, "HEAD")) or parent == directory:
                break
            directory = parent
    except (OSError, ValueError):
        pass
    return None


def _ordinary(directory: str, git_dir: str) -> Place | None:
    parts = f"{git_dir}/objects", f"{git_dir}/refs"
    if not all(stat.S_ISDIR(os.lstat(path).st_mode) for path in (directory, git_dir, *parts)):
        return None
    # What git checks before it believes the configuration of a repository (safe.directory).
    if {os.lstat(directory).st_uid, os.lstat(git_dir).st_uid} != {os.geteuid()}:
        return None
    # Where git may not enter these, or HEAD is a link out of refs/, it looks on in the directories above.
    if not all(os.access(path, os.X_OK) for path in parts) or os.path.islink(f"{git_dir}/HEAD"):
        return None
    # A path of several lines cannot be told from several answers of git, and is refused there.
    if os.path.lexists(f"{git_dir}/commondir") or len(git_dir.splitlines()) != 1:
        return None
    if not _is_all(ORDINARY_HEAD, f"{git_dir}/HEAD") or not _is_all(ORDINARY_CONFIG, f"{git_dir}/config"):
        return None
    found = Path(git_dir)
    return Place(found.parent, found, found)


def _is_all(pattern: re.Pattern[bytes], path: str) -> bool:
    """Whether ``pattern`` describes the whole file."""
    content = read_part(Path(path), 0, POINTER_LIMIT)
    return content is not None and len(content) < POINTER_LIMIT and pattern.fullmatch(content) is not None
