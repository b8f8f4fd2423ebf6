"""What is not where a snapshot of it was taken: a worktree that was moved or became a link, a replaced git directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.worktree import moved, replaced_git
from hpm_tools.worktree.replaced import move_links_aside

if TYPE_CHECKING:
    from hpm_tools.worktree.evidence import Snapshot


def git_replaced(snapshot: Snapshot) -> str | None:
    """That another thing stands where the repository's git directory was, and what to do about it; None if it does not."""
    try:
        replaced_git.refuse(snapshot.place.common_dir, str(snapshot.marks["repository"]))
    except replaced_git.GitReplaced as error:
        return f"{error.message} ({error.hint})"
    return None


def replaced_by_link(snapshot: Snapshot) -> str | None:
    """How a link came in the place of a task's worktree while its agent worked, or None; it is moved aside."""
    place = snapshot.place
    if not place.linked:
        return None
    return move_links_aside(place.root, place.common_dir, snapshot.run_id)


def put_back(snapshot: Snapshot) -> str | None:
    """Put a worktree back that its agent moved elsewhere; a sentence about it, None if it did not."""
    place = snapshot.place
    if not place.linked:
        return None
    return moved.put_back(place, str(snapshot.identity), snapshot.run_id)


def moved_to(snapshot: Snapshot) -> str | None:
    """Where the directory of a worktree is that is not in its place; None if it is, or if that is not known."""
    place = snapshot.place
    found = moved.find(place, str(snapshot.identity), snapshot.run_id)
    return None if found is None else str(found)
