"""Finding a checkout's git directories by reading files, never by asking the checkout itself.

An agent can rewrite the `.git` pointer of its worktree and send every later git command to a repository
of its own (docs/design.md, Git worktrees). Git is therefore always told where the directories are, and a worktree
that its repository knows is found from the repository's side.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hpm_tools.errors import Misconfigured

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

POINTER_LIMIT = 64 << 10
POINTER = "gitdir: "


class NoCheckout(Misconfigured):
    """A directory is not the top of a git checkout, or is one no longer."""

    kind = "no_checkout"


class Place:
    """One checkout: its files, its own git directory, and the one it shares with its repository.

    ``directory`` is None where git acts on the repository as a whole.
    """

    # A plain class: `worktree.list` reads places, and dataclasses would cost it as much as starting Python.
    __slots__ = ("common_dir", "directory", "git_dir")

    def __init__(self, directory: Path | None, git_dir: Path, common_dir: Path) -> None:
        self.directory = directory
        self.git_dir = git_dir
        self.common_dir = common_dir

    def __repr__(self) -> str:
        return f"Place({self.directory}, {self.git_dir}, {self.common_dir})"

    @property
    def linked(self) -> bool:
        """Whether this is a linked worktree, not the main one."""
        return self.git_dir != self.common_dir

    @property
    def root(self) -> Path:
        """The checkout's directory, or the git directory where there is none."""
        return self.directory or self.common_dir

    @property
    def repository(self) -> Place:
        """The repository as a whole, which `git worktree` and the refs belong to."""
        return Place(None, self.common_dir, self.common_dir)

    @property
    def pointer_text(self) -> str | None:
        """What a linked worktree's `.git` file must say."""
        return f"{POINTER}{self.git_dir}\n" if self.linked else None

    @property
    def pointer_is_right(self) -> bool:
        """Whether plain git, run in the checkout, reaches the same repository."""
        if self.directory is None:
            return True
        dot_git = self.directory / ".git"
        if not self.linked:
            return dot_git.is_dir() or read_pointer(dot_git) == self.git_dir
        return not dot_git.is_symlink() and read_pointer(dot_git) == self.git_dir


def locate(directory: Path) -> Place:
    """The place whose files are in ``directory``, which must be a checkout's top.

    A repository around it that has it registered is believed before its own `.git`. Raises Misconfigured
    if it is no checkout, or if its pointer and the repository that it names disagree.
    """
    directory = Path(os.path.realpath(directory))
    for parent in directory.parents:
        common = parent / ".git"
        if common.is_dir() and (admin := registered(common, directory)) is not None:
            return Place(directory, admin, common)
    dot_git = directory / ".git"
    if dot_git.is_dir():
        git_dir = Path(os.path.realpath(dot_git))
        return Place(directory, git_dir, git_dir)
    target = read_pointer(dot_git)
    if target is None:
        raise NoCheckout(
            f"{directory} is not the top of a git checkout", "name a directory with a .git in it"
        )
    common_text = read_small(target / "commondir")
    if common_text is None:
        return Place(directory, target, target)
    common = Path(os.path.realpath(target / common_text.strip()))
    if registered(common, directory) != target:
        raise Misconfigured(
            f"{dot_git} names {target}, which does not know this worktree",
            f"git worktree repair, run in the repository, mends the pointer of {directory}",
        )
    return Place(directory, target, common)


def registered(common_dir: Path, directory: Path) -> Path | None:
    """The administrative directory of the worktree at ``directory``, or None if there is none."""
    wanted = directory / ".git"
    for admin, pointed in registrations(common_dir):
        if pointed == wanted:
            return admin
    return None


def registrations(common_dir: Path) -> Iterator[tuple[Path, Path]]:
    """(administrative directory, the `.git` file it belongs to) of every linked worktree."""
    try:
        names = sorted(os.listdir(common_dir / "worktrees"))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        admin = common_dir / "worktrees" / name
        pointed = points_to(admin)
        if pointed is not None:
            yield admin, pointed


def points_to(admin: Path) -> Path | None:
    """The `.git` file that an administrative directory belongs to, or None if it does not say."""
    text = (read_small(admin / "gitdir") or "").strip()
    if not text:
        return None
    pointed = admin / text
    return Path(os.path.realpath(pointed.parent)) / pointed.name


def read_pointer(dot_git: Path) -> Path | None:
    """Where a `.git` file points, or None if it is no such file."""
    text = read_small(dot_git)
    if text is None or not text.startswith(POINTER):
        return None
    return Path(os.path.realpath(dot_git.parent / text[len(POINTER) :].rstrip("\r\n")))


def read_small(path: Path) -> str | None:
    """The text of a small file that git keeps, or None if it is missing or something else."""
    content = read_part(path, 0, POINTER_LIMIT)
    return None if content is None else content.decode(errors="surrogateescape")


def read_part(path: Path, offset: int, most: int) -> bytes | None:
    """At most ``most`` bytes of a file from ``offset`` (below zero: that far from its end); None if it is no file.

    An agent may have put a FIFO in its place, which must not hang the runner, or a device without end: neither is opened.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return None
        return os.pread(fd, most, offset if offset >= 0 else max(0, status.st_size + offset))
    except OSError:
        return None
    finally:
        os.close(fd)
