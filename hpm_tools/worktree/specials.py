"""What is no file where git keeps one: a FIFO, which git opens and waits for ever, a socket, a device, a directory.

FIFOs and their kin hold no content, so after an agent's run they are removed, unlike all else that it may put there.
Where anything else than a file stands, git is not asked: the reason is said instead.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.errors import Misconfigured
from hpm_tools.trees import walk
from hpm_tools.worktree.layout import DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hpm_tools.worktree.place import Place

FILES = (
    "HEAD",
    "config",
    "config.worktree",
    "index",
    "packed-refs",
    "shallow",
    "info/attributes",
    "info/exclude",
    "info/grafts",
    "info/sparse-checkout",
    "objects/info/alternates",
)
"""What git reads in a repository's directory or a worktree's own. Its hooks are not among them: the runner's git runs none."""

OF_WORKTREE = ("commondir", "gitdir", "locked")

KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class Unsound(Misconfigured):
    """A repository is in a state in which the runner's git must not work there; it may be mended meanwhile."""

    kind = "repository_unsound"


def refuse_misplaced(place: Place) -> None:
    """Raise Unsound if something else than a file stands where git keeps a file of ``place``. Opens nothing."""
    for name in FILES:
        refuse_no_file(place.common_dir / name)
    if place.linked:
        for name in (*FILES, *OF_WORKTREE):
            refuse_no_file(place.git_dir / name)


def refuse_no_file(path: Path) -> None:
    """Raise Unsound if ``path`` is there and neither a regular file nor a link to one."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        # A link that leads to itself; what is above is a file; a directory that may not be entered.
        said = f"cannot be read: {error.strerror}"
    else:
        if stat.S_ISREG(mode):
            return
        said = f"is {next((kind for test, kind in KINDS if test(mode)), 'no file')}"
    raise Unsound(
        f"{path} {said}, where git keeps a file",
        f"move it away (mv {path} {path}.aside), and put the file back",
    )


NOT_GITS = frozenset({"hpm", "modules", "worktrees"})
"""Below a common directory: ours, other repositories', other worktrees'."""


READ_IN_CHECKOUT = frozenset({".gitattributes", ".gitignore", ".gitmodules", ".mailmap"})
"""What git opens in a checkout, the first two in any of its directories; it waits for ever where that is a FIFO."""


def remove_specials(place: Place) -> list[str]:
    """Remove what is neither file nor directory from git's directories of ``place``, and from where git reads in its
    checkout; the paths removed."""
    found = list(_specials(place.common_dir, NOT_GITS))
    if place.linked:
        found += _specials(place.git_dir, frozenset())
    if place.directory is not None:
        found += _read_in(place.directory)
    removed = []
    for path in found:
        try:
            with failpoints.around("removal"):
                os.unlink(path)
        except OSError:
            continue
        removed.append(path)
    return removed


def _read_in(checkout: Path) -> Iterator[str]:
    for here, directories, others in walk(checkout):
        directories[:] = [name for name in directories if name not in (".git", DIRECTORY)]
        for name in READ_IN_CHECKOUT.intersection(others):
            path = os.path.join(here, name)
            if not os.path.islink(path) and is_special(path):
                yield path


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether ``path``, or what it links to, is a FIFO, a socket or a device."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _specials(top: Path, but: frozenset[str]) -> Iterator[str]:
    waiting = [os.fspath(top)]
    while waiting:
        directory = waiting.pop()
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if directory != os.fspath(top) or entry.name not in but:
                            waiting.append(entry.path)
                    elif not entry.is_file(follow_symlinks=False) and is_special(entry.path):
                        yield entry.path
        except OSError:
            continue
