"""Proof that nothing in a worktree goes unkept: its directory is walked, whatever `git status` says of it.

`git status` shows nothing below the path of a submodule that is not checked out, takes a directory whose
`.git` is damaged for plain files, and passes over a directory that it may not read.
"""

from __future__ import annotations

import os
import shlex
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpm_tools.errors import HpmError
from hpm_tools.trees import walk
from hpm_tools.worktree import index_entries, overlooked
from hpm_tools.worktree.archive import is_regenerable
from hpm_tools.worktree.git import Git
from hpm_tools.worktree.place import Place, read_pointer, registered, registrations
from hpm_tools.worktree.salvage import CannotSalvage
from hpm_tools.worktree.status import take_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from hpm_tools.worktree.status import Status

MOST_ENTRIES = 2_000_000
"""Names that are looked at; a worktree with more stays where it is."""


Signature = tuple[int, int, int, int]
"""A file's inode, size, and times of change of its content and of its inode, in ns: whoever writes can set the first of
them, not the second (utimensat(2)), and to rename a directory above changes neither. The second is 0 for a file with
several names, as package managers link them from a store: it changes when another worktree's name of it goes."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The files that were proved to be kept, as they were then, and the directories that were not looked into."""

    files: Mapping[str, Signature]
    skipped: frozenset[str]

    def late(self, directory: Path) -> str | None:
        """A file of the same worktree, now at ``directory``, that appeared or was changed since; None if none."""
        for relative, directories, others in _entries(directory):
            directories[:] = [name for name in directories if f"{relative}{name}" not in self.skipped]
            for name in others:
                path = f"{relative}{name}"
                found = None if path == ".git" else _signature(f"{directory}/{path}")
                if found is not None and self.files.get(path) != found:
                    return path
        return None


def refuse_repository(git: Git, path: str) -> None:
    """Raise CannotSalvage: at ``path`` is a repository, or another worktree, with content of its own."""
    where = git.place.root / path.rstrip("/")
    if (admin := registered(git.place.common_dir, where)) is not None:
        way_out = _way_out(git.place.root, Place(where, admin, git.place.common_dir))
        raise CannotSalvage(f"another worktree of this repository is inside, at {where}: {way_out}", way_out)
    raise CannotSalvage(
        f"there is a repository of its own at {path}",
        f"look into {where}, then move it elsewhere",
    )


def _way_out(outer: Path, inner: Place) -> str:
    """The command that takes another worktree out of this one: git removes one only if that loses nothing, else moves it."""
    command = ["git", "-C", str(inner.common_dir), "worktree"]
    if not inner.pointer_is_right:
        return shlex.join([*command, "repair", str(inner.root)])
    locked = os.path.lexists(inner.git_dir / "locked")
    try:
        found = take_status(Git(inner), ignored=True)
        empty = found.branch is not None and not (found.dirty or found.ignored)
    except HpmError:
        empty = False
    if empty and not locked:
        return shlex.join([*command, "remove", str(inner.root)])
    target = outer.with_name(f"{outer.name}-{inner.root.name}")
    while os.path.lexists(target):
        target = target.with_name(f"{target.name}-{inner.root.name}")
    # Twice: once would do for an unlocked one only (git-worktree(1)).
    force = ["--force", "--force"] if locked else []
    return shlex.join([*command, "move", *force, str(inner.root), str(target)])


def refuse_worktrees_inside(git: Git) -> None:
    """Raise CannotSalvage if the repository knows a worktree below this one, even in a regenerable directory."""
    for _, dot_git in registrations(git.place.common_dir):
        inside = dot_git.parent != git.place.root and dot_git.is_relative_to(git.place.root)
        if inside and dot_git.parent.is_dir():
            refuse_repository(git, str(dot_git.parent.relative_to(git.place.root)))


