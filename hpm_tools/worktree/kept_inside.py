"""What the repository itself keeps in a worktree: objects, refs and other files that a link or an alternate leads to.

They would go with the directory, and no salvage helps: what it stores may be there already.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools.trees import walk
from hpm_tools.worktree.place import read_part
from hpm_tools.worktree.salvage import CannotSalvage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpm_tools.worktree.place import Place

DEEPEST = 5
"""Alternates of alternates that git follows (object-file.c, link_alt_odb_entry)."""

LARGEST = 1 << 20
HAS_DIRECTORIES = ("", "hpm", "lfs", "logs", "objects", "objects/pack", "refs")
"""Where in a git directory links are looked for, besides below refs and logs: objects are too many to look at each."""


def refuse_kept_inside(place: Place) -> None:
    """Raise CannotSalvage if something that the repository of ``place`` needs lies in its checkout."""
    for link in _links(place.common_dir):
        _refuse(place, link, Path(os.path.realpath(link)))
    for listed, directory in _alternates(Path(os.path.realpath(place.common_dir / "objects")), set()):
        _refuse(place, listed, directory)


def _refuse(place: Place, leads: Path, there: Path) -> None:
    if there.is_relative_to(place.root):
        raise CannotSalvage(
            f"the repository itself needs {there}, where {leads} leads",
            f"move {there} out of the worktree and have {leads} lead to its new place, then try again",
        )


def _links(common_dir: Path) -> Iterator[Path]:
    for name in HAS_DIRECTORIES:
        try:
            with os.scandir(common_dir / name) as entries:
                yield from [Path(entry.path) for entry in entries if entry.is_symlink()]
        except OSError:
            continue
    for name in ("refs", "logs"):
        for here, _, others in walk(common_dir / name):
            for other in others:
                path = os.path.join(here, other)
                if os.path.islink(path):
                    yield Path(path)


def _alternates(objects: Path, seen: set[Path], depth: int = 0) -> Iterator[tuple[Path, Path]]:
    """(the file that names it, the directory) of each further place of objects; each once, for they may name each other."""
    listed = objects / "info" / "alternates"
    for line in (read_part(listed, 0, LARGEST) or b"").splitlines():
        if line and not line.startswith(b"#"):
            directory = Path(os.path.realpath(objects / os.fsdecode(line.strip(b'"'))))
            if directory in seen:
                continue
            seen.add(directory)
            yield listed, directory
            if depth < DEEPEST:
                yield from _alternates(directory, seen, depth + 1)
