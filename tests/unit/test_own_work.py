"""Which commits and files are a task's own, where other tasks had turns in its checkout between its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpm_tools.worktree.evidence import Snapshot, delta
from hpm_tools.worktree.own_work import Together, Turn
from tests.support.repos import Repo, make_repo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return make_repo(tmp_path / "shop")


@pytest.fixture
def snapshot(repo: Repo) -> Snapshot:
    return Snapshot.take(repo.root, "run1")


def test_only_what_lies_in_its_own_turns_is_its_work(repo: Repo, snapshot: Snapshot) -> None:
    first = repo.commit({"first.txt": "1"})
    theirs = repo.commit({"theirs.txt": "1"})
    second = repo.commit({"second.txt": "1"})
    turns = [Turn(False, first), Turn(True, theirs)]
    found = delta(repo.root, snapshot, together=Together(turns=turns))
    assert (found.commits, sorted(found.changed)) == ([first, second], ["first.txt", "second.txt"])


def test_what_it_took_back_in_a_later_turn_is_no_work(repo: Repo, snapshot: Snapshot) -> None:
    first = repo.commit({"first.txt": "1"})
    theirs = repo.commit({"theirs.txt": "1"})
    repo.git("rm", "-q", "first.txt")
    repo.git("commit", "-q", "-m", "undone")
    found = delta(repo.root, snapshot, together=Together(turns=[Turn(False, first), Turn(True, theirs)]))
    assert (len(found.commits), found.worked) == (2, False)


def test_taking_off_the_commits_of_others_is_no_work(repo: Repo, snapshot: Snapshot) -> None:
    theirs = repo.commit({"theirs.txt": "1"})
    turns = [Turn(False, snapshot.head), Turn(True, theirs)]
    repo.git("reset", "-q", "--hard", "HEAD~1")
    assert not delta(repo.root, snapshot, together=Together(turns=turns)).worked


def test_its_work_counts_though_others_rewrote_its_commit(repo: Repo, snapshot: Snapshot) -> None:
    first = repo.commit({"first.txt": "1"})
    repo.write({"theirs.txt": "1"})
    repo.git("add", "theirs.txt")
    repo.git("commit", "-q", "--amend", "-m", "both")
    found = delta(repo.root, snapshot, together=Together(turns=[Turn(False, first)]))
    assert (found.commits, found.changed) == ([], ["first.txt"])


def test_files_that_lie_there_after_anothers_turn_are_not_its_own(repo: Repo, snapshot: Snapshot) -> None:
    repo.write({"left.txt": "theirs"})
    found = delta(repo.root, snapshot, together=Together(turns=[Turn(False, snapshot.head)], ours=False))
    assert (found.dirty, found.worked) == ([], False)
