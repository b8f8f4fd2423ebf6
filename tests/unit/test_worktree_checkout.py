"""Work in the checkout itself: put back as it was found, and nothing lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpm_tools.errors import CannotCreate, NotFound
from hpm_tools.worktree import restore
from hpm_tools.worktree.checkout import clean_to_head, switch_back
from hpm_tools.worktree.git import Git, GitError
from hpm_tools.worktree.salvage import salvage
from tests.support.repos import Repo, key, make_repo

if TYPE_CHECKING:
    from pathlib import Path


def mess(repo: Repo) -> None:
    repo.write({"README.md": "changed\n", "new/deep/a.txt": "a", "staged.txt": "s"})
    repo.git("add", "staged.txt")
    (repo.root / "src" / "shop.py").unlink()


def test_salvaged_changes_are_cleaned_away_and_come_back(repo: Repo) -> None:
    mess(repo)
    before = repo.repository().dirty()
    ref = salvage(repo.root, agent_id="dev_001", task_id=3)
    assert ref is not None
    clean_to_head(repo.root)
    assert repo.git("status", "--short") == ""
    assert not (repo.root / "new").exists()
    assert not (repo.root / "staged.txt").exists()
    assert sorted(restore.apply(repo.root, ref)) == sorted(before)
    assert sorted(repo.repository().dirty()) == sorted(before)
    assert sorted(restore.apply(repo.root, ref)) == sorted(before)
    clean_to_head(repo.root)
    assert repo.git("status", "--short") == ""


def test_what_is_in_no_salvage_is_never_cleaned_away(repo: Repo) -> None:
    mess(repo)
    with pytest.raises(CannotCreate):
        clean_to_head(repo.root)
    salvage(repo.root, agent_id="dev_001", task_id=3)
    repo.write({"later.txt": "x"})
    with pytest.raises(CannotCreate):
        clean_to_head(repo.root)
    assert (repo.root / "new" / "deep" / "a.txt").exists()


def test_cleaning_goes_on_where_it_was_killed(repo: Repo) -> None:
    mess(repo)
    ref = salvage(repo.root, agent_id="dev_001", task_id=3)
    repo.git("reset", "-q", "--hard")
    assert salvage(repo.root, agent_id="dev_001", task_id=3) == ref
    clean_to_head(repo.root)
    assert repo.git("status", "--short") == ""


def test_ignored_files_and_repositories_inside_stay(repo: Repo) -> None:
    repo.commit({".gitignore": ".env\n"})
    repo.write({".env": "K=1", "a.txt": "a", ".bashrc": ""})
    (repo.root / ".bashrc").chmod(0o444)
    inner = make_repo(repo.root / "inner")
    salvage(repo.root)
    clean_to_head(repo.root)
    assert (repo.root / ".env").exists()
    assert inner.git("log", "--format=%s") == "the beginning"
    assert (repo.root / ".bashrc").exists()
    assert repo.git("status", "--short").split() == ["??", ".bashrc", "??", "inner/"]


def test_a_clean_checkout_needs_nothing(repo: Repo) -> None:
    clean_to_head(repo.root)


def test_files_before_the_first_commit_are_cleaned_away_too(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "unborn", files={})
    repo.write({"a.txt": "a", "b.txt": "b"})
    repo.git("add", "a.txt")
    salvage(repo.root)
    clean_to_head(repo.root)
    assert not (repo.root / "a.txt").exists()
    assert not (repo.root / "b.txt").exists()


def test_the_tasks_branch_is_checked_out_and_back(repo: Repo) -> None:
    worktrees = repo.worktrees()
    branch = worktrees.switch_checkout(key(), branch="main")
    assert branch == "feature/task-12"
    assert repo.git("branch", "--show-current") == branch
    repo.commit({"a.txt": "a"})
    switch_back(repo.root, "main")
    assert repo.git("branch", "--show-current") == "main"
    assert worktrees.switch_checkout(key()) == branch
    assert (repo.root / "a.txt").exists()
    switch_back(repo.root, None)
    assert repo.git("branch", "--show-current") == branch


def test_a_switch_that_would_lose_something_is_refused(repo: Repo) -> None:
    repo.git("branch", "other")
    repo.commit({"README.md": "new\n"})
    repo.write({"README.md": "mine\n"})
    with pytest.raises(GitError):
        switch_back(repo.root, "other")
    assert (repo.root / "README.md").read_text(encoding="utf-8") == "mine\n"


def test_switching_to_a_branch_with_the_name_of_a_file(repo: Repo) -> None:
    repo.git("branch", "src")
    switch_back(repo.root, "src")
    assert repo.git("branch", "--show-current") == "src"


def test_restoring_into_a_checkout_with_other_changes_is_refused(repo: Repo) -> None:
    mess(repo)
    ref = salvage(repo.root)
    assert ref is not None
    clean_to_head(repo.root)
    repo.write({"mine.txt": "mine"})
    with pytest.raises(CannotCreate) as caught:
        restore.apply(repo.root, ref)
    assert "mine.txt" in caught.value.message
    assert repo.git("status", "--short") == "?? mine.txt"


def test_restoring_onto_a_head_that_went_on(repo: Repo) -> None:
    repo.write({"README.md": "changed\n", "a.txt": "a"})
    ref = salvage(repo.root)
    assert ref is not None
    clean_to_head(repo.root)
    repo.commit({"elsewhere.txt": "x"})
    assert sorted(restore.apply(repo.root, ref)) == ["README.md", "a.txt"]
    assert (repo.root / "elsewhere.txt").exists()
    clean_again = salvage(repo.root)
    assert clean_again is not None
    clean_to_head(repo.root)
    repo.commit({"README.md": "somebody's\n"})
    with pytest.raises(CannotCreate) as caught:
        restore.apply(repo.root, ref)
    assert "README.md" in caught.value.message
    assert repo.git("status", "--short") == ""
    path, _ = repo.worktrees().restore(ref)
    assert (path / "README.md").read_text(encoding="utf-8") == "changed\n"


def test_restore_does_not_write_through_a_link(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    repo.write({"conf/a.txt": "a"})
    ref = salvage(repo.root)
    assert ref is not None
    clean_to_head(repo.root)
    (repo.root / "conf").symlink_to(tmp_path / "victim")
    with open(repo.root / ".git" / "info" / "exclude", "a", encoding="utf-8") as file:
        file.write("conf\n")
    with pytest.raises(CannotCreate):
        restore.apply(repo.root, ref)
    assert list((tmp_path / "victim").iterdir()) == []


def test_a_salvage_is_found_by_either_name(repo: Repo) -> None:
    repo.write({"a.txt": "a"})
    ref = salvage(repo.root, agent_id="dev_001", task_id=3)
    assert ref is not None
    git = Git(repo.root)
    found = restore.find(git, ref.removeprefix("refs/hpm/salvage/"))
    assert (found.ref, found.agent_id, found.task_id, found.branch) == (ref, "dev_001", "3", "main")
    assert not found.merged
    for nothing in ("refs/hpm/salvage/dev_001", "nope", "refs/heads/main"):
        with pytest.raises(NotFound):
            restore.find(git, nothing)
    clean_to_head(repo.root)
    repo.git("merge", "-q", ref)
    assert restore.find(git, ref).merged
