"""The runner and the real Claude CLI: resumed where it was killed, and sure of its login and its limits."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from hpm_tools.executor.scratch import scratch_path
from hpm_tools.process.identity import start_time
from hpm_tools.process.tree import carriers
from tests.support.fixtures_desk import ALLOW_PYTHON, COMMIT, SPIN, WRITE
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.fixtures_desk import ClaudeDesk


@pytest.mark.fault("killed-at-work")
def test_killed_in_the_middle_it_resumes_the_session_in_the_same_worktree(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    desk.change(claude=ALLOW_PYTHON)
    desk.play_turns([WRITE, SPIN], [COMMIT])
    task = desk.board.add_task(title="Say hello. MARK-7", complexity="major")
    worktree = desk.repo / ".worktrees" / f"task-{task['id']}"
    with desk.begin() as first:
        wait_until((worktree / "started.txt").exists, what="the agent's command")
        first.signal(signal.SIGKILL)
        first.wait()
    record = desk.record()
    assert record is not None
    orphans = carriers(record["run_id"])
    assert [int(desk.agents[0][0])] == [
        orphan.pid for orphan in orphans if orphan.pid == record["child"]["pid"]
    ]
    assert len(orphans) > 1, "the agent's command was to outlive its runner"
    scratch = scratch_path(record["run_id"], desk.environment)
    assert scratch.exists()

    refused = desk.hpm(
        *("run", "--role", "backend_dev", "--agent-id", "dev_001"), HEADLESS_PM_CLAUDE_PATH="/nowhere/claude"
    )
    assert refused.returncode == 78, refused.stderr
    assert not [orphan for orphan in orphans if start_time(orphan.pid) == orphan.start]
    assert not scratch.exists()
    assert desk.board.task(task["id"])["locked_by"] == "dev_001"

    done = desk.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert not desk.overlaps.exists()
    assert desk.sessions() == [("--session-id", record["session_id"]), ("--resume", record["session_id"])]
    for earlier in ("MARK-7", "hello.txt", "The runner was interrupted"):
        assert earlier in desk.prompts()
    assert str(worktree) in desk.prompts()
    assert desk.board.statuses(task["id"]) == ["pending", "created", "under_work", "dev_done"]
    assert desk.git("show", f"feature/task-{task['id']}:hello.txt") == "hello"
    assert desk.record() is None


REFUSALS = {
    "401": ({"status": 401}, 77),
    "404": ({"status": 404, "message": "model: sonnet"}, 78),
}


@pytest.mark.fault("agent-cannot-serve")
@pytest.mark.parametrize(("fail", "code"), REFUSALS.values(), ids=REFUSALS)
def test_a_refused_login_or_model_gives_the_task_back_and_stops_the_runner(
    claude_desk: ClaudeDesk, fail: dict[str, object], code: int
) -> None:
    desk = claude_desk
    desk.change(auth_patience=0)
    desk.play({"fail": fail})
    task, other = desk.board.add_task(complexity="major"), desk.board.add_task(complexity="major")
    with desk.begin() as runner:
        assert runner.wait() == code, runner.output()
    for one in (task, other):
        found = desk.board.task(one["id"])
        assert (found["status"], found["locked_by"]) == ("created", None)
    assert len(desk.agents) == 1
    assert desk.record() is None


@pytest.mark.extended
def test_asked_to_stop_it_hands_over_and_the_next_start_resumes_the_session(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    desk.play_turns([WRITE, {"hang": True}], [COMMIT])
    task = desk.board.add_task(complexity="minor")
    with desk.begin() as first:
        wait_until(lambda: len(desk.endpoint.turns) == 2, what="the agent's second turn")
        first.signal(signal.SIGTERM)
        assert first.wait() == 143, first.output()
    record = desk.record()
    assert record is not None
    assert carriers(record["run_id"]) == []
    assert desk.board.task(task["id"])["locked_by"] == "dev_001"
    done = desk.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.sessions() == [("--session-id", record["session_id"]), ("--resume", record["session_id"])]
    assert "The runner was interrupted (stopped: SIGTERM)" in desk.prompts()
    assert desk.git("show", "main:hello.txt") == "hello"
