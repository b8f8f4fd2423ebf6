"""Branch names of the board that would be read as a ref of another kind, now or once there is one of that name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.removals import Bench
from tests.support.repos import make_repo

if TYPE_CHECKING:
    from pathlib import Path


def seldom(name: str) -> Any:
    return pytest.param(name, marks=pytest.mark.extended)


@pytest.fixture
def bench(tmp_path: Path, isolated: Path) -> Bench:
    bench = Bench(make_repo(tmp_path / "shop"), isolated)
    bench.repo.git("remote", "add", "origin", str(tmp_path / "origin"))
    bench.repo.git("update-ref", "refs/pull/7/head", "HEAD")
    return bench


@pytest.mark.fault("F3")
@pytest.mark.parametrize(
    "name",
    [
        "notes/review",
        "pull/8/head",
        "Origin/main",
        *map(seldom, ("hpm/owner/main", "worktrees/task-1/HEAD", "stash", "Fetch_Head")),
    ],
)
def test_no_branch_is_made_whose_name_is_that_of_another_kind_of_ref(bench: Bench, name: str) -> None:
    done = bench.hpm("worktree.add", "--task-id", "12", "--branch", name)
    assert done.returncode in (0, 2), done.stderr
    made = f"refs/heads/{name}" in bench.repo.refs("refs/heads/")
    assert (made, repr(name) in done.stderr) == (False, True), done.stderr


@pytest.mark.parametrize("name", ["notes/review", seldom("pull/8/head")])
def test_such_a_branch_that_there_is_already_is_continued(bench: Bench, name: str) -> None:
    bench.repo.git("branch", name)
    done = bench.hpm("worktree.add", "--task-id", "12", "--branch", name)
    assert done.returncode == 0, done.stderr
    assert bench.repo.git("symbolic-ref", "HEAD", cwd=bench.worktree) == f"refs/heads/{name}"


@pytest.mark.parametrize("tags", [["feature/task-12"], ["feature/task-12", "feature/task-12-2"]])
def test_a_branch_that_is_named_by_us_does_not_read_as_a_tag_either(bench: Bench, tags: list[str]) -> None:
    for tag in tags:
        bench.repo.git("tag", tag)
    done = bench.hpm("worktree.add", "--task-id", "12")
    assert done.returncode == 0, done.stderr
    number = len(tags) + 1
    assert (
        bench.repo.git("symbolic-ref", "HEAD", cwd=bench.worktree) == f"refs/heads/feature/task-12-{number}"
    )
