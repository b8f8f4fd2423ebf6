"""Hooks and settings of submodules and of people's other worktrees: an agent's are told with the way back."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import make_repo
from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

WRITE = {"write": ["work.txt", "work"]}
PLANT = {
    "hooks of a submodule": [
        "echo 'echo gotcha' >$g/modules/libs/one/hooks/post-checkout",
        "echo 'echo gotcha' >>$g/modules/libs/one/hooks/pre-push",
    ],
    "settings of a submodule in a submodule": [
        "git config --file $g/modules/libs/one/modules/two/config core.fsmonitor 'echo gotcha'",
        "rm $g/modules/libs/one/modules/two/hooks/pre-push",
    ],
    "settings of another worktree": ["git config --file $g/worktrees/mine/config.worktree core.pager gotcha"],
}


@pytest.fixture
def desk(tmp_path: Path, exact_board: BoardUnderTest) -> Desk:
    repo = make_repo(tmp_path / "repo")
    repo.git("config", "extensions.worktreeConfig", "true")
    repo.git("worktree", "add", "-q", "-b", "mine", str(tmp_path / "mine"))
    top = repo.root / ".git"
    for name in ("modules/libs/one", "modules/libs/one/modules/two"):
        shutil.copytree(make_repo(tmp_path / name).root / ".git", top / name)
        (top / name / "hooks").mkdir(exist_ok=True)
        (top / name / "hooks/pre-push").write_text("exit 0\n", encoding="utf-8")
    return Desk(tmp_path / "desk", exact_board, repo.root)


def steering(desk: Desk) -> dict[str, str]:
    top = desk.repo / ".git"
    found = [
        *top.glob("modules/**/hooks/*"),
        *top.glob("modules/**/config"),
        *top.glob("worktrees/*/config*"),
    ]
    return {str(path.relative_to(top)): path.read_text(encoding="utf-8") for path in found}


@pytest.mark.fault("F2")
@pytest.mark.parametrize("where", PLANT)
def test_what_would_run_in_peoples_git_elsewhere_is_told_and_put_back_as_told(where: str, desk: Desk) -> None:
    before = steering(desk)
    acts = ["g=$(cd $(git rev-parse --git-common-dir) && pwd)", *PLANT[where]]
    desk.board.add_task(
        description=script({"run": ["sh", "-ec", "\n".join(acts)]}, WRITE), complexity="major"
    )
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    assert steering(desk) != before
    for command in re.findall(r"to undo it: (.*)$", done.stdout, re.MULTILINE):
        subprocess.run(["sh", "-c", command], cwd=desk.repo, check=True)
    assert steering(desk) == before, done.stdout
