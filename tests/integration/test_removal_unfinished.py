"""What only an unfinished operation of git, or a pseudo-ref of the worktree, still names is kept at its removal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.removals import Bench
from tests.support.repos import make_repo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path, isolated: Path) -> Bench:
    return Bench(make_repo(tmp_path / "shop"), isolated)


def loose_commit(bench: Bench, text: str) -> str:
    """A commit that nothing names."""
    blob = bench.repo.git("hash-object", "-w", "--stdin", stdin=text)
    tree = bench.repo.git("mktree", stdin=f"100644 blob {blob}\tfound.txt\n")
    return bench.repo.git("commit-tree", tree, "-m", text.strip())


def reachable(bench: Bench) -> set[str]:
    listed = bench.repo.git("rev-list", "--objects", "--all").splitlines()
    return {line.partition(" ")[0] for line in listed}


@pytest.mark.fault("C2")
@pytest.mark.parametrize(
    "name",
    [
        "FETCH_HEAD",
        "NOTES_MERGE_PARTIAL",
        "EXPERIMENT_HEAD",
        "rebase-merge/rewritten-list",
        "sequencer/abort-safety",
        "logs/ORIG_HEAD",
        "logs/refs/worktree/idea",
    ],
)
def test_commit_that_only_an_admin_file_names_stays_reachable(bench: Bench, name: str) -> None:
    bench.add()
    commit = loose_commit(bench, "tried and kept aside\n")
    path = bench.admin / name
    path.parent.mkdir(parents=True, exist_ok=True)
    line = f"{'0' * 40} {commit} An Agent <a@example.org> 1764460800 +0000\tkept\n"
    path.write_text(line if name.startswith("logs/") else f"{commit}\n")
    done = bench.remove()
    assert done.returncode == 0, done.stderr
    assert not bench.worktree.exists()
    assert commit in reachable(bench)


@pytest.mark.fault("C2")
def test_commit_at_the_beginning_of_a_long_reflog_stays_reachable(bench: Bench) -> None:
    bench.add()
    commit = loose_commit(bench, "long ago\n")
    head = bench.repo.git("rev-parse", "HEAD")
    who = "An Agent <a@example.org> 1764460800 +0000\t"
    more = f"{head} {head} {who}{'x' * 900}\n" * 1500
    (bench.admin / "logs/HEAD").write_text(f"{head} {commit} {who}commit\n{more}")
    assert bench.remove().returncode == 0
    assert commit in reachable(bench)


@pytest.mark.fault("C2")
def test_more_than_two_hundred_detached_commits_stay_reachable(bench: Bench) -> None:
    bench.add()
    tree = bench.repo.git("rev-parse", "HEAD^{tree}")
    who = "An Agent <a@example.org> 1764460800 +0000\tcommit"
    commits = [bench.repo.git("commit-tree", tree, "-m", str(number)) for number in range(230)]
    lines = [f"{'0' * 40} {commit} {who}\n" for commit in commits]
    (bench.admin / "logs/HEAD").write_text("".join(lines))
    assert bench.remove().returncode == 0
    assert set(commits) <= reachable(bench)


@pytest.mark.fault("C2")
def test_tag_that_only_a_ref_of_the_worktree_names_keeps_its_commit(bench: Bench) -> None:
    worktree = bench.add()
    commit = loose_commit(bench, "tagged\n")
    bench.repo.git("tag", "-a", "-m", "remember this", "gone", commit)
    tag = bench.repo.git("rev-parse", "gone")
    bench.repo.git("update-ref", "refs/worktree/mine", tag, cwd=worktree)
    bench.repo.git("tag", "-d", "gone")
    assert bench.remove().returncode == 0
    assert commit in reachable(bench)


@pytest.mark.fault("C2")
def test_both_sides_of_a_conflict_from_a_patch_stay_reachable(bench: Bench) -> None:
    """`git am -3` makes the other side from the patch: no commit has it, the file on disk may be edited since."""
    worktree = bench.add()
    git = bench.repo.git
    bench.repo.commit({"README.md": "one\n"}, "one", at=worktree)
    bench.repo.commit({"README.md": "theirs\n"}, "theirs", at=worktree)
    patch = git("format-patch", "--stdout", "--full-index", "-1", cwd=worktree)
    git("reset", "-q", "--hard", "HEAD~1", cwd=worktree)
    bench.repo.commit({"README.md": "ours\n"}, "ours", at=worktree)
    git("reflog", "expire", "--expire=now", "--all", cwd=worktree)
    (worktree.parent / "the.patch").write_text(patch + "\n")
    assert bench.repo.fails("am", "-q", "-3", "../the.patch", cwd=worktree)
    theirs = git("rev-parse", ":3:README.md", cwd=worktree)
    git("prune", "--expire=now")
    bench.repo.write({"README.md": "undecided\n"}, at=worktree)
    done = bench.remove()
    assert done.returncode == 0, done.stderr
    assert theirs in reachable(bench)


@pytest.mark.fault("C2")
@pytest.mark.parametrize("operation", ["cherry-pick", "rebase"])
def test_commits_still_to_be_picked_stay_reachable_by_their_short_ids(bench: Bench, operation: str) -> None:
    worktree, git = bench.add(), bench.repo.git
    commits = [loose_commit(bench, f"{number}\n") for number in range(3)]
    if operation == "cherry-pick":
        bench.repo.write({"found.txt": "in the way\n"}, at=worktree)
        git("add", "found.txt", cwd=worktree)
        git("commit", "-q", "-m", "in the way", cwd=worktree)
        assert bench.repo.fails("cherry-pick", *commits, cwd=worktree)
    else:
        bench.repo.commit({"a.txt": "a\n"}, at=worktree)
        git("rebase", "-q", "-i", "HEAD~1", cwd=worktree, env={"GIT_SEQUENCE_EDITOR": "sed -i s/^pick/edit/"})
        with (bench.admin / "rebase-merge" / "git-rebase-todo").open("a", encoding="utf-8") as file:
            file.writelines(f"pick {commit[:8]} by hand\n" for commit in commits)
    done = bench.remove()
    assert done.returncode == 0, done.stderr
    assert set(commits) <= reachable(bench)


@pytest.mark.fault("C2")
def test_patches_still_to_be_applied_are_kept(bench: Bench) -> None:
    worktree = bench.add()
    todo = bench.admin / "rebase-apply"
    todo.mkdir()
    (todo / "0002").write_text("From: An Agent\n\nthe only copy of a patch\n")
    (todo / "applying").write_text("")
    done = bench.remove()
    assert not worktree.exists(), done.stderr
    blob = bench.repo.git("hash-object", "--stdin", stdin="From: An Agent\n\nthe only copy of a patch\n")
    assert blob in reachable(bench)


def test_finished_work_leaves_no_salvage(bench: Bench) -> None:
    worktree = bench.add()
    bench.repo.commit({"a.txt": "a\n"}, "work", at=worktree)
    bench.repo.git("commit", "-q", "--amend", "-m", "better", cwd=worktree)
    done = bench.remove()
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
