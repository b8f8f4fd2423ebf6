"""Which directory is taken for a worktree that was moved elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.worktree import moved, nearby
from hpm_tools.worktree.place import Place
from tests.support.repos import make_repo

if TYPE_CHECKING:
    from pathlib import Path


def test_another_directory_that_got_the_inode_of_a_removed_one_is_left_alone(tmp_path: Path) -> None:
    repository = make_repo(tmp_path / "repo").root
    place = Place(
        repository / ".worktrees" / "task-1",
        repository / ".git" / "worktrees" / "task-1",
        repository / ".git",
    )
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine\n", encoding="utf-8")
    assert moved.put_back(place, nearby.directory_identity(other), "run-1") is None
    (other / ".git").write_text("gitdir: /elsewhere\n", encoding="utf-8")
    assert (
        moved.put_back(place, nearby.directory_identity(other), "run-1"),
        (other / "mine.txt").exists(),
    ) == (
        None,
        True,
    )