def below_empty_submodules(git: Git) -> list[str]:
    """The directories where a submodule is recorded and none is checked out, with a slash.

    Raises CannotSalvage for a repository there that is not the submodule's own.
    """
    there = []
    for path in sorted(index_entries.submodules(git)):
        where = git.place.root / path
        if where.is_symlink() or not where.is_dir():
            continue  # git shows a file in its place as a change
        if not os.path.lexists(where / ".git"):
            there.append(f"{path}/")
        elif not _is_own_submodule(git, path):
            refuse_repository(git, path)
    return there


def prove(
    git: Git, found: Status, tracked: Sequence[str], below: Sequence[str], regenerable: Sequence[str]
) -> Proof:
    """Walk the worktree: each file is one that ``found`` vouches for, or is ``below`` an empty submodule path.

    ``tracked`` files are compared by git, untracked ones go into the salvage, ignored ones into the archive
    unless they can be made again. Raises CannotSalvage for anything else, and for a repository inside.
    """
    known = {*tracked, *found.untracked, *found.placeholders}
    ignored = {path.rstrip("/") for path in found.ignored}
    settled = ignored | {path.rstrip("/") for path in below}
    links = index_entries.submodules(git)
    files: dict[str, Signature] = {}
    skipped = set()
    count = 0
    for relative, directories, others in _entries(git.place.root):
        count += len(directories) + len(others)
        if count > MOST_ENTRIES:
            raise CannotSalvage(f"there are more than {MOST_ENTRIES} files in {git.place.root}")
        bare = _looks_bare(directories) and not any(path.startswith(relative) for path in tracked)
        if relative and (".git" in directories or ".git" in others or bare):
            refuse_repository(git, relative.rstrip("/"))
        for name in list(directories):
            path = f"{relative}{name}"
            made_again = is_regenerable(path, regenerable) and _within(path, ignored)
            if made_again or (path in links and _is_own_submodule(git, path)):
                directories.remove(name)
                skipped.add(path)
        for name in others:
            path = f"{relative}{name}"
            signature = None if path == ".git" else _signature(f"{git.place.root}/{path}")
            if signature is None:
                continue
            if path not in known and not _within(path, settled):
                raise CannotSalvage(f"no commit and no salvage holds {path}")
            files[path] = signature
    return Proof(files, frozenset(skipped))


def _is_own_submodule(git: Git, path: str) -> bool:
    pointed = read_pointer(git.place.root / path / ".git")
    return pointed is not None and pointed.is_relative_to(git.place.git_dir / "modules")


def _entries(root: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    start = len(f"{root}/")
    for here, directories, others in walk(root, _unreadable):
        relative = here[start:]
        if not relative and ".git" in directories:
            directories.remove(".git")
        yield f"{relative}/" if relative else "", directories, others


def _unreadable(error: OSError) -> None:
    raise CannotSalvage(f"cannot read {error.filename}: {error.strerror}") from error


def _looks_bare(directories: Sequence[str]) -> bool:
    return "objects" in directories and "refs" in directories


def _within(path: str, tops: set[str]) -> bool:
    """Whether ``path`` is one of ``tops`` or lies below one."""
    end = len(path)
    while end > 0:
        if path[:end] in tops:
            return True
        end = path.rfind("/", 0, end)
    return False


def _signature(path: str) -> Signature | None:
    """What tells a file or link from a later one; None for FIFOs, sockets and devices, which hold nothing."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)):
        return None
    changed = found.st_ctime_ns if found.st_nlink == 1 else 0
    return found.st_ino, found.st_size, found.st_mtime_ns, changed


def heed_every_file(git: Git) -> list[str]:
    """Have git look at the files that it was told to take for unchanged: their changes would go unnoticed.

    Returns the paths of all tracked files. A sparse checkout's files that are not there stay out of it.
    """
    tags = overlooked.tagged(git)
    overlooked.clear(
        git, [path for path in overlooked.flagged(tags) if os.path.lexists(git.place.root / path)]
    )
    return [path for _, path in tags]
