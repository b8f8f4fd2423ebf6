"""Making a worktree's own git files right again after an agent or a power cut: nothing else is restored."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.errors import CannotCreate
from hpm_tools.worktree.git import Git
from hpm_tools.worktree.place import points_to, read_small, registered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hpm_tools.worktree.place import Place

KEPT = ("HEAD", "commondir", "gitdir", "locked")
"""The administrative files that a snapshot keeps: enough to register the worktree again."""


def registration_files(place: Place) -> dict[str, str]:
    """What ``restore_registration`` needs; nothing for a main worktree."""
    if not place.linked:
        return {}
    texts = {name: read_small(place.git_dir / name) for name in KEPT}
    return {name: text for name, text in texts.items() if text is not None}


def restore_registration(place: Place, files: Mapping[str, str]) -> bool:
    """Register the worktree again if its administrative directory is gone; True if it was.

    The index is made from HEAD: what was staged went with the directory, the files are still there.
    """
    if not files or (place.git_dir / "HEAD").exists():
        return False
    try:
        with failpoints.around("mending"):
            place.git_dir.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            replace_text(place.git_dir / name, text)
    except OSError as error:
        raise CannotCreate(f"cannot restore {place.git_dir}: {error.strerror}", "free disk space") from error
    restore_pointer(place)
    Git(place).run("read-tree", "HEAD")
    return True


def restore_misplaced(place: Place, files: Mapping[str, str]) -> list[str]:
    """Write those of a worktree's administrative ``files`` again that are gone or no files any more; their paths.

    What stands there is moved beside it. Git reads these of every worktree whenever it lists branches, so one worktree's
    would stop the work in all. What the snapshot of a main worktree has none of stays as it is.
    """
    restored = []
    for name, text in files.items():
        path = place.git_dir / name
        if path.is_file() and not path.is_symlink():
            continue
        try:
            if os.path.lexists(path):
                with failpoints.around("mending"):
                    os.rename(path, path.with_name(f"{name}.of-agent-{time.time_ns()}"))
            replace_text(path, text)
        except OSError as error:
            raise CannotCreate(f"cannot restore {path}: {error.strerror}", "free disk space") from error
        restored.append(str(path))
    return restored


def restore_pointer(place: Place) -> bool:
    """Make the worktree's `.git`, and the way back to it, name each other again; True if they did not.

    A directory that stands in the pointer's place, a repository of the agent's own, is moved beside it.
    """
    if not place.linked or place.directory is None or not place.directory.is_dir():
        return False
    dot_git = place.directory / ".git"
    if place.pointer_is_right and points_to(place.git_dir) == dot_git:
        return False
    try:
        if dot_git.is_dir() and not dot_git.is_symlink():
            with failpoints.around("mending"):
                os.rename(dot_git, dot_git.with_name(f".git-of-agent-{int(time.time())}"))
        replace_text(dot_git, place.pointer_text or "")
        replace_text(place.git_dir / "gitdir", f"{dot_git}\n")
    except OSError as error:
        raise CannotCreate(f"cannot restore {dot_git}: {error.strerror}", "free disk space") from error
    return True


def rebuild_index(git: Git) -> bool:
    """Replace a worktree's unreadable index by one made from HEAD, keeping the old file; True if done.

    A power cut can truncate it. A person's checkout is left for the person to mend.
    """
    if not git.place.linked or registered(git.place.common_dir, git.place.root) is None:
        return False
    index = git.place.git_dir / "index"
    with failpoints.around("mending"):
        os.replace(index, index.with_name(f"index.broken-{int(time.time())}"))
    return git.run("read-tree", "HEAD", check=False).returncode == 0


# no failpoint: nothing counts before its rename, and a crash has it swept or made anew
def replace_text(path: os.PathLike[str], text: str) -> None:
    """Write a small file anew in one step, never through a link that stands in its place. Raises OSError."""
    temporary = f"{os.fspath(path)}.hpm-new"
    try:
        os.unlink(temporary)
    except FileNotFoundError:
        pass
    with open(temporary, "x", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    with failpoints.around("mending"):
        os.replace(temporary, path)
