"""GitWorktree(path) makes, lists and removes the worktrees of tasks, and loses nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hpm_tools import GitWorktree
from hpm_tools.errors import Misconfigured, NotFound, UsageError
from tests.support.frontends import hpm

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


def test_worktree_is_made_for_a_task_and_found_again(repo: Repo) -> None:
    for path in (repo.root, str(repo.root), repo.root / ".git" / ".."):
        worktrees = GitWorktree(path)
        place = worktrees.create_for_task(12, "feature/login")
        assert place == repo.root / ".worktrees" / "task-12"
        assert GitWorktree(place).get_worktree_path(12) == place
    assert repo.git("branch", "--show-current", cwd=place) == "feature/login"
    (listed,) = worktrees.list_worktrees()
    head = repo.git("rev-parse", "HEAD")
    assert listed == {"path": place, "task_id": 12, "branch": "feature/login", "head": head}


def test_branch_that_may_not_be_used_is_only_started_from(repo: Repo) -> None:
    worktrees = GitWorktree(repo.root)
    worktrees.create_for_task(12, "main")
    worktrees.create_for_task(13)
    assert {row["branch"] for row in worktrees.list_worktrees()} == {"feature/task-12", "feature/task-13"}


def test_cleanup_salvages_uncommitted_work_first(repo: Repo) -> None:
    worktrees = GitWorktree(repo.root)
    place = worktrees.create_for_task(12)
    repo.write({"new.txt": "not committed\n"}, at=place)
    removed = worktrees.cleanup(12)
    assert not place.exists()
    assert repo.show(f"{removed.salvage}:new.txt") == "not committed"
    assert worktrees.get_worktree_path(12) is None
    assert list(worktrees.list_worktrees()) == []
    assert worktrees.cleanup(12).salvage is None


def test_commands_and_python_have_the_same_worktrees(repo: Repo) -> None:
    GitWorktree(repo.root).create_for_task(12)
    listed = json.loads(hpm("worktree.list", "--json", cwd=repo.root).stdout)["worktrees"]
    assert [row["task_id"] for row in listed] == [12]
    again = hpm("worktree.add", "--task-id", "12", "--json", cwd=repo.root)
    assert json.loads(again.stdout)["existed"] is True


def test_what_is_no_repository_task_or_branch_is_refused(repo: Repo, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no git repository"):
        GitWorktree(tmp_path)
    worktrees = GitWorktree(repo.root)
    with pytest.raises(UsageError, match="task id 'x' is not a positive whole number"):
        worktrees.create_for_task("x")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"branch '\.\.'"):
        worktrees.create_for_task(12, "..")
    (repo.root / ".worktrees" / "task-14").mkdir(parents=True)
    with pytest.raises(NotFound, match="is not a task's worktree"):
        worktrees.cleanup(14)
