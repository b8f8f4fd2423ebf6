"""A worktree that stays for its ignored files, which are too many to be archived: the way out works as told."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from tests.support.repos import Repo


def test_ignored_files_that_are_too_large_are_told_with_what_removes_their_worktree(
    desk: Desk, repo: Repo
) -> None:
    repo.commit({".gitignore": "*.img\n"})
    acts = ({"write": ["work.txt", "work\n"]}, {"run": ["truncate", "-s", "101M", "core.img"]})
    desk.board.add_task(description=script(*acts), complexity="major")
    told = desk.run_single().stderr
    place = repo.root / ".worktrees" / "task-1"
    found = re.search(r"stays: .*then: (git .+) && hpm ([^()\n]+)", told)
    assert (place.is_dir(), bool(found)) == (True, True), told
    assert found
    subprocess.run(found[1].split(), cwd=repo.root, check=True)
    removed = desk.hpm(*found[2].split())
    assert (removed.returncode, place.exists()) == (0, False), removed.stderr
