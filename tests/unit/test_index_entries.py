"""Submodules are found in every form in which git may write its index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpm_tools.worktree import index_entries
from hpm_tools.worktree.git import Git
from tests.support.repos import make_repo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FORMS = {
    "version 2": [("update-index", "--index-version=2")],
    "version 4": [("update-index", "--index-version=4")],
    "split": [("update-index", "--split-index")],
    "sparse": [
        ("commit", "-q", "-m", "A submodule"),
        ("sparse-checkout", "set", "--cone", "--sparse-index", "near"),
    ],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_submodules_are_found_in_each_form_of_the_index(
    tmp_path: Path, form: Sequence[Sequence[str]]
) -> None:
    repo = make_repo(tmp_path / "repo", files={"near/a": "a\n", "far/b": "b\n"})
    commit = repo.git("rev-parse", "HEAD")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{commit},far/away")
    for words in form:
        repo.git(*words)
    assert index_entries.submodules(Git(repo.root)) == {"far/away": commit}


def test_an_index_without_submodules_costs_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = make_repo(tmp_path / "repo")
    git = Git(repo.root)
    monkeypatch.setenv("PATH", "")
    assert index_entries.submodules(git) == {}
