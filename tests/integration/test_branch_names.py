"""Branch names of the board that git reads as something else: no branch of that name is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

READ_AS_OTHERS = ("refs/heads/main", "origin/main", "FETCH_HEAD", "tags/v1", "refs/hpm/owner/main")
OF_THIS_REPOSITORY = ("upstream/dev", "v2", "Feature/Login", "remotes/origin/main", "MERGE_AUTOSTASH")
ALREADY_A_COMMIT = ("v2-0-g{short}", "{short}", "notes/commits", "stash", "upstream", "head")
"""Names that git reads as a commit, or that are a remote's, although there is no such branch."""


@pytest.fixture
def repo(repo: Repo, tmp_path: Path) -> Repo:
    for name in ("origin", "upstream"):
        repo.git("remote", "add", name, str(tmp_path / name))
    repo.git("update-ref", "refs/remotes/origin/main", "HEAD")
    repo.git("tag", "v2")
    repo.git("branch", "feature/login")
    return repo


@pytest.mark.fault("F3")
@pytest.mark.parametrize("names", [READ_AS_OTHERS, OF_THIS_REPOSITORY], ids=["general", "of-this-repository"])
def test_no_branch_is_made_whose_name_reads_as_something_else(
    desk: Desk, repo: Repo, names: tuple[str, ...]
) -> None:
    tasks = [
        desk.board.add_task(description=script({"write": ["a.txt", "x"]}), complexity="major", branch=name)
        for name in names
    ]
    words = ["run", "--role", "backend_dev", "--agent-id", "dev_001", "--max-tasks", len(tasks)]
    done = desk.hpm(*words, within=1200)
    assert [desk.board.task(task["id"])["status"] for task in tasks] == ["dev_done"] * len(tasks)
    own = {f"refs/heads/feature/task-{task['id']}" for task in tasks}
    assert set(repo.refs("refs/heads/")) == {"refs/heads/main", "refs/heads/feature/login", *own}, done.stderr


def test_run_says_why_the_boards_branch_is_not_used(desk: Desk) -> None:
    task = desk.board.add_task(
        description=script({"write": ["a.txt", "x"]}), complexity="major", branch="origin/main"
    )
    done = desk.run_single()
    said = " ".join(done.stderr.split())
    assert f"task {task['id']}: branch 'origin/main' reads as a branch of the remote 'origin'" in said
    assert f"it works on feature/task-{task['id']}" in said


@pytest.mark.fault("F3")
def test_worktree_add_makes_no_branch_that_reads_as_a_tag(desk: Desk, repo: Repo) -> None:
    done = desk.hpm("worktree.add", "--task-id", 7, "--branch", "v2")
    assert done.returncode == 0, done.stderr
    assert "refs/heads/v2" not in repo.refs("refs/heads/")


@pytest.mark.fault("F3")
@pytest.mark.parametrize("form", ALREADY_A_COMMIT)
def test_worktree_add_makes_no_branch_that_names_a_commit_already(desk: Desk, repo: Repo, form: str) -> None:
    name = form.format(short=repo.git("rev-parse", "--short=8", "HEAD"))
    repo.git("update-ref", "refs/notes/commits", "HEAD")
    repo.git("update-ref", "refs/stash", "HEAD")
    done = desk.hpm("worktree.add", "--task-id", 7, "--branch", name)
    assert done.returncode in (0, 2), done.stderr
    made = f"refs/heads/{name}" in repo.refs("refs/heads/")
    assert (made, name in done.stderr) == (False, True), done.stderr


def test_an_existing_branch_is_continued(desk: Desk, repo: Repo) -> None:
    done = desk.hpm("worktree.add", "--task-id", 7, "--branch", "feature/login")
    assert done.returncode == 0, done.stderr
    assert set(repo.refs("refs/heads/")) == {"refs/heads/main", "refs/heads/feature/login"}
