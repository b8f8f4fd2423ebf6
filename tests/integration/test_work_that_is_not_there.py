"""Commits of an agent's whose objects are gone from the repository: not reported, and their files are not removed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.runners import Desk, script

COMMIT = "mkdir -p new; echo work > new/work.txt; git add -A; git commit -q -m Work"
DELETE = 'rm -f "$(git rev-parse --git-common-dir)/objects/$(echo "$gone" | sed "s,^..,&/,")"'


@pytest.mark.fault("B2")
@pytest.mark.parametrize(
    "gone",
    [
        pytest.param("HEAD:new/work.txt", id="of a file"),
        pytest.param("HEAD:new", id="of a directory", marks=pytest.mark.extended),
    ],
)
def test_commit_without_its_objects_is_no_work_and_its_file_stays(desk: Desk, gone: str) -> None:
    act: dict[str, Any] = {"run": ["sh", "-ec", f"{COMMIT}\ngone=$(git rev-parse {gone})\n{DELETE}"]}
    task = desk.board.add_task(description=script(act), complexity="major")["id"]
    done = desk.run_single()
    kept = desk.repo / ".worktrees" / f"task-{task}" / "new" / "work.txt"
    found = (desk.board.task(task)["status"], kept.exists())
    assert found == ("pending", True), done.stdout + done.stderr
