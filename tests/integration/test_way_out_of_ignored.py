"""A worktree that stays for its ignored files, which are too many to be archived: the way out works as told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from tests.support.repos import Repo


@pytest.mark.fault("C7")
def test_ignored_files_that_are_too_large_are_told_with_what_removes_their_worktree(
    desk: Desk, repo: Repo
) -> None:
    repo.commit({".gitignore": "*.img\n"})
    acts = ({"write": ["work.txt", "work\n"]}, {"run": ["truncate", "-s", "101M", "core.img"]})
    desk.board.add_task(description=script(*acts), complexity="major")
    told = desk.run_single().stderr
    place = repo.root / ".worktrees" / "task-1"
    assert "worktree.regenerable" in told
    found = re.search(r"stays: .*then: hpm ([^();\n]+);", told)
    assert (place.is_dir(), bool(found)) == (True, True), told
    assert found
    removed = desk.hpm(*found[1].split())
    assert (removed.returncode, place.exists()) == (0, False), removed.stderr
