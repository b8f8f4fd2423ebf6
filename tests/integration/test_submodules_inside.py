"""A submodule whose repository stands at its own path: the command that is told brings it to where worktrees find it."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import Repo, make_repo
from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository with a submodule that was made in place: `git submodule add` of a repository that is there."""
    lib = make_repo(tmp_path / "lib")
    lib.commit({"lib.txt": "lib\n"})
    repo = make_repo(tmp_path / "repo")
    repo.git("clone", "-q", str(lib.root), "vendor/lib")
    repo.git("submodule", "--quiet", "add", str(lib.root), "vendor/lib")
    repo.git("commit", "-q", "-m", "a submodule")
    assert (repo.root / "vendor" / "lib" / ".git").is_dir()
    return repo


def follow(desk: Desk, said: str) -> None:
    """Run the command that ``said`` names, where it says."""
    found = re.search(r"(git submodule [a-z -]+), run in ([^)\n]+)", said)
    assert found, said
    subprocess.run(found[1].split(), cwd=found[2], check=True, env=desk.environment)


@pytest.mark.fault("E7")
def test_what_health_tells_has_the_next_worktree_filled(desk: Desk, repo: Repo) -> None:
    said = desk.hpm("health").stdout
    if "worktrees get no vendor/lib" in said:
        follow(desk, said)
    copy = {"run": ["sh", "-c", "cp vendor/lib/lib.txt seen.txt || true"]}
    desk.board.add_task(description=script(copy), complexity="major")
    desk.run_single()
    seen = repo.git("ls-tree", "--name-only", "feature/task-1").split()
    assert "seen.txt" in seen


def test_what_a_runner_tells_of_an_empty_submodule_has_it_filled(desk: Desk, repo: Repo) -> None:
    desk.board.add_task(description=script({"write": ["a.txt", "a"]}), complexity="major")
    told = desk.run_single().stderr
    assert "the submodule vendor/lib stays empty" in told
    follow(desk, told)
    assert "worktrees get no" not in desk.hpm("health").stdout
