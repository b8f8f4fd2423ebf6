"""Empty files and directories that an agent program's sandbox leaves, found by comparing before and after.

bubblewrap makes whatever it is to hide or to protect before it mounts something there (bwrap(1), --ro-bind), and
leaves it when it is killed. Which names those are changes with the program that uses it, so none is known here: what
there is is listed before the agent starts. What is new and empty afterwards is nobody's work; it is removed.

In git's directories any empty file counts. In a checkout only those do that nobody may write, as bubblewrap makes
them, and that git does not track: an empty `__init__.py` is work.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpm_tools import failpoints
from hpm_tools.errors import HpmError
from hpm_tools.trees import walk
from hpm_tools.worktree.git import Git, decode
from hpm_tools.worktree.layout import DIRECTORY
from hpm_tools.worktree.reachability import IN_PROGRESS
from hpm_tools.worktree.status import WRITABLE_OR_EXECUTABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from hpm_tools.worktree.place import Place

Entries = dict[str, dict[str, list[str]]]
"""For each area the names in its directories, by their path below it; what is not listed was not looked into."""

MOST_NAMES = 2000
"""In one area: the list is kept in the task's record. Directories further down are left out first."""
MOST_LOOKED_INTO = 500
DEEPEST = 6
MOST_NEW = 2000
"""Entries of a new directory; with more it is taken for no placeholder."""
MOST_ASKED = 200

MAIN, WORKTREE, COMMON, ADMIN = "main", "worktree", "common", "admin"
SHARED = frozenset((MAIN, COMMON))
"""The areas in which other runs' sandboxes may have mounts."""

OBJECT = re.compile(r"[0-9a-f]{2}|pack|tmp_.*")
STATE = re.compile(r"[A-Z_]+")
"""Git's own marks, some of them empty, such as MERGE_MODE (gitrepository-layout(5))."""


@dataclass(frozen=True, slots=True)
class Area:
    """One directory tree to look at; of the main checkout only what is hidden if the agent works elsewhere."""

    label: str
    top: Path
    hidden_only: bool = False

    @property
    def is_checkout(self) -> bool:
        return self.label in (MAIN, WORKTREE)

    def heeds(self, relative: str, name: str) -> bool:
        """Whether the entry ``name`` of the directory ``relative`` may be a placeholder at all."""
        if self.is_checkout:
            if relative:
                return True
            return name not in (".git", DIRECTORY) and not (self.hidden_only and name[0] != ".")
        top = relative.partition("/")[0]
        if top in ("refs", "logs"):
            return name.startswith(".")  # git makes and removes its own all the time, none of them with a dot
        if relative == "objects":
            return not OBJECT.fullmatch(name)
        if relative:
            return True
        # An empty `locked`, or git-daemon-export-ok (git-daemon(1)), says something, hpm's guards are empty, and
        # git-lfs makes and fills its own at any time.
        return name not in ("lfs", "locked", "git-daemon-export-ok") and not name.startswith("hpm")

    def looks_into(self, relative: str, name: str) -> bool:
        if self.is_checkout:
            return self.heeds(relative, name) and not os.path.lexists(self.top / relative / name / ".git")
        if relative in ("refs", "logs"):
            return True
        # Other worktrees' and submodules' directories are theirs to clean.
        return self.heeds(relative, name) and not (not relative and name in ("worktrees", "modules"))


def areas(place: Place) -> list[Area]:
    """Where an agent that works in ``place`` may leave placeholders: the most shared ones first."""
    if not place.linked:
        return [Area(COMMON, place.common_dir), Area(MAIN, place.root)]
    found = [Area(COMMON, place.common_dir), Area(ADMIN, place.git_dir), Area(WORKTREE, place.root)]
    main = place.common_dir.parent
    if place.common_dir.name == ".git":
        found.append(Area(MAIN, main, hidden_only=True))
    return found


def take(place: Place, inherited: Mapping[str, Mapping[str, Sequence[str]]] | None = None) -> Entries:
    """List what there is. ``inherited``: the list of another run that is at work in the repository.

    Its placeholders are there already, and whoever of the two ends last removes them.
    """
    found: Entries = {}
    for area in areas(place):
        listed = _list(area)
        earlier = inherited.get(area.label, {}) if inherited and area.label in SHARED else {}
        for relative in listed.keys() & earlier.keys():
            listed[relative] = sorted({*listed[relative]} & {*earlier[relative]})
        found[area.label] = listed
    return found


def _list(area: Area) -> dict[str, list[str]]:
    """The names in its directories, those nearest to the top first, within the bounds."""
    found: dict[str, list[str]] = {}
    waiting, room = [""], MOST_NAMES
    for relative in waiting:  # grows meanwhile
        entries = _scan(area.top / relative)
        names = [entry.name for entry in entries if area.heeds(relative, entry.name)]
        if len(names) > room:
            continue
        room -= len(names)
        found[relative] = names
        if relative.count("/") < DEEPEST and len(waiting) < MOST_LOOKED_INTO:
            below = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
            waiting += [_join(relative, name) for name in below if area.looks_into(relative, name)]
    return found


