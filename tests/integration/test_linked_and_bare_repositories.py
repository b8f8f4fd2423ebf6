"""A checkout whose .git is a link, and a bare repository with worktrees beside it: the start says what is the matter."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

WORK = script({"write": ["a.txt", "a\n"]})


def git(where: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=where, check=True, capture_output=True)


@pytest.mark.fault("E3")
@pytest.mark.parametrize("name", ["repository.git", "other/.git"])
def test_link_for_the_git_directory_is_named_with_a_command_that_mends_it(desk: Desk, name: str) -> None:
    dot_git, away = desk.repo / ".git", desk.directory / name
    away.parent.mkdir(exist_ok=True)
    shutil.move(dot_git, away)
    dot_git.symlink_to(away)
    task = desk.board.add_task(description=WORK, complexity="major")["id"]
    refused = desk.run_single()
    assert refused.returncode == 78, refused.stdout + refused.stderr
    assert f"{dot_git} is a symbolic link to {away}" in refused.stderr
    assert desk.board.task(task)["status"] == "created"
    mend = refused.stderr.partition("a file that names it is: ")[2].partition("\n")[0]
    subprocess.run(["sh", "-c", mend], check=True)
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.board.task(task)["status"] == "dev_done"


@pytest.mark.fault("E3")
@pytest.mark.parametrize("name", [".bare", ".git"])
@pytest.mark.parametrize("inside", ["", "trunk"])
def test_bare_repository_with_worktrees_is_refused_as_bare(desk: Desk, name: str, inside: str) -> None:
    project = desk.directory / "project"
    project.mkdir()
    git(project, "clone", "-q", "--bare", str(desk.repo), name)
    if name != ".git":
        (project / ".git").write_text(f"gitdir: ./{name}\n", encoding="utf-8")
    git(project, "worktree", "add", "-q", "-b", "trunk", "trunk")
    desk.repo = project / inside
    task = desk.board.add_task(description=WORK, complexity="major")["id"]
    refused = desk.run_single()
    assert refused.returncode == 78, refused.stdout + refused.stderr
    assert f"the repository {project / name} is bare" in refused.stderr
    assert desk.board.task(task)["status"] == "created"


def test_checkout_that_an_agent_called_bare_is_worked_in(desk: Desk) -> None:
    desk.git("config", "core.bare", "true")
    task = desk.board.add_task(description=WORK, complexity="major")["id"]
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.board.task(task)["status"] == "dev_done"
