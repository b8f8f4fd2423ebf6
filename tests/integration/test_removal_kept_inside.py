"""Whatever the repository itself keeps inside a worktree outlives it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.removals import Bench
from tests.support.repos import make_repo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path, isolated: Path) -> Bench:
    return Bench(make_repo(tmp_path / "shop", files={".gitignore": "/build/\n", "a.txt": "a\n"}), isolated)


def lead_into(bench: Bench, name: str) -> None:
    """Have git's own ``name`` lead into the worktree's build output."""
    own, inside = bench.repo.root / ".git" / name, bench.worktree / "build" / os.path.basename(name)
    shutil.move(own, inside)
    own.symlink_to(inside)


@pytest.mark.fault("C2")
@pytest.mark.parametrize("how", ["alternates", "objects", "one of objects", "refs"])
def test_commit_whose_objects_or_branch_lie_in_the_worktree_stays(bench: Bench, how: str) -> None:
    git_dir, worktree = bench.repo.root / ".git", bench.add()
    store = worktree / "build" / "store"
    store.mkdir(parents=True)
    env = {}
    if how == "alternates":
        (git_dir / "objects/info/alternates").write_text(
            f"# more\n{os.path.relpath(store, git_dir / 'objects')}\n"
        )
        env = {
            "GIT_OBJECT_DIRECTORY": str(store),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(git_dir / "objects"),
        }
    bench.repo.write({"work.txt": "work\n"}, at=worktree)
    bench.repo.git("add", "-A", cwd=worktree, env=env)
    bench.repo.git("commit", "-q", "-m", "work", cwd=worktree, env=env)
    bench.repo.git("branch", "found/idea", "HEAD", cwd=worktree)
    commit = bench.repo.git("rev-parse", "HEAD", cwd=worktree)
    if how != "alternates":
        lead_into(bench, {"objects": "objects", "refs": "refs/heads/found"}.get(how, f"objects/{commit[:2]}"))
    done = bench.remove()
    assert not bench.repo.fails("rev-parse", "--verify", "found/idea:work.txt"), done.stderr
