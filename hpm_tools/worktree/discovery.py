"""Finding the repository around a directory as git would, by reading files.

Starting git costs more than all else that a listing does. Only the ordinary case is decided here: a `.git`
directory of a format that every git reads, and the caller's own. Whatever differs in any way is left to git.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from hpm_tools.worktree.place import Place, read_small

ORDINARY_HEAD = re.compile(r"ref:\s*refs/\S+\s*|[0-9a-f]{40}\s*")
FORMAT = re.compile(r"^\s*repositoryformatversion\s*=\s*0\s*$", re.MULTILINE | re.IGNORECASE)


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
    for path in (directory, git_dir, f"{git_dir}/objects", f"{git_dir}/refs"):
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            return None
    # What git checks before it believes the configuration of a repository (safe.directory).
    if {os.lstat(directory).st_uid, os.lstat(git_dir).st_uid} != {os.geteuid()}:
        return None
    head, config = read_small(Path(git_dir, "HEAD")), read_small(Path(git_dir, "config"))
    if head is None or config is None or os.path.lexists(f"{git_dir}/commondir"):
        return None
    if not ORDINARY_HEAD.fullmatch(head) or not FORMAT.search(config) or "extensions" in config.lower():
        return None
    found = Path(git_dir)
    return Place(found.parent, found, found)
