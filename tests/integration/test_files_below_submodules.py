"""Files below the path of a submodule that is not checked out are in no repository: where they are is said before the report."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import make_repo
from tests.support.runners import script

if TYPE_CHECKING:
    from tests.support.repos import Repo
    from tests.support.runners import Desk

PATH = "vendor/lib"
BELOW = {"write": [f"{PATH}/build/output.txt", "built"]}
BESIDE = {"write": ["beside.txt", "beside"]}


@pytest.fixture
def repo(repo: Repo) -> Repo:
    """A repository with a submodule that was never checked out."""
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{repo.git('rev-parse', 'HEAD')},{PATH}")
    repo.git("commit", "-q", "-m", "A submodule")
    (repo.root / PATH).mkdir(parents=True)
    return repo


def notes_of(desk: Desk, complexity: str, *acts: dict[str, list[str]]) -> str:
    task = desk.board.add_task(description=script(*acts), complexity=complexity)["id"]
    done = desk.run_single()
    found = desk.board.task(task)
    assert found["status"] == "pending", done.stdout + done.stderr
    return str(found["notes"])


@pytest.mark.fault("W4")
@pytest.mark.parametrize("acts", [(BELOW,), (BELOW, BESIDE)], ids=["below", "below-and-beside"])
def test_notes_name_the_checkout_in_which_such_files_stay(
    desk: Desk, acts: tuple[dict[str, list[str]], ...]
) -> None:
    notes = notes_of(desk, "minor", *acts)
    assert f"files below {PATH}, a submodule that is not there, were changed while the agent worked" in notes
    assert f"uncommitted files in {desk.repo}" in notes
    assert (desk.repo / PATH / "build" / "output.txt").read_text(encoding="utf-8") == "built"
    assert desk.git("status", "--short") == ""


@pytest.mark.fault("W4")
@pytest.mark.parametrize("acts", [(BELOW,), (BELOW, BESIDE)], ids=["below", "below-and-beside"])
def test_notes_name_the_salvage_that_has_such_files_of_a_worktree(
    desk: Desk, acts: tuple[dict[str, list[str]], ...]
) -> None:
    notes = notes_of(desk, "major", *acts)
    (ref,) = set(re.findall(r"uncommitted files kept as (refs/hpm/salvage/\S+)", notes))
    assert not (desk.repo / ".worktrees").exists() or not list((desk.repo / ".worktrees").glob("task-*"))
    done = desk.hpm("worktree.restore", "--ref", ref)
    assert done.returncode == 0, done.stderr
    assert (Path(done.stdout.strip()) / PATH / "build" / "output.txt").read_text(encoding="utf-8") == "built"


@pytest.mark.fault("W4")
def test_files_below_a_submodule_that_the_agent_only_staged_are_not_lost(desk: Desk) -> None:
    stage = {"run": ["sh", "-c", 'git update-index --add --cacheinfo "160000,$(git rev-parse HEAD),other"']}
    notes = notes_of(desk, "minor", stage, {"write": ["other/new.txt", "new"]})
    assert f"uncommitted files in {desk.repo}" in notes
    assert (desk.repo / "other" / "new.txt").read_text(encoding="utf-8") == "new"


@pytest.mark.fault("W4")
def test_submodule_that_the_agent_only_added_parks_the_minor_task(desk: Desk, tmp_path: Path) -> None:
    lib = make_repo(tmp_path / "lib")
    add = ["git", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(lib.root), "added"]
    notes = notes_of(desk, "minor", {"run": add}, {"write": ["added/new.txt", "new"]})
    assert re.search(r"the submodule added was changed, which is kept as refs/hpm/salvage/\S+", notes)
    assert (desk.repo / "added" / "new.txt").read_text(encoding="utf-8") == "new"
