"""Making a worktree's own git files right again after an agent or a power cut: nothing else is restored."""

from __future__ import annotations

import os
import shlex
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.errors import CannotCreate
from hpm_tools.worktree.git import Git
from hpm_tools.worktree.layout import kept_in
from hpm_tools.worktree.place import points_to, read_part, read_small, registered

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hpm_tools.worktree.place import Place

KEPT = ("HEAD", "commondir", "gitdir", "locked")
"""The administrative files that a snapshot keeps: enough to register the worktree again."""

REFLOG_TAIL = 64 << 10
MOST_TRIED = 50
"""Lines of HEAD's reflog among which the last commit of a deleted branch is looked for."""


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
    # The agent may have deleted its branch as well: then the index is made when that is there again.
    Git(place).run("read-tree", "HEAD", check=False)
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

    A directory that stands in the pointer's place, a repository of the agent's own, is moved out of the worktree,
    where it would be committed with all its configuration and hooks: to ``kept/`` beside it.
    """
    if not place.linked or place.directory is None or not place.directory.is_dir():
        return False
    dot_git = place.directory / ".git"
    if place.pointer_is_right and points_to(place.git_dir) == dot_git:
        return False
    try:
        if dot_git.is_dir() and not dot_git.is_symlink():
            aside = own_repository_aside(place.directory)
            with failpoints.around("mending"):
                os.rename(dot_git, aside)
        replace_text(dot_git, place.pointer_text or "")
        replace_text(place.git_dir / "gitdir", f"{dot_git}\n")
    except OSError as error:
        raise CannotCreate(f"cannot restore {dot_git}: {error.strerror}", "free disk space") from error
    return True


def own_repository_aside(directory: Path) -> Path:
    """A free name for the repository that an agent made in the place of its worktree's `.git`. Raises OSError."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return kept_in(directory.parent) / f"{directory.name}-git-{stamp}-{uuid.uuid4().hex[:6]}"


def restore_branch(place: Place, branch: str | None, head: str | None, heads: str) -> str | None:
    """Make ``branch`` again if it was deleted while HEAD still names it; the commit, or None if nothing was done.

    It gets the newest commit of HEAD's reflog that contains ``head``, which is where the task began. Where its
    name is taken (``a/b`` cannot be beside ``a``), HEAD is put at that commit without a branch.
    """
    ref = f"{heads}{branch}"
    if branch is None or head is None or (read_small(place.git_dir / "HEAD") or "").strip() != f"ref: {ref}":
        return None
    if read_small(place.common_dir / ref) == f"{head}\n":
        return None  # it is still where the task began
    git = Git(place.repository)
    if git.run("rev-parse", "--verify", "-q", f"{ref}^{{commit}}", check=False).returncode == 0:
        return None
    commit = _last_seen(git, place, head)
    reason = "hpm: the branch had been deleted"
    made = git.run("update-ref", "-m", reason, ref, commit, "0" * len(commit), check=False)
    if made.returncode != 0:
        replace_text(place.git_dir / "HEAD", f"{commit}\n")
    return commit


def _last_seen(git: Git, place: Place, head: str) -> str:
    lines = (read_part(place.git_dir / "logs" / "HEAD", -REFLOG_TAIL, REFLOG_TAIL) or b"").splitlines()
    for line in reversed(lines[-MOST_TRIED:]):
        for oid in reversed(line[: 2 * len(head) + 1].decode(errors="replace").split(" ")):
            known = len(oid) == len(head) and oid.strip("0")
            if known and git.run("merge-base", "--is-ancestor", head, oid, check=False).returncode == 0:
                return oid
    return head


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


def way_out_of_index(git: Git) -> str:
    """The command by which a person makes the unreadable index of a checkout anew; no file of the checkout changes."""
    index = shlex.quote(str(git.place.git_dir / "index"))
    return f"mv {index} {index}.broken && git -C {shlex.quote(str(git.place.root))} reset -q"


# no failpoint: nothing counts before its rename, and a crash has it swept or made anew
def replace_text(path: os.PathLike[str], text: str) -> None:
    """Write a small file anew in one step, never through a link that stands in its place. Raises OSError."""
    temporary = f"{os.fspath(path)}.hpm-new"
    try:
        os.unlink(temporary)
    except FileNotFoundError:
        pass
    try:
        with open(temporary, "x", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        with failpoints.around("mending"):
            os.replace(temporary, path)
    except OSError:
        # A full disk takes the name, and no text.
        with suppress(OSError):
            os.unlink(temporary)
        raise
