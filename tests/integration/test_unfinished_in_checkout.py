"""A person's merge, rebase or bisect is in progress in the checkout, without any uncommitted file: no task goes in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.repos import Repo, make_repo
from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest


def seldom(value: object) -> Any:
    return pytest.param(value, marks=pytest.mark.extended)


def merge(repo: Repo) -> None:
    """Stop a merge before its commit."""
    repo.git("checkout", "-q", "-b", "theirs")
    repo.commit({"theirs.txt": "theirs\n"})
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "--no-commit", "--no-ff", "-s", "ours", "theirs")


def rebase(repo: Repo) -> None:
    """Stop a rebase at a commit that is to be edited."""
    for name in ("one", "two"):
        repo.commit({f"{name}.txt": name})
    editor = {"GIT_SEQUENCE_EDITOR": "sed -i '1s/^pick/edit/'"}
    repo.git("rebase", "-q", "-i", "HEAD~2", env=editor)


def bisect(repo: Repo) -> None:
    for name in ("one", "two"):
        repo.commit({f"{name}.txt": name})
    repo.git("bisect", "start", "HEAD", "HEAD~2")


@pytest.mark.fault("A5")
@pytest.mark.parametrize("begin", [merge, *map(seldom, (rebase, bisect))])
@pytest.mark.parametrize("commits", [False, seldom(True)], ids=["leaves its work", "commits its work"])
def test_minor_task_leaves_a_persons_unfinished_operation_alone(
    begin: Callable[[Repo], None], tmp_path: Path, exact_board: BoardUnderTest, *, commits: bool
) -> None:
    repo = make_repo(tmp_path / "code")
    begin(repo)
    desk = Desk(tmp_path / "desk", exact_board, repo.root)
    acts: list[dict[str, Any]] = [
        {"write": ["a.txt", "hello\n"]},
        *([{"commit": "Say hello"}] if commits else []),
    ]
    task = exact_board.add_task(description=script(*acts), complexity="minor")["id"]
    before = repo.git("status")
    done = desk.run_single()
    found = (repo.git("status"), exact_board.task(task)["status"])
    assert found == (before, "dev_done"), done.stdout + done.stderr
