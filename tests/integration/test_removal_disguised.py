"""Work that a removal must see although its files look as they did, or are not there: the index and links say more."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.removals import Bench
from tests.support.repos import make_repo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path, isolated: Path) -> Bench:
    return Bench(make_repo(tmp_path / "shop"), isolated)


def kept_objects(bench: Bench) -> str:
    return bench.repo.git("rev-list", "--objects", "--all")


@pytest.mark.fault("C1")
@pytest.mark.parametrize("path", ["new.txt", "README.md"], ids=["untracked", "tracked"])
def test_file_rewritten_with_its_size_and_time_after_the_salvage_is_not_deleted(
    bench: Bench, path: str
) -> None:
    """As rsync -t, cp -p, tar and many build tools write."""
    worktree = bench.add()
    file = worktree / path
    file.write_text("a shop\n")
    before = file.stat()
    process = bench.stopped_at("removal.saved", "worktree.remove", "--task-id", "12")
    file.write_text("A SHOP\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.kill(process.pid, signal.SIGCONT)
    _, stderr = process.communicate(timeout=600)
    assert file.is_file(), stderr


def test_file_whose_other_names_come_and_go_does_not_keep_the_worktree(bench: Bench, tmp_path: Path) -> None:
    """As in a store of packages that links into each worktree, while another worktree is removed."""
    worktree = bench.add()
    (worktree / "package.js").write_text("a package\n")
    for name in ("store.js", "elsewhere.js"):
        os.link(worktree / "package.js", tmp_path / name)
    process = bench.stopped_at("removal.saved", "worktree.remove", "--task-id", "12")
    (tmp_path / "elsewhere.js").unlink()
    os.kill(process.pid, signal.SIGCONT)
    _, stderr = process.communicate(timeout=600)
    assert not worktree.exists(), stderr


@pytest.mark.fault("C1")
@pytest.mark.parametrize("how", ["skipped", "sparse"])
def test_what_is_staged_of_a_file_that_is_not_checked_out_is_kept(bench: Bench, how: str) -> None:
    bench.repo.commit({"deep/a.txt": "a\n", "near/b.txt": "b\n"})
    worktree = bench.add()
    bench.repo.write({"deep/a.txt": "staged work\n"}, at=worktree)
    bench.repo.git("add", "-A", cwd=worktree)
    staged = bench.repo.git("rev-parse", ":deep/a.txt", cwd=worktree)
    if how == "sparse":
        bench.repo.git("sparse-checkout", "set", "near", cwd=worktree)
    else:
        bench.repo.git("update-index", "--skip-worktree", "deep/a.txt", cwd=worktree)
        (worktree / "deep/a.txt").unlink()
    assert not (worktree / "deep/a.txt").exists()
    done = bench.remove()
    assert worktree.exists() or staged in kept_objects(bench), done.stdout


@pytest.mark.fault("C1")
@pytest.mark.parametrize("leads", ["moved", "outside"])
def test_directory_that_became_a_link_is_salvaged_as_a_link(bench: Bench, tmp_path: Path, leads: str) -> None:
    worktree = bench.add()
    target = worktree / "moved" if leads == "moved" else tmp_path / "outside"
    (worktree / "src").rename(target)
    (worktree / "src").symlink_to(os.path.relpath(target, worktree))
    (target / "shop.py").write_text("PRICE = 2\n")
    done = bench.remove()
    ref = done.stdout.strip()
    listed = bench.repo.git("ls-tree", "-r", ref).splitlines() if ref else []
    kinds = [line[:7] + line.partition("\t")[2] for line in listed]
    found = ["100644 README.md", *(["100644 moved/shop.py"] if leads == "moved" else []), "120000 src"]
    assert kinds == found, done.stderr
