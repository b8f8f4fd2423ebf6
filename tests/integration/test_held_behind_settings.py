"""A command that cannot read its settings says which task stays locked meanwhile, and where its work is."""

from __future__ import annotations

import re
import shlex
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task")


def begin(desk: Desk, tmp_path: Path, *acts: dict[str, object]) -> int:
    """The task of a runner that was killed in the shared checkout after its agent did ``acts``."""
    there, go = tmp_path / "there", tmp_path / "go"
    description = script(*acts, {"touch": str(there)}, {"wait_for": str(go)})
    task = desk.board.add_task(description=description, complexity="minor")
    with desk.start(*RUN) as runner:
        wait_until(there.exists, what="the agent")
        runner.signal(signal.SIGKILL)
        runner.wait()
    go.touch()
    return int(task["id"])


@pytest.mark.fault("F11")
@pytest.mark.parametrize("command", [RUN, ("unlock", "--agent-id", "dev_001")], ids=["run", "unlock"])
def test_a_trusted_file_that_the_agent_edited_is_told_with_the_task(
    desk: Desk, repo: Repo, tmp_path: Path, command: tuple[str, ...]
) -> None:
    repo.commit({"invoke.yaml": "hpm:\n  task_check_interval: 2\n"})
    assert desk.hpm("trust").returncode == 0
    task = begin(desk, tmp_path, {"write": ["invoke.yaml", "hpm:\n  task_check_interval: 3\n"]})
    done = desk.hpm(*command)
    assert (done.returncode, desk.board.task(task)["locked_by"]) == (78, "dev_001")
    said = f"task {task} stays with dev_001, its work is in {desk.repo}" in done.stderr
    found = re.search(r"then: hpm (trust .+), then: the same command$", done.stderr, re.MULTILINE)
    if found:
        assert desk.hpm(*shlex.split(found[1])).returncode == 0
        desk.hpm(*command)
    assert (said, desk.board.task(task)["locked_by"]) == (True, None), done.stderr


@pytest.mark.fault("F11")
def test_a_mistyped_setting_is_told_with_the_task(desk: Desk, tmp_path: Path) -> None:
    task = begin(desk, tmp_path, {"write": ["a.txt", "a"]})
    desk.change(task_chek_interval=3)
    done = desk.hpm(*RUN)
    assert done.returncode == 78
    assert f"task {task} stays with dev_001, its work is in {desk.repo} on main" in done.stderr, done.stderr
