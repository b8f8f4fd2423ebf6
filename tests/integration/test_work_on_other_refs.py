"""Work that an agent left where only a tag, another ref or a pushed branch leads to it: found, named, kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.test_work_outside import BRANCHED, WORK
from tests.support.shell_tasks import work

if TYPE_CHECKING:
    from tests.support.runners import Desk

UNDONE = [BRANCHED, "{}", "git reset -q --hard HEAD~1"]


@pytest.mark.fault("B7")
@pytest.mark.parametrize(
    ("lines", "named"),
    [
        pytest.param([line.format("git tag -a -m m keep") for line in UNDONE], "refs/tags/keep", id="tag"),
        pytest.param(
            [
                "echo 'the only copy' >> README.md; git update-ref refs/wip/mine $(git stash create)",
                "git reset -q --hard",
            ],
            "refs/wip/mine",
            id="stash that is in no list",
        ),
        pytest.param(
            [
                'git init -q --bare "$main/../up"',
                'git remote add up "$main/../up"',
                "git checkout -q -b own",
                BRANCHED,
                "git push -q up own",
                "git checkout -q feature/task-1",
                "git branch -q -D own",
            ],
            "refs/remotes/up/own",
            id="pushed, then deleted here",
            marks=pytest.mark.extended,
        ),
    ],
)
def test_work_that_only_another_ref_leads_to_is_named_and_salvaged(
    desk: Desk, lines: list[str], named: str
) -> None:
    """It was told as nothing, with the command that deletes the ref beside it."""
    status, notes = work(desk, *lines)
    kept = desk.git("log", "--format=", "-p", "-m", "--glob=refs/hpm/salvage/*", "--not", "main")
    found = (
        status,
        f"on no branch but {named}" in notes,
        "nothing was changed" in notes,
        WORK.strip() in kept,
    )
    assert found == ("pending", True, False, True), notes


@pytest.mark.fault("B7")
def test_a_branch_that_was_pushed_into_the_repository_is_brought_home(desk: Desk) -> None:
    """Git writes no mark of the agent's there: the push runs apart."""
    lines = [line.format('git push -q "$main" HEAD:refs/heads/own') for line in UNDONE]
    status, notes = work(desk, *lines)
    there = desk.git("ls-tree", "--name-only", "feature/task-1", "new.txt")
    assert (status, "own" in notes, there) == ("dev_done", True, "new.txt"), notes
