"""Killed at every point of making, saving and removing, the next call makes it right and nothing is lost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hpm_tools.worktree
from hpm_tools.worktree import locks
from hpm_tools.worktree.locks import free_dead
from tests.support.repos import Repo, key
from tests.support.waiting import wait_until

POINTS = sorted(
    point
    for path in Path(hpm_tools.worktree.__file__).parent.glob("*.py")
    for point in re.findall(r'failpoints\.reach\("([a-z_.]+)"\)', path.read_text(encoding="utf-8"))
)

WHOLE_LIFE = """
import sys
from pathlib import Path
from hpm_tools.worktree.task_key import TaskKey
from hpm_tools.worktree.checkout import clean_to_head
from hpm_tools.worktree.evidence import Snapshot, commit_leftovers, delta
from hpm_tools.worktree.repository import Repository
from hpm_tools.worktree.salvage import salvage
from hpm_tools.worktree.worktrees import GitWorktree

root, key = Path(sys.argv[1]), TaskKey(*sys.argv[2:3], int(sys.argv[3]), sys.argv[4])
worktrees = GitWorktree(Repository.discover(root))
worktrees.repository.exclude("precious.txt")
in_the_way = worktrees.base / f"task-{key.id}"
if not in_the_way.exists() and not (worktrees.base / "kept").exists():
    in_the_way.mkdir(parents=True)
    (in_the_way / "whose.txt").write_text("somebody's")
added = worktrees.add_for_task(key, branch="main")
snapshot = Snapshot.take(added.path, "run1")
done = added.path / "done.txt"
if not delta(added.path, snapshot).dirty and not done.exists():
    done.write_text("done")
commit_leftovers(added.path, "task: done")
worktrees.detach(added.path)
(added.path / "left.txt").write_text("left")
(added.path / "precious.txt").write_text("not for git, and not made again")
worktrees.remove(added.path, agent_id="dev_001")
(root / "README.md").write_text("in place")
(root / "new.txt").write_text("in place")
salvage(root, agent_id="dev_001", task_id=3)
clean_to_head(root)
"""


def live(repo: Repo, log: Path, point: str = "", fault: str = "kill") -> subprocess.CompletedProcess[str]:
    extra = {"HPM_FAILPOINT_LOG": str(log)} | ({"HPM_FAILPOINT": f"{point}:{fault}"} if point else {})
    return subprocess.run(
        [sys.executable, "-c", WHOLE_LIFE, str(repo.root), *map(str, key().as_dict().values())],
        env={**repo.environment, **extra},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_a_whole_life_reaches_every_point(repo: Repo, tmp_path: Path) -> None:
    done = live(repo, tmp_path / "reached")
    assert done.returncode == 0, done.stderr
    reached = set((tmp_path / "reached").read_text(encoding="ascii").split())
    assert set(POINTS) - reached == set()


@pytest.mark.fault("P3")
@pytest.mark.parametrize("point", POINTS)
def test_killed_at(repo: Repo, tmp_path: Path, point: str) -> None:
    assert live(repo, tmp_path / "reached", point).returncode == -9
    again = live(repo, tmp_path / "reached")
    assert again.returncode == 0, again.stderr
    settled(repo)


@pytest.mark.fault("full-disk")
@pytest.mark.parametrize("point", [point for point in POINTS if point.startswith(("worktree.", "removal."))])
def test_the_disk_is_full_at(repo: Repo, tmp_path: Path, point: str) -> None:
    live(repo, tmp_path / "reached", point, "enospc")
    assert point in (tmp_path / "reached").read_text(encoding="ascii")
    again = live(repo, tmp_path / "reached")
    assert again.returncode == 0, again.stderr
    settled(repo)


def settled(repo: Repo) -> None:
    """What is left after a whole life: the work on its branch, the leftovers salvaged, and nothing else."""
    assert repo.show("feature/task-12:done.txt") == "done"
    salvaged = {
        ref: repo.git("ls-tree", "-r", "--name-only", ref).split() for ref in repo.refs("refs/hpm/salvage/")
    }
    committed = repo.git("ls-tree", "-r", "--name-only", "feature/task-12").split()
    assert any("left.txt" in names for names in (*salvaged.values(), committed))
    assert any(repo.show(f"{ref}:README.md") == "in place" for ref in salvaged)
    assert len(salvaged) <= 3
    assert repo.git("status", "--short") == ""
    assert [path.name for path in (repo.root / ".worktrees").iterdir()] == ["kept"]
    kept = list((repo.root / ".worktrees" / "kept").glob("*/whose.txt"))
    assert [path.read_text(encoding="utf-8") for path in kept] == ["somebody's"]
    assert repo.git("worktree", "list").count("\n") == 0
    assert set(repo.refs("refs/heads/")) == {"refs/heads/main", "refs/heads/feature/task-12"}
    assert list((repo.root / ".git").glob("hpm-index-*")) == []


def test_a_lock_that_a_living_process_has_open_is_waited_for(repo: Repo, tmp_path: Path) -> None:
    lock = repo.root / ".git" / "index.lock"
    code = (
        "import os, sys, time\n"
        f"fd = os.open({str(lock)!r}, os.O_CREAT | os.O_EXCL)\n"
        f"open({str(tmp_path / 'ready')!r}, 'w').close()\n"
        f"while not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.02)\n"
        f"time.sleep(2 * {locks.DEAD_AFTER})\n"
        f"open({str(tmp_path / 'released')!r}, 'w').close()\n"
        f"os.unlink({str(lock)!r})\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as holder:
        wait_until((tmp_path / "ready").exists)
        (tmp_path / "go").touch()
        assert free_dead(f"fatal: Unable to create '{lock}': File exists.", repo.root / ".git")
        assert (tmp_path / "released").exists()
        assert holder.wait(timeout=300) == 0


@pytest.mark.fault("stale-git-locks")
def test_a_lock_that_nobody_has_open_is_removed(repo: Repo) -> None:
    lock = repo.root / ".git" / "index.lock"
    lock.touch()
    began = time.monotonic()
    assert free_dead(f"fatal: Unable to create '{lock}': File exists.", repo.root / ".git")
    assert time.monotonic() - began >= locks.DEAD_AFTER
    assert not lock.exists()


def test_only_lock_files_of_the_repository_are_removed(repo: Repo, tmp_path: Path) -> None:
    for path in (tmp_path / "other.lock", repo.root / "file.lock"):
        path.touch()
        assert not free_dead(f"fatal: Unable to create '{path}': File exists.", repo.root / ".git")
        assert path.exists()
    (repo.root / ".git" / "away").symlink_to(tmp_path)
    through = repo.root / ".git" / "away" / "other.lock"
    assert not free_dead(f"fatal: Unable to create '{through}': File exists.", repo.root / ".git")
    assert not free_dead("fatal: something else", repo.root / ".git")


@pytest.mark.fault("removal-killed")
def test_a_removal_that_was_killed_while_deleting_is_finished(repo: Repo) -> None:
    trash = repo.root / ".worktrees" / ".trash-abc"
    repo.write({".worktrees/.trash-abc/deep/file": "x"})
    os.chmod(trash / "deep", 0o500)
    repo.worktrees().add_for_task(key())
    assert not trash.exists()
