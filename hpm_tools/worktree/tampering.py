"""Noticing what changed in git's own files while an agent worked.

Nothing is put back but the worktree's `.git` pointer: the rest may be somebody else's honest work. What
could make git run a program is switched off in the runner's git (executable.py) and reported.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import stat
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpm_tools.trees import walk
from hpm_tools.worktree import executable, local_settings, nearby
from hpm_tools.worktree import git as safe_git
from hpm_tools.worktree.copies import Copies
from hpm_tools.worktree.layout import DIRECTORY
from hpm_tools.worktree.place import read_part, read_small
from hpm_tools.worktree.registration import REASON

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from hpm_tools.worktree.git import Git
    from hpm_tools.worktree.place import Place

LARGEST_READ = 1 << 20
"""Bytes: a hook may be a whole program."""

INFO = "info"
NOT_WATCHED = ("refs",)
"""In info: what `git gc` writes for servers that only hand out files."""

WATCHED = ("shallow", "objects/info/alternates", "objects/info/http-alternates")
OF_OLD = ("info/attributes", "info/grafts", "objects/info/alternates")
EXCLUDE = "info/exclude"
SETTINGS = ("config", "config.worktree")
"""The main checkout's; each changed setting is told, not the file."""

OTHERS = ("modules/", "worktrees/")
"""Below these are the git directories of submodules, and of people's other worktrees, in which people's git runs what
hooks and settings name, too."""

MOST_FILES = 1000
NO_COPIES = Copies(None)


def fingerprint(git: Git, copies: Copies) -> dict[str, Any]:
    """What ``changes`` compares with later; JSON-able, digests only. What they are of goes to ``copies``.

    ``files``: hooks and the other files that steer git; ``config``: the configuration files, ``local`` those of the
    repository; ``settings``: the executable settings in them, digest → name.
    """
    place = git.place
    return {
        "repository": nearby.identity(place.common_dir),
        "others": True,
        "files": _digests(_watched(place), place, copies),
        "local": _digests((place.common_dir / name for name in SETTINGS), place, copies),
        "config": {str(path): _digest(path) for path in executable.config_files(place, os.environ)},
        "settings": {setting.digest: setting.name for setting in git.settings()},
    }


def changes(git: Git, before: Mapping[str, Any], copies: Copies) -> list[str]:
    """Sentences about what is different from ``before``, with the commands that undo it as far as ``copies`` have it.

    From now on new global settings run no more.
    """
    place = git.place
    now = _digests(_watched(place), place)
    if "local" not in before:  # an earlier version's, which watched fewer files
        now = {name: digest for name, digest in now.items() if name.startswith(("hooks/", *OF_OLD))}
    if not before.get("others"):
        now = {name: digest for name, digest in now.items() if not name.startswith(OTHERS)}
    said = list(_compare(before["files"], now, place, copies))
    told: list[tuple[str, str]] = []
    for file, digest in changed_files(place, before.get("local")):
        told += local_settings.changes(git, file, digest, copies)
    said += [sentence for _, sentence in told]
    config = {str(path): _digest(path) for path in executable.config_files(place, os.environ)}
    if config != before["config"] or any("include" in name for name in before["settings"].values()):
        said += _new_settings(git, before["settings"], {name for name, _ in told})
    return said


def changed_files(place: Place, before: Mapping[str, str] | None) -> Iterator[tuple[Path, str]]:
    """The repository's configuration files that differ from ``before``, None if that is not known, with its digests."""
    for name in SETTINGS if before is not None else ():
        file, digest = place.common_dir / name, (before or {}).get(name, "")
        if _digest(file) != digest:
            yield file, digest


def _new_settings(git: Git, before: Mapping[str, str], told: Collection[str]) -> Iterator[str]:
    for setting in git.settings():
        if setting.digest not in before:
            shared = setting.scope in executable.SHARED_SCOPES
            if not shared:
                safe_git.distrusted.add(setting.digest)
            if not shared or setting.name not in told:
                name = local_settings.shown(setting.name)
                yield f"{name} was set in the {setting.scope} configuration; it was not run"


def digest_of_exclude(place: Place) -> str:
    """What `fingerprint` says of info/exclude."""
    return _digests([place.common_dir / EXCLUDE], place).get(EXCLUDE, "")


def _compare(
    before: Mapping[str, str], now: Mapping[str, str], place: Place, copies: Copies
) -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) == now.get(name):
            continue
        file = place.common_dir / name
        if name.startswith("worktrees/") and not file.parent.exists():
            continue  # the worktree was removed, which takes nothing from anybody's git
        how = "removed" if name not in now else "changed" if name in before else "added"
        not_run = "; it was not run" if "hooks/" in name and name in now else ""
        undo = copies.put_back(before[name], file) if name in before else f"rm -rf {shlex.quote(str(file))}"
        yield f"{name} was {how}{not_run}" + (f"; to undo it: {undo}" if undo else "")


def _watched(place: Place) -> Iterator[Path]:
    yield from _hooks(place.common_dir)
    for name in _names(place.common_dir / INFO):
        if name not in NOT_WATCHED:
            yield place.common_dir / INFO / name
    for name in WATCHED:
        yield place.common_dir / name
    for submodule in islice(_submodules(place.common_dir / "modules"), MOST_FILES):
        yield submodule / "config"
        yield from _hooks(submodule)
    for name in _names(place.common_dir / "worktrees"):
        admin = place.common_dir / "worktrees" / name
        # Those of other tasks come and go with them, and each has its own runner to look after it.
        if admin != place.git_dir and not (read_small(admin / "locked") or "").startswith(REASON):
            yield admin / "config.worktree"


def _hooks(git_dir: Path) -> Iterator[Path]:
    for name in _names(git_dir / "hooks"):
        if not name.endswith(".sample"):
            yield git_dir / "hooks" / name


def _submodules(modules: Path) -> Iterator[Path]:
    """The git directories of submodules, whose names may have slashes, and of those in them."""
    for here, directories, others in walk(modules):
        if "HEAD" in others or "objects" in directories or "hooks" in directories:
            directories[:] = [name for name in directories if name == "modules"]
            yield Path(here)


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))[:MOST_FILES]
    except OSError:
        return []


def _digests(paths: Iterable[Path], place: Place, copies: Copies = NO_COPIES) -> dict[str, str]:
    found = {}
    for path in paths:
        name = str(path.relative_to(place.common_dir))
        digest = _digest(path, copies, _own_lines(place) if name == EXCLUDE else ())
        if digest:
            found[name] = digest
    return found


def _own_lines(place: Place) -> tuple[bytes, ...]:
    """What the runner itself has git ignore: the directory of worktrees."""
    base = os.path.relpath(place.root.parent, place.common_dir.parent) if place.linked else DIRECTORY
    return (f"/{DIRECTORY}/".encode(), os.fsencode(f"/{base}/"))


def _digest(path: Path, copies: Copies = NO_COPIES, own_lines: Collection[bytes] = ()) -> str:
    """What tells a file from its earlier self: mode and content, of a large one inode, size and times; "" if it is
    empty, an empty directory or not there.

    What is no regular file is not opened, only named by its type. ``own_lines`` do not count. A content that was read
    is kept in ``copies``.
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
    counted = content
    if own_lines:
        counted = b"".join(
            line for line in content.splitlines(keepends=True) if line.strip() not in own_lines
        )
    digest = hashlib.sha256(f"{found.st_mode:o}\0".encode() + counted).hexdigest() if counted else ""
    if digest:
        copies.keep(digest, content, found.st_mode)
    return digest
