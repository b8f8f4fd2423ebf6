"""What `hpm worktree.remove` must see although `git status` does not show it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.removals import Bench
from tests.support.repos import Repo, make_repo
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path, isolated: Path) -> Bench:
    return Bench(make_repo(tmp_path / "shop"), isolated)


def record_submodule(repo: Repo, path: str) -> None:
    """Commit a submodule's path as a clone without its submodules has it."""
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{repo.git('rev-parse', 'HEAD')},{path}")
    repo.git("commit", "-q", "-m", "a submodule")


@pytest.mark.fault("C1")
@pytest.mark.parametrize("path", ["notes.txt", "build/output.txt", "deep/.hidden"])
def test_files_below_an_empty_submodule_path_can_be_restored(bench: Bench, path: str) -> None:
    record_submodule(bench.repo, "vendor/lib")
    worktree = bench.add()
    bench.repo.write({f"vendor/lib/{path}": "work\n"}, at=worktree)
    done = bench.remove()
    bench.hpm("worktree.restore", "--ref", done.stdout.strip() or "refs/hpm/salvage/none")
    restored = (bench.repo.root / ".worktrees").glob(f"salvage-12-*/vendor/lib/{path}")
    found = [file.read_text() for file in restored]
    assert (done.returncode, found) == (0, ["work\n"]), done.stderr


@pytest.mark.fault("C1")
def test_repository_at_a_submodule_path_keeps_the_worktree(bench: Bench) -> None:
    record_submodule(bench.repo, "vendor/lib")
    worktree = bench.add()
    bench.repo.git("clone", "-q", str(bench.repo.root), str(worktree / "vendor/lib"))
    bench.repo.git("checkout", "-q", "HEAD~1", cwd=worktree / "vendor/lib")
    bench.repo.write({"wip.txt": "work\n"}, at=worktree / "vendor/lib")
    done = bench.remove()
    assert ((worktree / "vendor/lib/wip.txt").exists(), done.returncode) == (True, 1), done.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_directory_that_cannot_be_read_keeps_the_worktree(bench: Bench) -> None:
    worktree = bench.add()
    bench.repo.write({"closed/work.txt": "work\n"}, at=worktree)
    (worktree / "closed").chmod(0)
    bench.remove()
    assert (worktree / "closed").exists()
    (worktree / "closed").chmod(0o700)


@pytest.mark.fault("C3")
@pytest.mark.parametrize("head", ["", "nonsense\n", None])
def test_damaged_repository_inside_keeps_the_worktree(bench: Bench, head: str | None) -> None:
    worktree = bench.add()
    inner = worktree / "experiment"
    bench.repo.git("init", "-q", str(inner))
    bench.repo.write({"a.txt": "a\n"}, at=inner)
    bench.repo.git("add", "-A", cwd=inner)
    bench.repo.git("commit", "-q", "-m", "inner", cwd=inner)
    if head is None:
        (inner / ".git/HEAD").unlink()
    else:
        (inner / ".git/HEAD").write_text(head)
    done = bench.remove()
    found = ((inner / ".git/objects").is_dir(), done.returncode, "experiment" in done.stderr)
    assert found == (True, 1, True), done.stdout + done.stderr


@pytest.mark.fault("C3")
def test_bare_repository_without_head_keeps_the_worktree(bench: Bench) -> None:
    worktree = bench.add()
    bench.repo.git("clone", "-q", "--bare", str(bench.repo.root), str(worktree / "mirror.git"))
    (worktree / "mirror.git/HEAD").unlink()
    done = bench.remove()
    assert (worktree / "mirror.git/objects").is_dir(), done.stdout


@pytest.mark.fault("C3")
def test_git_file_that_points_nowhere_keeps_the_worktree(bench: Bench) -> None:
    worktree = bench.add()
    bench.repo.write({"sub/.git": "gitdir: /nowhere/at/all\n", "sub/work.txt": "work\n"}, at=worktree)
    done = bench.remove()
    assert (worktree / "sub/.git").exists(), done.stdout


@pytest.mark.fault("C3")
@pytest.mark.parametrize("committed", [True, False])
def test_repository_in_the_place_of_the_worktrees_own_git_file_is_kept(bench: Bench, committed: bool) -> None:
    worktree = bench.add()
    (worktree / ".git").unlink()
    bench.repo.git("init", "-q", cwd=worktree)
    commit = bench.repo.git("hash-object", "-w", "--stdin", stdin="only here\n", cwd=worktree)
    if committed:
        commit = bench.repo.commit({"found.txt": "work\n"}, at=worktree)
        bench.repo.git("rm", "-q", "found.txt", cwd=worktree)
    done = bench.remove()
    found = [path.parent for path in (worktree.parent / "kept").glob("*/objects")]
    there = [not bench.repo.fails(f"--git-dir={path}", "cat-file", "-e", commit) for path in found]
    assert (there, worktree.exists()) == ([True], False), done.stderr