def _scan(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _join(relative: str, name: str) -> str:
    return f"{relative}/{name}" if relative else name


@dataclass(frozen=True, slots=True)
class Found:
    """Placeholders in one area, each directory after what is in it."""

    area: Area
    files: Sequence[Path]
    directories: Sequence[Path]


def find(place: Place, before: Mapping[str, Any]) -> list[Found]:
    """The placeholders that are not in ``before``, which is what `take` returned. Changes nothing."""
    found = []
    for area in areas(place):
        known = before.get(area.label)
        if not isinstance(known, dict):
            continue
        files: list[Path] = []
        directories: list[Path] = []
        for path in _new(area, known):
            _judge(area, path, files, directories)
        files = _untracked(place, area, files)
        if files or directories:
            found.append(Found(area, files, directories))
    return found


def _new(area: Area, known: Mapping[str, Sequence[str]]) -> Iterator[Path]:
    for relative, names in known.items():
        here = area.top / relative
        # An agent may have put a link in the place of a directory.
        if not here.is_relative_to(area.top) or os.path.realpath(here) != str(here):
            continue
        had = frozenset(names)
        for entry in _scan(here):
            if entry.name not in had and area.heeds(relative, entry.name):
                yield here / entry.name


def _judge(area: Area, path: Path, files: list[Path], directories: list[Path]) -> None:
    """Add what of the new entry ``path`` is a placeholder."""
    if path.is_symlink() or not path.is_dir():
        if _is_placeholder(area, path) and not (STATE.fullmatch(path.name) and _is_busy(area)):
            files.append(path)
        return
    inside: list[str] = []
    empty: list[Path] = []
    full: set[str] = set()
    count = 0
    for here, names, others in walk(path, lambda error: full.add(str(error.filename))):
        count += len(names) + len(others)
        if count > MOST_NEW or ".git" in names or ".git" in others:
            return
        inside.append(here)
        for name in others:
            one = path / here / name
            if _is_placeholder(area, one):
                empty.append(one)
            else:
                full.add(here)
    # Such as git's rebase-merge, whose empty files say something; or a bare repository's directories.
    if full and not area.is_checkout:
        return
    files += empty
    directories += [path / here for here in reversed(inside) if _goes(here, full, whole=not full)]


def _goes(directory: str, full: set[str], *, whole: bool) -> bool:
    """Whether a new directory is removed: all that is new there is empty, or it is hidden and empty itself."""
    if whole:
        return True
    hidden = os.path.basename(directory).startswith(".")
    return hidden and not any(f"{path}/".startswith(f"{directory}/") for path in full)


def _is_placeholder(area: Area, path: Path) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    if not stat.S_ISREG(found.st_mode) or found.st_size:
        return False
    # Git's locks are empty, too, and writable.
    return not found.st_mode & WRITABLE_OR_EXECUTABLE or not (area.is_checkout or path.name.endswith(".lock"))


def _is_busy(area: Area) -> bool:
    """Whether an operation of git's is under way here: there are marks of it that are not empty."""
    for name in IN_PROGRESS:
        path = area.top / name
        if path.is_dir() and any(others for _, _, others in walk(path)):
            return True
        if path.is_file() and path.stat().st_size:
            return True
    return False


def _untracked(place: Place, area: Area, files: Sequence[Path]) -> list[Path]:
    if not files or not area.is_checkout:
        return list(files)
    if len(files) > MOST_ASKED:
        return []
    names = [str(path.relative_to(area.top)) for path in files]
    try:
        git = Git(place if area.top == place.root else area.top)
        listed = git.run("ls-files", "-z", "--", *names).out
    except HpmError:
        return []
    tracked = set(decode(listed).split("\0"))
    return [path for path, name in zip(files, names, strict=True) if name not in tracked]


def remove(found: Sequence[Found], *, alone: bool) -> list[Path]:
    """Remove what `find` returned; the paths removed.

    Without ``alone`` another sandbox lives in the repository: removing the place of a mount takes the mount away
    in its namespace (mount_namespaces(7)), so in shared areas only the files in the checkout go, which are its own agent's.
    """
    removed = []
    for one in found:
        shared = not alone and one.area.label in SHARED
        for path in () if shared and (not one.area.is_checkout or one.area.hidden_only) else one.files:
            if not _is_placeholder(one.area, path):
                continue  # somebody wrote into it since
            with failpoints.around("placeholder"):
                path.unlink(missing_ok=True)
            removed.append(path)
        for path in () if shared else one.directories:
            try:
                # no failpoint: an empty directory says nothing; it is made, or removed, again
                path.rmdir()
            except OSError:
                continue
            removed.append(path)
    return removed
