"""A runner killed after its agent deleted `.git`: the next start names the task that stays, and both ways out work."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task")


def begin(desk: Desk, tmp_path: Path, *named: object) -> int:
    """The task of a runner that was killed after its agent did away with `.git`; it has done its work."""
    gone = tmp_path / "gone"
    away = {"run": ["mv", ".git", str(tmp_path / "kept")]}
    again = {"run": ["sh", "-c", f"touch {gone}; [ -e .git ] || exec sleep 600"]}
    task = desk.board.add_task(description=script(away, again), complexity="minor")
    with desk.start(*RUN, *named) as runner:
        wait_until(gone.exists, what="the agent")
        runner.signal(signal.SIGKILL)
        runner.wait()
    return int(task["id"])


@pytest.mark.parametrize("named", [False, True])
def test_next_start_names_the_task_and_the_way_out(desk: Desk, tmp_path: Path, *, named: bool) -> None:
    repo = ("--repo", str(desk.repo)) if named else ()
    task = begin(desk, tmp_path, *repo)
    done = desk.hpm(*RUN, *repo)
    assert done.returncode == 78
    assert f"task {task} stays with dev_001, its work is in {desk.repo}" in done.stderr
    assert f"put {desk.repo}/.git back" in done.stderr
    assert f"then: hpm {shlex.join(RUN[:5])} --single-task --repo {desk.repo}" in done.stderr
    found = re.search(r"give the task back: hpm (.+)$", done.stderr, re.MULTILINE)
    assert found, done.stderr
    assert desk.hpm(*shlex.split(found[1])).returncode == 0
    assert desk.board.task(task)["locked_by"] is None


def test_a_repository_around_the_lost_one_is_not_named_as_the_place_to_go_on(
    desk: Desk, tmp_path: Path, repo: Repo
) -> None:
    task = begin(desk, tmp_path)
    subprocess.run(["git", "init", "-q", str(repo.root.parent)], check=True)
    done = desk.hpm(*RUN)
    assert (done.returncode, desk.board.task(task)["locked_by"]) == (78, "dev_001")
    assert f"put {repo.root}/.git back" in done.stderr
    assert f"--repo {repo.root.parent}\n" not in done.stderr