@pytest.mark.fault("C6")
@pytest.mark.parametrize("ignored", [False, True])
def test_worktree_inside_is_named_with_a_way_out_that_works(bench: Bench, ignored: bool) -> None:
    worktree = bench.add()
    inner = worktree / ("build/side" if ignored else "side")
    if ignored:
        bench.repo.write({".gitignore": "/build/\n"}, at=worktree)
    bench.repo.git("worktree", "add", "-q", "-b", "side", str(inner), cwd=worktree)
    done = bench.remove()
    kept = inner.is_dir()
    way_out = f"git -C {bench.repo.root / '.git'} worktree remove {inner}"
    if way_out in done.stderr:
        subprocess.run(way_out.split(" "), env=bench.repo.environment, check=True)
        bench.remove()
    assert (kept, way_out in done.stderr, worktree.exists()) == (True, True, False), done.stderr


@pytest.mark.fault("C1")
@pytest.mark.parametrize("path", ["late.txt", "README.md"])
def test_file_written_after_the_salvage_is_not_deleted(bench: Bench, path: str) -> None:
    worktree = bench.add()
    process = bench.stopped_at("removal.saved", "worktree.remove", "--task-id", "12")
    (worktree / path).write_text("late work\n")
    os.kill(process.pid, signal.SIGCONT)
    _, stderr = process.communicate(timeout=600)
    said = f"{path} changed while it was being removed" in stderr
    assert ((worktree / path).is_file(), process.returncode, said) == (True, 1, True), stderr


@pytest.mark.parametrize("name", [".Git/config", "git~1", "sub/.git. "])
def test_file_that_git_stores_under_no_name_keeps_the_worktree_and_is_named(bench: Bench, name: str) -> None:
    """Git refuses whatever some file system takes for `.git` (core.protectNTFS)."""
    worktree = bench.add()
    bench.repo.write({name: "work\n", "other.txt": "work\n"}, at=worktree)
    done = bench.remove()
    assert (worktree / name).is_file()
    assert f"git stores no file called {name!r}: rename it" in done.stderr
    assert bench.repo.refs("refs/hpm/salvage") == {}


@pytest.mark.fault("C3")
def test_way_out_of_a_repository_inside_is_said(bench: Bench) -> None:
    worktree = bench.add()
    (worktree / "inner" / ".git").mkdir(parents=True)
    (worktree / "inner" / "work.txt").write_text("work\n")
    done = bench.remove()
    assert f"look into {worktree}/inner, then move it elsewhere" in done.stderr


@pytest.mark.fault("C1")
@pytest.mark.parametrize("fate", ["killed", "goes on"])
def test_work_written_while_the_directory_is_moved_survives_another_command(bench: Bench, fate: str) -> None:
    """Whoever has a file open writes on; the other command must neither delete it nor take it for a dead removal's."""
    worktree = bench.add()
    with open(worktree / "open.log", "w", encoding="utf-8") as late:
        process = bench.stopped_at("removal.renamed", "worktree.remove", "--task-id", "12")
        late.write("late work\n")
    if fate == "killed":
        process.kill()
        process.communicate(timeout=600)
        done = bench.hpm("worktree.remove", "--task-id", "12")
        found = bench.repo.git("for-each-ref", "--format=%(refname)", "refs/hpm/salvage").splitlines()
        kept = [bench.repo.show(f"{ref}:open.log") for ref in found]
        assert (done.returncode, "late work" in kept) == (0, True), done.stderr
    else:
        other = subprocess.Popen(
            [sys.executable, "-m", "hpm_tools.cli.hpm", "worktree.remove", "--task-id", "13"],
            cwd=bench.repo.root,
            env=bench.environment,
        )
        wait_until(lambda: other.poll() is not None or not any(worktree.parent.glob(".trash-*")))
        os.kill(process.pid, signal.SIGCONT)
        _, stderr = process.communicate(timeout=600)
        other.wait(timeout=600)
        log = worktree / "open.log"
        assert (log.exists() and log.read_text(), process.returncode) == ("late work\n", 1), stderr
