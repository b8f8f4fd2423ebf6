"""A worktree, or the directory that worktrees are made in, in whose place an agent put a link.

Following it would have the runner commit, clean or delete somewhere else. The link itself is moved aside, to
`hpm/aside/` in the repository's git directory; what it leads to is left alone.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.errors import CannotCreate

if TYPE_CHECKING:
    from pathlib import Path

ASIDE = "aside"
MOST = 1000


def move_links_aside(directory: Path, common_dir: Path, run_id: str) -> str | None:
    """Move away a link in the place of a run's worktree, or of the directory it lies in; a sentence about it.

    None if there is none and this run had none before: asked again, it says the same. ``directory`` is the
    worktree's path as it was without any link. Raises CannotCreate.
    """
    folder = common_dir / "hpm" / ASIDE
    for place in _replaceable(directory, common_dir):
        if place.is_symlink():
            _move(place, folder, f"{run_id}-{place.name}")
    for place in _replaceable(directory, common_dir):
        moved = folder / f"{run_id}-{place.name}"
        if moved.is_symlink():
            return f"{place} was replaced by a link to {os.readlink(moved)}, which is now {moved}"
    if os.path.realpath(directory) != str(directory):
        return f"{directory} now leads to {os.path.realpath(directory)} through a link"
    return None


def _replaceable(directory: Path, common_dir: Path) -> list[Path]:
    """The worktree, and the directory for worktrees if that is in the repository; outside it links are the operator's."""
    inside = directory.parent != common_dir.parent and directory.parent.is_relative_to(common_dir.parent)
    return [directory.parent, directory] if inside else [directory]


def _move(link: Path, folder: Path, name: str) -> None:
    target = folder / name
    number = 1
    while os.path.lexists(target) and number < MOST:
        number += 1
        target = folder / f"{name}-{number}"
    try:
        # no failpoint: an empty directory says nothing; it is made, or removed, again
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with failpoints.around("mending"):
            _rename(link, target)
    except OSError as error:
        raise CannotCreate(
            f"cannot move the link {link} aside: {error.strerror}", f"remove it: rm {link}"
        ) from error


# no failpoint: between mending.before and mending.after
def _rename(link: Path, target: Path) -> None:
    try:
        os.rename(link, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        os.symlink(os.readlink(link), target)
        os.unlink(link)
