"""A clone without some of its objects, whose remote cannot be reached: said by `health`, and no task pays for it."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

WORK = script({"write": ["a.txt", "a\n"]})
FILTERS = ["blob:none", "tree:0"]


@pytest.fixture
def away(desk: Desk, request: pytest.FixtureRequest) -> Path:
    """The desk's repository becomes a partial clone; `release`, which tasks start from, has a file that is not in it."""
    remote, away = desk.directory / "remote.git", desk.directory / "away.git"
    desk.git("checkout", "-q", "-b", "release")
    (desk.repo / "release").mkdir()
    (desk.repo / "release" / "notes.txt").write_text("of the release\n", encoding="utf-8")
    desk.git("add", ".")
    desk.git("commit", "-q", "-m", "Release")
    desk.git("checkout", "-q", "main")
    desk.git("clone", "-q", "--bare", str(desk.repo), str(remote))
    desk.git("-C", str(remote), "config", "uploadpack.allowFilter", "true")
    clone = desk.directory / "clone"
    desk.git("clone", "-q", "--no-local", f"--filter={request.param}", f"file://{remote}", str(clone))
    shutil.move(remote, away)
    desk.repo = clone
    desk.change(base_ref="origin/release", executor_exit_code_is_outcome=True)
    return away


@pytest.mark.fault("E4")
@pytest.mark.parametrize(
    "away",
    [FILTERS[0], *(pytest.param(kind, marks=pytest.mark.extended) for kind in FILTERS[1:])],
    indirect=True,
)
def test_task_that_needs_a_missing_object_is_given_back_with_the_reason(desk: Desk, away: Path) -> None:
    task = desk.board.add_task(description=WORK, complexity="major")["id"]
    refused = desk.run_single()
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "from promisor remote" in refused.stderr
    assert "the repository is a partial clone" in refused.stderr
    assert "fsck" not in refused.stderr
    assert desk.board.task(task)["status"] == "created"
    assert desk.agent_starts() == []
    assert desk.git("branch", "--list", "feature/*") == ""
    assert desk.git("status", "--porcelain", "--untracked-files=no") == ""

    health = desk.hpm("health").stdout
    assert "partial clone" in health
    assert "1 object of origin/release" in health

    shutil.move(away, desk.directory / "remote.git")
    command = refused.stderr.partition("uses no network; ")[2].partition(",")[0]
    fetched = subprocess.run(command.split(), cwd=desk.repo, env=desk.environment, check=False)
    if fetched.returncode:
        pytest.skip("this git cannot complete a clone: --refetch came with 2.36")
    assert "all of origin/release is here" in desk.hpm("health").stdout
    task = desk.board.add_task(description=WORK, complexity="major")["id"]
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.board.task(task)["status"] == "dev_done"


@pytest.mark.fault("E4")
@pytest.mark.parametrize("away", FILTERS[:1], indirect=True)
def test_command_that_git_breaks_off_in_is_named(desk: Desk, away: Path) -> None:
    (desk.repo / "README.md").write_text("a person's\n", encoding="utf-8")
    assert away.exists()
    desk.board.add_task(description=WORK, complexity="major")
    said = desk.run_single().stderr
    assert "no worktree for task 1: git reset: could not fetch" in said
    assert "advice" not in said


@pytest.mark.parametrize("away", FILTERS, indirect=True)
def test_partial_clone_with_all_that_a_task_starts_from_is_worked_in(desk: Desk, away: Path) -> None:
    assert away.exists()
    desk.change(base_ref="main")
    task = desk.board.add_task(description=WORK, complexity="major")["id"]
    assert "all of main is here" in desk.hpm("health").stdout
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.board.task(task)["status"] == "dev_done"
