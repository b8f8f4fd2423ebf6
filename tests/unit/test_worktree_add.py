"""Making worktrees: which branch, what a second call finds, and what a crash or an enemy left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hpm_tools.errors import CannotCreate, Misconfigured, NotFound
from hpm_tools.worktree import registration
from hpm_tools.worktree.task_key import TaskKey
from tests.support.repos import BOARD, Repo, key, make_repo

if TYPE_CHECKING:
    from pathlib import Path


def worktrees_of(repo: Repo) -> list[str]:
    lines = repo.git("worktree", "list", "--porcelain").splitlines()
    return [line.removeprefix("worktree ") for line in lines if line.startswith("worktree ")][1:]


def test_a_worktree_stands_on_a_branch_of_its_own(repo: Repo) -> None:
    added = repo.worktrees().add_for_task(key(), branch="main")
    assert added.path == repo.root / ".worktrees" / "task-12"
    assert (added.branch, added.existed) == ("feature/task-12", False)
    assert added.base == repo.git("rev-parse", "main")
    assert repo.git("status", "--porcelain", "--branch", cwd=added.path) == "## feature/task-12"
    assert (added.path / "src" / "shop.py").read_text(encoding="utf-8") == "PRICE = 1\n"
    assert repo.git("status", "--short") == ""
    assert repo.git("worktree", "list").endswith("locked")


def test_the_same_call_again_finds_it(repo: Repo) -> None:
    worktrees = repo.worktrees()
    first = worktrees.add_for_task(key(), branch="main")
    repo.write({"work.txt": "x"}, at=first.path)
    again = worktrees.add_for_task(key(), branch="something/else")
    assert (again.path, again.branch, again.base, again.existed) == (
        first.path,
        first.branch,
        first.base,
        True,
    )
    assert (again.path / "work.txt").exists()


@pytest.mark.parametrize("wanted", ["fix/login", "new-branch"])
def test_the_tasks_own_branch_is_used_where_it_may_be(repo: Repo, wanted: str) -> None:
    repo.git("branch", "fix/login")
    assert repo.worktrees().add_for_task(key(), branch=wanted).branch == wanted


def test_a_branch_only_the_remote_has_is_started_from_there(repo: Repo, tmp_path: Path) -> None:
    repo.git("checkout", "-q", "-b", "fix/login")
    commit = repo.commit({"login.py": "x"})
    repo.git("checkout", "-q", "main")
    clone = Repo(tmp_path / "clone")
    repo.git("clone", "-q", str(repo.root), str(clone.root))
    added = clone.worktrees().add_for_task(key(), branch="fix/login")
    assert (added.branch, added.base) == ("fix/login", commit)
    assert clone.fails("config", "branch.fix/login.remote")


def test_a_branch_in_use_elsewhere_is_only_built_upon(repo: Repo) -> None:
    repo.git("checkout", "-q", "-b", "fix/login")
    commit = repo.commit({"login.py": "x"})
    added = repo.worktrees().add_for_task(key(), branch="fix/login", base="main")
    assert (added.branch, added.base) == ("feature/task-12", commit)


def test_a_branch_of_another_task_is_only_built_upon(repo: Repo) -> None:
    worktrees = repo.worktrees()
    first = worktrees.add_for_task(key(7), branch="fix/login")
    commit = repo.commit({"login.py": "x"}, at=first.path)
    worktrees.remove(first.path)
    added = worktrees.add_for_task(key(8), branch="fix/login")
    assert (added.branch, added.base) == ("feature/task-8", commit)
    assert worktrees.add_for_task(key(7), branch="fix/login").branch == "fix/login"


@pytest.mark.parametrize(
    "wanted", ["../x", "-x", "a..b", "a b", "x.lock", "HEAD", "x" * 300, "main", "", None]
)
def test_no_branch_a_bad_one_or_the_default_one_gives_one_of_our_own(repo: Repo, wanted: str | None) -> None:
    assert repo.worktrees().add_for_task(key(), branch=wanted).branch == "feature/task-12"


@pytest.mark.fault("task-id-reused")
def test_the_id_of_a_deleted_task_does_not_lead_to_its_branch(repo: Repo) -> None:
    worktrees = repo.worktrees()
    old = worktrees.add_for_task(key(12, "2026-01-01"))
    commit = repo.commit({"old.txt": "old"}, at=old.path)
    repo.write({"left.txt": "left"}, at=old.path)
    new = worktrees.add_for_task(key(12, "2026-02-02"))
    assert (new.path, new.branch, new.existed) == (old.path, "feature/task-12-2", False)
    assert not (new.path / "old.txt").exists()
    assert repo.git("rev-parse", "feature/task-12") == commit
    assert len(repo.refs("refs/hpm/salvage/")) == 1
    assert worktrees.add_for_task(TaskKey("another-board", 12, "2026-02-02")).branch == "feature/task-12-3"


def test_a_task_finds_its_branch_again_after_its_worktree_went(repo: Repo) -> None:
    worktrees = repo.worktrees()
    first = worktrees.add_for_task(key())
    commit = repo.commit({"work.txt": "x"}, at=first.path)
    worktrees.detach(first.path)
    worktrees.remove(first.path)
    again = worktrees.add_for_task(key(), branch="main")
    assert (again.branch, again.base, again.existed) == ("feature/task-12", commit, False)
    repo.git("checkout", "-q", "--detach", cwd=again.path)
    worktrees.remove(again.path)
    repo.git("checkout", "-q", "feature/task-12")
    beside = worktrees.add_for_task(key())
    assert (beside.branch, beside.base) == ("feature/task-12-2", commit)


def test_a_branch_made_by_hand_is_recognised_without_the_tasks_date(repo: Repo) -> None:
    worktrees = repo.worktrees()
    by_hand = worktrees.add_for_task(TaskKey(BOARD, 12, ""))
    assert worktrees.add_for_task(key()).existed
    worktrees.remove(by_hand.path)
    assert worktrees.add_for_task(key()).branch == by_hand.branch


def test_a_branch_called_feature_leaves_room_elsewhere(repo: Repo) -> None:
    repo.git("branch", "feature")
    repo.git("branch", "a/b")
    worktrees = repo.worktrees()
    assert worktrees.add_for_task(key(1)).branch == "hpm/task-1"
    assert worktrees.add_for_task(key(2), branch="a").branch == "hpm/task-2"
    assert worktrees.add_for_task(key(3), branch="a/b/c").branch == "hpm/task-3"


def test_the_base_counts_where_nothing_else_tells(repo: Repo) -> None:
    first = repo.git("rev-parse", "HEAD")
    repo.git("branch", "develop")
    repo.commit({"later.txt": "x"})
    worktrees = repo.worktrees()
    assert worktrees.add_for_task(key(1), branch="main", base="develop").base == first
    assert worktrees.add_for_task(key(2), branch="main").base == repo.git("rev-parse", "main")
    assert worktrees.add_for_task(key(3), base=first[:12]).base == first
    with pytest.raises(Misconfigured):
        worktrees.add_for_task(key(4), base="nope")
    assert "task-4" not in repo.git("branch", "--list", "--all")


def test_a_repository_without_a_commit_says_so(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as caught:
        make_repo(tmp_path / "unborn", files={}).worktrees().add_for_task(key())
    assert "no commit" in caught.value.message


def test_a_detached_checkout_without_a_known_branch_is_built_upon(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "odd", branch="develop")
    repo.git("checkout", "-q", "--detach")
    assert repo.worktrees().add_for_task(key()).base == repo.git("rev-parse", "HEAD")


def test_worktrees_can_live_elsewhere(repo: Repo, tmp_path: Path) -> None:
    worktrees = repo.worktrees(base=tmp_path / "far" / "away")
    added = worktrees.add_for_task(key())
    assert added.path == tmp_path / "far" / "away" / "task-12"
    assert worktrees.add_for_task(key()).existed
    assert worktrees.remove(added.path).kept_because is None
    assert worktrees_of(repo) == []


def test_a_review_stands_at_the_reported_commit(repo: Repo) -> None:
    worktrees = repo.worktrees()
    commit = repo.commit({"done.txt": "x"})
    repo.commit({"later.txt": "x"})
    added = worktrees.add_for_review(key(), commit=commit[:12])
    assert added.path.name == "task-12-qa"
    assert (added.branch, added.base) == (None, commit)
    assert (added.path / "done.txt").exists()
    assert not (added.path / "later.txt").exists()
    assert worktrees.add_for_review(key(), commit=commit).existed
    assert worktrees.add_for_task(key()).path != added.path


def test_a_second_review_stands_at_the_newer_commit(repo: Repo) -> None:
    worktrees = repo.worktrees()
    first = worktrees.add_for_review(key(), commit=repo.git("rev-parse", "HEAD"))
    repo.write({"notes.txt": "findings"}, at=first.path)
    commit = repo.commit({"fixed.txt": "x"})
    second = worktrees.add_for_review(key(), commit=commit)
    assert (second.path, second.base, second.existed) == (first.path, commit, False)
    assert not (second.path / "notes.txt").exists()
    [ref] = repo.refs("refs/hpm/salvage/")
    assert repo.show(f"{ref}:notes.txt") == "findings"


def test_a_review_without_a_commit_takes_the_branch(repo: Repo) -> None:
    repo.git("branch", "done")
    assert repo.worktrees().add_for_review(key(), commit=None, branch="done").base == repo.git(
        "rev-parse", "done"
    )


@pytest.mark.parametrize(
    ("commit", "branch"), [("1" * 40, "main"), (None, "nope"), (None, None), ("--all", None)]
)
def test_work_that_is_not_here_cannot_be_reviewed(repo: Repo, commit: str | None, branch: str | None) -> None:
    with pytest.raises(NotFound) as caught:
        repo.worktrees().add_for_review(key(), commit=commit, branch=branch)
    assert "task 12" in caught.value.message
    assert worktrees_of(repo) == []


def test_a_freed_worktree_is_put_back_on_its_branch(repo: Repo) -> None:
    worktrees = repo.worktrees()
    added = worktrees.add_for_task(key())
    worktrees.detach(added.path)
    worktrees.detach(added.path)
    assert repo.git("branch", "--show-current", cwd=added.path) == ""
    repo.write({"left.txt": "x"}, at=added.path)
    again = worktrees.add_for_task(key())
    assert again.existed
    assert repo.git("branch", "--show-current", cwd=added.path) == "feature/task-12"
    assert (again.path / "left.txt").exists()


def test_a_freed_worktree_whose_branch_went_on_is_made_anew(repo: Repo) -> None:
    worktrees = repo.worktrees()
    added = worktrees.add_for_task(key())
    worktrees.detach(added.path)
    repo.write({"left.txt": "x"}, at=added.path)
    repo.git("branch", "-q", "-f", "feature/task-12", repo.commit({"more.txt": "x"}))
    again = worktrees.add_for_task(key())
    assert (again.path, again.existed) == (added.path, False)
    assert (again.path / "more.txt").exists()
    [ref] = repo.refs("refs/hpm/salvage/")
    assert repo.show(f"{ref}:left.txt") == "x"


def test_a_half_made_worktree_is_made_again(repo: Repo) -> None:
    worktrees = repo.worktrees()
    path = repo.root / ".worktrees" / "task-12"
    reason = registration.reason_for(key())
    repo.git("branch", "feature/task-12")
    repo.git(
        "worktree", "add", "-q", "--no-checkout", "--lock", "--reason", reason, str(path), "feature/task-12"
    )
    added = worktrees.add_for_task(key())
    assert (added.path, added.branch, added.existed) == (path, "feature/task-12", False)
    assert repo.git("status", "--short", cwd=path) == ""
    assert repo.refs("refs/hpm/salvage/") == {}


def test_an_unfinished_worktree_that_somebody_worked_in_is_not_thrown_away(repo: Repo) -> None:
    worktrees = repo.worktrees()
    added = worktrees.add_for_task(key())
    repo.write({"precious.txt": "x"}, at=added.path)
    (repo.root / ".git" / "worktrees" / "task-12" / registration.MARK).unlink()
    assert not worktrees.add_for_task(key()).existed
    [ref] = repo.refs("refs/hpm/salvage/")
    assert repo.show(f"{ref}:precious.txt") == "x"


def test_a_worktree_whose_directory_vanished_is_made_again(repo: Repo) -> None:
    worktrees = repo.worktrees()
    added = worktrees.add_for_task(key())
    repo.write({"staged.txt": "staged"}, at=added.path)
    repo.git("add", "staged.txt", cwd=added.path)
    added.path.rename(repo.root.parent / "gone")
    again = worktrees.add_for_task(key())
    assert (again.path, again.branch, again.existed) == (added.path, "feature/task-12", False)
    [ref] = repo.refs("refs/hpm/salvage/")
    assert "staged" in repo.git("log", "-p", "--format=%s", ref, "--not", "main")


@pytest.mark.parametrize("kind", ["empty", "full", "file", "link"])
def test_what_stands_in_the_way_is_moved_aside_never_deleted(repo: Repo, tmp_path: Path, kind: str) -> None:
    path = repo.root / ".worktrees" / "task-12"
    path.parent.mkdir()
    if kind == "file":
        path.write_text("precious", encoding="utf-8")
    elif kind == "link":
        (tmp_path / "target").mkdir()
        path.symlink_to(tmp_path / "target")
    else:
        path.mkdir()
        if kind == "full":
            (path / "precious.txt").write_text("precious", encoding="utf-8")
    added = repo.worktrees().add_for_task(key())
    assert added.path == path
    assert path.is_dir()
    assert not path.is_symlink()
    kept = list((path.parent / "kept").glob("*")) if kind != "empty" else []
    assert len(kept) == (0 if kind == "empty" else 1)
    if kind == "full":
        assert (kept[0] / "precious.txt").read_text(encoding="utf-8") == "precious"


def test_a_persons_worktree_is_left_alone(repo: Repo) -> None:
    path = repo.root / ".worktrees" / "task-12"
    repo.git("worktree", "add", "-q", "-b", "mine", str(path))
    with pytest.raises(CannotCreate) as caught:
        repo.worktrees().add_for_task(key())
    assert "no task owns" in caught.value.message
    with pytest.raises(NotFound):
        repo.worktrees().remove(path)
    assert worktrees_of(repo) == [str(path)]


def test_a_rewritten_pointer_is_restored_when_work_goes_on(repo: Repo) -> None:
    worktrees = repo.worktrees()
    added = worktrees.add_for_task(key())
    (added.path / ".git").write_text("gitdir: /nonexistent\n", encoding="utf-8")
    assert worktrees.add_for_task(key()).existed
    assert repo.git("status", "--short", cwd=added.path) == ""


def test_a_failed_setup_leaves_nothing_behind(repo: Repo) -> None:
    refs = repo.refs()
    failing = repo.worktrees(setup=(sys.executable, "-c", "import sys; sys.exit('no compiler')"))
    with pytest.raises(CannotCreate) as caught:
        failing.add_for_task(key())
    assert "no compiler" in caught.value.message
    assert "exited 1" in caught.value.message
    assert worktrees_of(repo) == []
    assert repo.refs() == refs
    with pytest.raises(CannotCreate):
        repo.worktrees(
            setup=(sys.executable, "-c", "import time; time.sleep(600)"), setup_timeout=0.5
        ).add_for_task(key())
    assert worktrees_of(repo) == []
    assert repo.refs() == refs


def test_setup_runs_in_the_new_worktree_without_our_secrets(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADLESS_PM_API_KEY", "topsecret")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "topsecret too")
    code = "import os, json; json.dump(dict(os.environ), open('.env.json', 'w'))"
    repo.commit({".gitignore": ".env.json\n"})
    worktrees = repo.worktrees(setup=(sys.executable, "-c", code))
    worktrees.run_id = "run-of-task-12"
    added = worktrees.add_for_task(key())
    seen = (added.path / ".env.json").read_text(encoding="utf-8")
    assert "topsecret" not in seen
    assert "run-of-task-12" in seen
    assert worktrees.remove(added.path).salvage is None


def test_ignored_files_are_copied_and_nothing_else(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "outside.env").write_text("outside", encoding="utf-8")
    repo.commit(
        {".gitignore": "*.env\nprivate/\nlinked\n", ".worktreeinclude": "*.env\n# a comment\nprivate/\n"}
    )
    repo.write({"a.env": "A", "deep/b.env": "B", "private/c": "C", "private/d": "D", "plain.txt": "P"})
    (repo.root / "a.env").chmod(0o600)
    (repo.root / "l.env").symlink_to(tmp_path / "outside.env")
    (repo.root / "linked").symlink_to(tmp_path)
    os.mkfifo(repo.root / "fifo.env")
    worktrees = repo.worktrees(copy=("linked/*", "../*.env", "plain.txt"))
    added = worktrees.add_for_task(key())
    there = {str(path.relative_to(added.path)) for path in added.path.rglob("*") if path.name != ".git"}
    assert {"a.env", "deep/b.env", "private/c", "private/d"} <= there
    assert not {"l.env", "linked", "fifo.env", "plain.txt", "outside.env"} & there
    assert (added.path / "a.env").stat().st_mode & 0o777 == 0o600
    assert worktrees.remove(added.path).archive is None


def test_a_copied_file_that_the_agent_changed_is_kept(repo: Repo) -> None:
    repo.commit({".gitignore": "*.env\n"})
    repo.write({"a.env": "A", "b.env": "B"})
    worktrees = repo.worktrees(copy=("*.env",))
    added = worktrees.add_for_task(key())
    repo.write({"a.env": "changed"}, at=added.path)
    removed = worktrees.remove(added.path)
    assert removed.archive is not None
    assert removed.salvage is not None


def test_copies_never_go_through_a_link_in_the_worktree(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (repo.root / "conf").symlink_to(tmp_path / "victim")
    repo.git("add", "conf")
    repo.git("commit", "-q", "-m", "a link")
    (repo.root / "conf").unlink()
    repo.commit({".gitignore": "*.env\n"})
    repo.write({"conf/a.env": "A"})
    added = repo.worktrees(copy=("*.env",)).add_for_task(key())
    assert (added.path / "conf").is_symlink()
    assert list((tmp_path / "victim").iterdir()) == []


ADD_ONE = """
import sys
from hpm_tools.worktree.task_key import TaskKey
from hpm_tools.worktree.repository import Repository
from hpm_tools.worktree.worktrees import GitWorktree
number = int(sys.argv[2])
worktrees = GitWorktree(Repository.discover(sys.argv[1]))
added = worktrees.add_for_task(TaskKey("board", number, "now"), branch="main")
(added.path / "work.txt").write_text(str(number))
if number % 2:
    worktrees.remove(added.path)
    added = worktrees.add_for_task(TaskKey("board", number, "now"), branch="main")
print(added.branch)
"""


@pytest.mark.fault("many-worktrees")
def test_twelve_at_once_all_succeed_and_leave_no_half_made_branch(repo: Repo) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ADD_ONE, str(repo.root), str(number)], stdout=subprocess.PIPE, text=True
        )
        for number in range(1, 13)
    ]
    said = [process.communicate(timeout=600)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * 12
    assert said == [f"feature/task-{number}" for number in range(1, 13)]
    assert len(worktrees_of(repo)) == 12
    assert len(repo.refs("refs/heads/")) == 13
    assert len(repo.refs("refs/hpm/salvage/")) == 6
    assert len(repo.refs("refs/hpm/owner/")) == 12


def test_a_worktree_whose_path_holds_a_newline_is_in_nobodys_way(repo: Repo, tmp_path: Path) -> None:
    repo.git("worktree", "add", "-q", "-b", "odd", str(tmp_path / "a\nb"))
    assert repo.worktrees().add_for_task(key(), branch="odd").branch == "feature/task-12"
