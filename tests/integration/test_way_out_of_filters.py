"""A file whose filter does not run is stored nowhere; what is told says who sets that filter, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from tests.support.repos import Repo

ATTRIBUTES = {"write": [".gitattributes", "*.big filter=nowhere\n"]}
WRITE = {"write": ["a.big", "plain\n"]}
UNSET = "no git configuration sets that filter"


@pytest.mark.parametrize("complexity", ["major", "minor"])
def test_a_filter_that_nobody_sets_is_told_as_that(desk: Desk, complexity: str) -> None:
    task = desk.board.add_task(description=script(ATTRIBUTES, WRITE), complexity=complexity)
    done = desk.run_single()
    found = desk.board.task(task["id"])
    assert found["status"] == "pending"
    assert (UNSET in found["notes"], "hpm trust" in found["notes"]) == (True, False), found["notes"]
    assert "free space" not in done.stderr


def test_the_repositorys_own_filter_is_told_with_the_command_that_approves_it(desk: Desk) -> None:
    sets = {"run": ["git", "config", "filter.nowhere.clean", "cat"]}
    task = desk.board.add_task(description=script(sets, ATTRIBUTES, WRITE), complexity="major")
    desk.run_single()
    notes = desk.board.task(task["id"])["notes"]
    assert (f"hpm trust --repo {desk.repo}" in notes, UNSET in notes) == (True, False), notes


def test_the_worktree_that_stays_is_removed_once_its_attributes_are_mended_as_told(
    desk: Desk, repo: Repo
) -> None:
    desk.board.add_task(description=script(ATTRIBUTES, WRITE), complexity="major")
    desk.run_single()
    place = repo.root / ".worktrees" / "task-1"
    stays = desk.hpm("worktree.remove", "--path", place)
    told = f"{UNSET}: take filter=nowhere out of .gitattributes"
    assert (stays.returncode, told in stays.stderr) == (1, True), stays.stderr
    (place / ".gitattributes").write_text("", encoding="utf-8")
    removed = desk.hpm("worktree.remove", "--path", place)
    assert (removed.returncode, place.exists()) == (0, False), removed.stderr
    assert repo.git("show", f"{removed.stdout.split()[0]}:a.big") == "plain"
