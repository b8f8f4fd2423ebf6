"""Mistakes of new users, and whether the answer to each leads on: what `retry`, `health` and `worktree.restore` say."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def test_retry_of_a_task_that_an_agent_works_on_names_what_can_be_done(desk: Desk, tmp_path: Path) -> None:
    """While its runner lives neither recover nor unlock would work; once it is gone both do."""
    task = desk.board.add_task(
        description=script({"wait_for": str(tmp_path / "go")}, outcome={"status": "blocked", "summary": "x"}),
        complexity="major",
    )["id"]
    with desk.start("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task") as runner:
        wait_until(desk.agent_starts, what="the agent")
        refused = desk.hpm("retry", task)
        runner.signal(signal.SIGTERM)
        runner.wait()
    assert (refused.returncode, "unlock" in refused.stderr) == (75, False)
    assert "hpm unlock --agent-id dev_001" in desk.hpm("retry", task).stderr
    desk.board.sql("UPDATE tasks SET status = 'created' WHERE id = ?", task)
    assert "hpm unlock --agent-id dev_001" in desk.hpm("retry", task).stderr
    assert desk.hpm("unlock", "--agent-id", "dev_001").returncode == 0


def test_the_command_that_sets_another_status_works_on_a_board_that_retry_is_new_to(desk: Desk) -> None:
    task = desk.board.add_task()["id"]
    refused = desk.hpm("retry", task)
    assert refused.returncode == 3
    assert "hpm pm.register --agent-id hpm_pm --role pm" in refused.stderr
    desk.hpm("pm.register", "--agent-id", "hpm_pm", "--role", "pm")
    set_ = desk.hpm("pm.status", "--agent-id", "hpm_pm", "--task-id", task, "--status", "pending")
    assert (set_.returncode, set_.stdout.strip()) == (0, "pending")


@pytest.mark.parametrize("lacking", ["repository", "board"])
def test_health_says_once_what_several_checks_lack(desk: Desk, tmp_path: Path, lacking: str) -> None:
    given: dict[str, Any] = {"HEADLESS_PM_API_URL": "http://127.0.0.1:9"} if lacking == "board" else {}
    where = [] if lacking == "board" else ["--repo", str(tmp_path)]
    checks = json.loads(desk.hpm("health", "--json", *where, **given).stdout)["checks"]
    assert [check["name"] for check in checks if check["ok"] is False] == [lacking]


@pytest.mark.parametrize("ref", ["", "a b", "--all"])
def test_a_word_that_is_no_salvage_is_not_called_a_branch(desk: Desk, ref: str) -> None:
    refused = desk.hpm("worktree.restore", f"--ref={ref}")
    assert refused.returncode == 2
    assert "names no salvage" in refused.stderr
