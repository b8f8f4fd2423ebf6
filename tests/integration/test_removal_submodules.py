"""What `hpm worktree.remove` must see of a submodule's own repository, which goes with the worktree."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.removals import Bench
from tests.support.repos import make_repo

if TYPE_CHECKING:
    from pathlib import Path

LIB = "vendor/lib"


@pytest.fixture
def bench(tmp_path: Path, isolated: Path) -> Bench:
    """A task's worktree with a submodule at LIB, checked out."""
    found = Bench(make_repo(tmp_path / "shop"), isolated)
    library = make_repo(tmp_path / "library")
    allowed = ("-c", "protocol.file.allow=always", "submodule", "--quiet")
    found.repo.git(*allowed, "add", "--name", "lib", str(library.root), LIB)
    found.repo.git("commit", "-q", "-m", "a library")
    found.repo.git(*allowed, "update", "--init", cwd=found.add())
    return found


@pytest.mark.fault("C1")
def test_files_of_a_submodule_whose_repository_is_gone_stay(bench: Bench) -> None:
    shutil.rmtree(bench.admin / "modules" / "lib")
    bench.repo.write({f"{LIB}/wip.txt": "work\n"}, at=bench.worktree)
    done = bench.remove()
    said = f"look into {bench.worktree / LIB}, then move it elsewhere" in done.stderr
    found = ((bench.worktree / LIB / "wip.txt").exists(), done.returncode, said)
    assert found == (True, 1, True), done.stdout + done.stderr


@pytest.mark.fault("C1")
def test_files_in_the_copy_of_a_submodule_stay(bench: Bench) -> None:
    """Both name one repository, whose index tells nothing about the copy."""
    copy = bench.worktree / "vendor" / "lib2"
    shutil.copytree(bench.worktree / LIB, copy)
    commit = bench.repo.git("rev-parse", "HEAD", cwd=copy)
    bench.repo.git("update-index", "--add", "--cacheinfo", f"160000,{commit},vendor/lib2", cwd=bench.worktree)
    bench.repo.git("commit", "-q", "-m", "twice", cwd=bench.worktree)
    (copy / "wip.txt").write_text("work\n")
    done = bench.remove()
    assert ((copy / "wip.txt").exists(), done.returncode) == (True, 1), done.stdout


@pytest.mark.fault("C2")
@pytest.mark.parametrize("by", ["tag", "ref", "patch", "worktree"])
def test_what_only_a_submodules_repository_keeps_stays(bench: Bench, tmp_path: Path, by: str) -> None:
    inner, git_dir = bench.worktree / LIB, bench.admin / "modules" / "lib"
    start = bench.repo.git("rev-parse", "HEAD", cwd=inner)
    if by == "patch":
        (git_dir / "rebase-apply").mkdir()
        (git_dir / "rebase-apply" / "0002").write_text("From: An Agent\n\nthe only copy of a patch\n")
    elif by == "worktree":
        bench.repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "side"), cwd=inner)
    else:
        bench.repo.commit({"found.txt": "work\n"}, at=inner)
        name = "refs/tags/found" if by == "tag" else "refs/keep/found"
        bench.repo.git("update-ref", name, "HEAD", cwd=inner)
        bench.repo.git("checkout", "-q", "--detach", start, cwd=inner)
        bench.repo.git("reflog", "expire", "--expire=now", "--all", cwd=inner)
    done = bench.remove()
    assert (git_dir.is_dir(), done.returncode) == (True, 1), done.stdout


@pytest.mark.fault("C2")
@pytest.mark.parametrize("command", ["worktree.remove", "worktree.prune", "worktree.add"])
def test_commits_of_a_submodule_outlive_a_worktree_that_was_deleted(bench: Bench, command: str) -> None:
    commit = bench.repo.commit({"found.txt": "work\n"}, at=bench.worktree / LIB)
    shutil.rmtree(bench.worktree)
    done = bench.hpm(command, *([] if command == "worktree.prune" else ["--task-id", "12"]))
    there = sorted(bench.repo.root.glob(".git/worktrees/*/modules/lib"))
    found = [
        not bench.repo.fails(f"--git-dir={path}", "--work-tree=.", "cat-file", "-e", commit) for path in there
    ]
    assert any(found), done.stderr
    if command == "worktree.add":
        assert done.stdout.strip() == str(bench.worktree)
    elif command == "worktree.remove":
        assert "has commits that its remote has not" in done.stderr
