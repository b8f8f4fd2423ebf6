"""A worktree that an agent made inside its own is named with a way out that works, whatever state it is in."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.removals import Bench
from tests.support.repos import make_repo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path, isolated: Path) -> Bench:
    return Bench(make_repo(tmp_path / "shop"), isolated)


@pytest.mark.fault("C6")
@pytest.mark.parametrize("state", ["locked", "worked in", "locked and worked in", "detached"])
def test_way_out_of_a_worktree_inside_works_and_loses_nothing(bench: Bench, state: str) -> None:
    way_out_works(bench, state)


def test_way_out_of_a_worktree_inside_that_lost_its_git_file_works(bench: Bench) -> None:
    way_out_works(bench, "unlinked")


def way_out_works(bench: Bench, state: str) -> None:
    worktree = bench.add()
    inner = worktree / "the side"
    bench.repo.git("worktree", "add", "-q", "-b", "side", str(inner), cwd=worktree)
    work = "work.txt"
    if "detached" in state:
        bench.repo.git("checkout", "-q", "--detach", cwd=inner)
        bench.repo.commit({work: "work\n"}, at=inner)
    elif "worked in" in state:
        (inner / work).write_text("work\n")
    if "locked" in state:
        bench.repo.git("worktree", "lock", str(inner))
    if state == "unlinked":
        (inner / ".git").unlink()
    for _ in range(2):
        said = bench.remove().stderr.splitlines()
        if said and said[-1].startswith("git -C "):
            subprocess.run(shlex.split(said[-1]), env=bench.repo.environment, check=False)
    left = [path.name for path in bench.worktree.parent.glob(f"*/{work}")]
    assert (bench.remove().returncode, worktree.exists(), left) == (
        0,
        False,
        [work] if "worked in" in state or state == "detached" else [],
    )
