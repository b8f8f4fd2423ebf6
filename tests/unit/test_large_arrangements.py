"""People's own arrangements that are larger than what a snapshot holds, or lie in other files, are left as they are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from hpm_tools.worktree import git as safe_git
from hpm_tools.worktree import hidden, overlooked
from hpm_tools.worktree.copies import Copies
from hpm_tools.worktree.evidence import Snapshot, delta
from hpm_tools.worktree.git import Git
from hpm_tools.worktree.kept_inside import refuse_kept_inside
from tests.support.repos import key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


def flags(repo: Repo) -> set[str]:
    return {line[0] for line in repo.git("ls-files", "-v").splitlines()}


def test_flags_on_more_files_than_a_snapshot_holds_stay(repo: Repo) -> None:
    repo.commit({f"many/{number}.txt": "x" for number in range(overlooked.MOST + 1)})
    listed = "\n".join(repo.git("ls-files").splitlines()) + "\n"
    repo.git("update-index", "--assume-unchanged", "--stdin", stdin=listed)
    snapshot = Snapshot.take(repo.root, "run1")
    (repo.root / "many" / "7.txt").write_text("the operator's\n", encoding="utf-8")
    found = delta(repo.root, Snapshot.from_json(snapshot.to_json()))
    assert (found.dirty, list(found.tampering), flags(repo)) == ([], [], {"h"})


def test_a_flag_on_a_file_that_is_too_large_to_be_read_stays(repo: Repo) -> None:
    repo.git("update-index", "--skip-worktree", "README.md")
    os.truncate(repo.root / "README.md", 3 << 30)
    snapshot = Snapshot.take(repo.root, "run1")
    found = delta(repo.root, Snapshot.from_json(snapshot.to_json()))
    assert (found.dirty, list(found.tampering)) == ([], [])
    assert repo.git("ls-files", "-v", "README.md") == "S README.md"


@pytest.mark.parametrize("set_by_agent", ["user.name", "core.ignoreCase"])
def test_a_setting_from_an_included_file_still_counts_once_an_agent_sets_another(
    repo: Repo, tmp_path: Path, set_by_agent: str
) -> None:
    included, copies = tmp_path / "included", tmp_path / "copies"
    included.write_text("[core]\n\tfileMode = false\n", encoding="utf-8")
    copies.mkdir()
    repo.git("config", "--unset", "core.fileMode")
    repo.git("config", "include.path", str(included))
    (repo.root / "README.md").chmod(0o755)
    snapshot = Snapshot.take(repo.root, "run1", copies=copies)
    repo.git("config", set_by_agent, "true")
    try:
        assert delta(repo.root, snapshot).dirty == []
    finally:
        safe_git.pinned.clear()


def test_alternates_that_name_each_other_are_read_once(repo: Repo) -> None:
    place = repo.worktrees().add_for_task(key()).path
    objects = repo.root / ".git" / "objects"
    (objects / "info" / "alternates").write_text("../objects\n" * 500, encoding="utf-8")
    refuse_kept_inside(Git(place).place)


def test_what_the_users_own_rules_ignore_is_not_named_once_an_agent_changes_the_repositorys(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "git").mkdir(parents=True)
    (tmp_path / "config" / "git" / "ignore").write_text("*.swp\n", encoding="utf-8")
    repo.write({"a.swp": "", "new.txt": ""})
    git, copies = Git(repo.root), Copies(tmp_path / "copies")
    (tmp_path / "copies").mkdir()
    marks = Snapshot.take(repo.root, "run1", copies=tmp_path / "copies").marks
    with (repo.root / ".git" / "info" / "exclude").open("a", encoding="utf-8") as file:
        file.write("new.txt\n")
    assert hidden.ignored_since(git, marks, copies) == ["new.txt"]
