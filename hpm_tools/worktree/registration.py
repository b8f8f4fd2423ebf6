"""What git and the mark in its administrative directory say about a task's worktree."""

from __future__ import annotations

import json
import os
from contextlib import suppress

from hpm_tools import failpoints
from hpm_tools.worktree.place import Place, read_part, read_small, registrations
from hpm_tools.worktree.task_key import TaskKey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MARK = "hpm.json"
MARK_LIMIT = 16 << 20
REASON = "hpm "
"""A worktree is locked with this and its task's key: git prunes nothing that is locked."""


WHY_KEPT = "hpm-kept"
"""Why the worktree was not removed when that was last tried: one line each for reason and way out."""


class Mark:
    """Written into the administrative directory once a worktree is complete, before any agent sees it.

    ``copied`` maps the ignored files that were there from the start to digests of their content,
    ``prepared`` the others that differ from the commit to what git would store (prepared.py).
    """

    __slots__ = ("base", "branch", "copied", "key", "prepared")

    def __init__(
        self,
        key: TaskKey,
        branch: str | None,
        base: str,
        copied: Mapping[str, str] | None = None,
        prepared: Mapping[str, str] | None = None,
    ) -> None:
        self.key = key
        self.branch = branch
        self.base = base
        self.copied = copied or {}
        self.prepared = prepared or {}

    def completed(self, copied: Mapping[str, str], prepared: Mapping[str, str]) -> Mark:
        return Mark(self.key, self.branch, self.base, copied, prepared)

    def to_json(self) -> str:
        fields = {"branch": self.branch, "base": self.base, "copied": self.copied, "prepared": self.prepared}
        return json.dumps({"key": self.key.as_dict(), **fields})


class Registration:
    """One linked worktree: ``key`` is None if it is no task's, ``mark`` if it was never completed."""

    __slots__ = ("admin", "key", "mark", "path")

    def __init__(self, path: Path, admin: Path, key: TaskKey | None, mark: Mark | None) -> None:
        self.path = path
        self.admin = admin
        self.key = key
        self.mark = mark

    @property
    def missing(self) -> bool:
        # A link in its place leads to something else, and is never followed.
        return self.path.is_symlink() or not self.path.is_dir()

    @property
    def place(self) -> Place:
        return Place(self.path, self.admin, self.admin.parent.parent)

    @property
    def why_kept(self) -> tuple[str, str]:
        """(reason, way out) of the last attempt to remove it, which failed; empty if there was none."""
        reason, _, way_out = (read_small(self.admin / WHY_KEPT) or "").partition("\n")
        return reason, way_out.strip()

    def note_kept(self, reason: str, way_out: str) -> None:
        """Keep for people why it stays. Where that cannot be written they are not told later; the next try writes it."""
        from hpm_tools.worktree.mending import replace_text  # not for those who only read

        lines = [" ".join(text.split()) for text in (reason, way_out)]
        with suppress(OSError):
            replace_text(self.admin / WHY_KEPT, "\n".join(lines) + "\n")

    def head(self) -> tuple[str | None, str | None]:
        """(commit, branch) as written in its HEAD: one of them, or neither if that is unreadable."""
        text = (read_small(self.admin / "HEAD") or "").strip()
        if text.startswith("ref: "):
            return None, text.removeprefix("ref: ").removeprefix("refs/heads/")
        return text or None, None


def read(admin: Path, dot_git: Path) -> Registration:
    """The registration kept in ``admin``."""
    mark = _read_mark(admin)
    reason = (read_small(admin / "locked") or "").strip()
    key = mark.key if mark else None
    if key is None and reason.startswith(REASON):
        key = TaskKey.from_json(reason.removeprefix(REASON))
    return Registration(dot_git.parent, admin, key, mark)


def all_of(common_dir: Path) -> Iterator[Registration]:
    """Every linked worktree of a repository."""
    for admin, dot_git in registrations(common_dir):
        yield read(admin, dot_git)


def of_tasks(common_dir: Path) -> list[Registration]:
    """Every worktree that was made for a task."""
    return [found for found in all_of(common_dir) if found.key is not None]


def at(common_dir: Path, path: Path) -> Registration | None:
    """The worktree registered at ``path``, whether its directory is there or not."""
    for registration in all_of(common_dir):
        if registration.path == path:
            return registration
    return None


# no failpoint: nothing counts before its rename, and a crash has it swept or made anew
def write_mark(admin: Path, mark: Mark) -> None:
    """Declare the worktree complete, atomically and durably: without its mark it counts as never used."""
    temporary = admin / f"{MARK}.new"
    temporary.unlink(missing_ok=True)
    with open(temporary, "x", encoding="utf-8") as file:
        file.write(mark.to_json())
        file.flush()
        os.fsync(file.fileno())
    with failpoints.around("worktree"):
        os.replace(temporary, admin / MARK)
    sync_directory(admin)


def sync_directory(directory: Path) -> None:
    """Make the names in ``directory`` survive a power cut."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def reason_for(key: TaskKey) -> str:
    """The reason with which a task's worktree is locked."""
    return REASON + key.to_json()


def _read_mark(admin: Path) -> Mark | None:
    try:
        data = json.loads(read_part(admin / MARK, 0, MARK_LIMIT) or b"")
        key = TaskKey.from_dict(data["key"])
        copied = {str(path): str(digest) for path, digest in data["copied"].items()}
        # A mark of an earlier version has none.
        prepared = {str(path): str(entry) for path, entry in data.get("prepared", {}).items()}
        if key is None:
            return None
        return Mark(key, data["branch"] and str(data["branch"]), str(data["base"]), copied, prepared)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
