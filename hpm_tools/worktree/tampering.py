"""Noticing what changed in git's own files while an agent worked.

Nothing is put back but the worktree's `.git` pointer: the rest may be somebody else's honest work. What
could make git run a program is switched off in the runner's git (executable.py) and reported.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, Any

from hpm_tools.trees import walk
from hpm_tools.worktree import executable
from hpm_tools.worktree import git as safe_git
from hpm_tools.worktree.place import read_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from hpm_tools.worktree.git import Git
    from hpm_tools.worktree.place import Place

LARGEST_READ = 1 << 20
"""Bytes: a hook may be a whole program."""

WATCHED = ("info/attributes", "info/grafts", "objects/info/alternates")


def fingerprint(git: Git) -> dict[str, Any]:
    """What ``changes`` compares with later; JSON-able, digests only.

    ``files``: hooks and the other files that steer git; ``config``: the configuration files;
    ``settings``: the executable settings in them, digest → name.
    """
    place = git.place
    return {
        "repository": _identity(place.common_dir),
        "files": _digests(_watched(place), place.common_dir),
        "config": {str(path): _digest(path) for path in executable.config_files(place, os.environ)},
        "settings": {setting.digest: setting.name for setting in git.settings()},
    }


def replaced(place: Place, before: Mapping[str, Any]) -> bool:
    """Whether another repository stands where the one of ``before`` was."""
    return _identity(place.common_dir) != str(before["repository"])


def changes(git: Git, before: Mapping[str, Any]) -> list[str]:
    """Sentences about what is different from ``before``; from now on new global settings run no more."""
    place = git.place
    said = list(_compare(before["files"], _digests(_watched(place), place.common_dir)))
    config = {str(path): _digest(path) for path in executable.config_files(place, os.environ)}
    if config != before["config"] or any("include" in name for name in before["settings"].values()):
        said += _new_settings(git, before["settings"])
    return said


def _new_settings(git: Git, before: Mapping[str, str]) -> Iterator[str]:
    for setting in git.settings():
        if setting.digest not in before:
            if setting.scope not in executable.SHARED_SCOPES:
                safe_git.distrusted.add(setting.digest)
            yield f"{setting.name} was set in the {setting.scope} configuration; it was not run"


def _compare(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        if name not in now:
            yield f"{name} was removed"
        elif name not in before:
            yield f"{name} was added; it was not run" if name.startswith("hooks/") else f"{name} was added"
        elif before[name] != now[name]:
            yield (
                f"{name} was changed; it was not run" if name.startswith("hooks/") else f"{name} was changed"
            )


def _watched(place: Place) -> Iterator[Path]:
    try:
        names = sorted(os.listdir(place.common_dir / "hooks"))
    except OSError:
        names = []
    for name in names:
        if not name.endswith(".sample"):
            yield place.common_dir / "hooks" / name
    for name in WATCHED:
        yield place.common_dir / name


def _digests(paths: Iterable[Path], top: Path) -> dict[str, str]:
    found = {}
    for path in paths:
        if digest := _digest(path):
            found[str(path.relative_to(top))] = digest
    return found


def _digest(path: Path) -> str:
    """What tells a file from its earlier self: mode and content, of a large one inode, size and times; "" if it is
    empty, an empty directory or not there.

    What is no regular file is not opened, only named by its type.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"unreadable: {error.strerror}"
    if stat.S_ISREG(found.st_mode) and found.st_size == 0:
        # It steers nothing, like an empty directory: the agent program's sandbox leaves them where it forbade to make any.
        return ""
    if stat.S_ISDIR(found.st_mode) and not any(others for _, _, others in walk(path)):
        return ""
    if not stat.S_ISREG(found.st_mode):
        return f"no file: {stat.S_IFMT(found.st_mode):o}"
    if found.st_size > LARGEST_READ:
        return (
            f"large: {found.st_mode:o} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
        )
    content = read_part(path, 0, LARGEST_READ)
    if content is None:
        return "unreadable"
    return hashlib.sha256(f"{found.st_mode:o}\0".encode() + content).hexdigest()


def _identity(directory: Path) -> str:
    try:
        found = os.stat(directory)
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"
