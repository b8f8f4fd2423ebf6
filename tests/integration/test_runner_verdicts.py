"""What the runner makes of the real CLI's endings: parked with the reason, or tried again in its session."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.support.fixtures_desk import COMMIT, WRITE, events
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.fixtures_desk import ClaudeDesk

WORDS = {"text": "I am finished."}
HANG = {"hang": True}


@pytest.mark.fault("exit-code-0")
def test_a_denied_tool_and_nothing_done_parks_the_task_though_the_cli_ends_with_0(
    claude_desk: ClaudeDesk,
) -> None:
    desk = claude_desk
    desk.change(claude={"sandbox": False})
    desk.play({"bash": "python3 -c 'print(1)'"})
    task = desk.board.add_task(complexity="minor")
    done = desk.run("--json")
    assert done.returncode == 1, done.stdout + done.stderr
    assert [event["verdict"] for event in events(done.stdout, "agent_ended")] == ["denied"]
    found = desk.board.task(task["id"])
    assert (found["status"], found["locked_by"]) == ("pending", None)
    assert "parked by dev_001: a tool that it needed was denied" in found["notes"]
    assert "Bash: python3 -c 'print(1)'" in found["notes"]
    assert "set it to created to have it taken up again" in found["notes"]
    assert len(desk.agents) == 1


@pytest.mark.fault("P2")
def test_nothing_done_parks_the_task_and_no_change_needed_does_not(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    idle = desk.board.add_task(complexity="minor", title="IDLE")
    fine = desk.board.add_task(complexity="minor", title="FINE")
    no_change = {"status": "done", "summary": "it was there already", "no_change": True}
    rules = [
        {"match": "title: IDLE", "steps": []},
        {"match": "title: FINE", "steps": [{"outcome": no_change}]},
    ]
    desk.endpoint.play({"rules": rules})
    with desk.begin("--max-tasks", 2) as runner:
        assert runner.wait() == 0, runner.output()
    assert [event["verdict"] for event in events(runner.output(), "agent_ended")] == ["nothing_done", "done"]
    found = desk.board.task(idle["id"])
    assert found["status"] == "pending"
    assert 'no changes: the agent reported "done" but the branch is unchanged' in found["notes"]
    assert desk.board.task(fine["id"])["status"] == "dev_done"
    assert "it was there already" in desk.board.task(fine["id"])["notes"]


@pytest.mark.extended
def test_a_killed_agent_is_resumed_twice_and_then_parked(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    desk.play(WRITE, HANG)
    task = desk.board.add_task(complexity="major")
    with desk.begin("--single-task") as runner:
        for number in (1, 2, 3):
            wait_until(partial(is_hanging, desk, number), what=f"agent {number} at work")
            os.kill(int(desk.agents[-1][0]), signal.SIGKILL)
        assert runner.wait() == 1, runner.output()
    assert [event["verdict"] for event in events(runner.output(), "agent_ended")] == ["crashed"] * 3
    (_, session), *rest = desk.sessions()
    assert rest == [("--resume", session)] * 2
    found = desk.board.task(task["id"])
    assert found["status"] == "pending"
    assert "3 attempts are used up" in found["notes"]
    assert desk.git("show", f"feature/task-{task['id']}:hello.txt") == "hello"
    assert not desk.overlaps.exists()


def is_hanging(desk: ClaudeDesk, times: int) -> bool:
    """Whether so many turns of agents have been left without an answer."""
    return len([turn for turn in desk.endpoint.turns if "hang" in turn["answer"]]) == times


@pytest.mark.extended
def test_a_silent_agent_is_restarted_in_its_session(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    desk.change(claude_stall_timeout=20, max_attempts=10)
    rules = [{"prompt": 1, "steps": [WRITE, HANG]}, {"steps": [COMMIT]}]
    desk.endpoint.play({"rules": rules})
    task = desk.board.add_task(complexity="major")
    done = desk.run("--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert events(done.stdout, "agent_ended")[0]["verdict"] == "stalled"
    assert desk.board.task(task["id"])["status"] == "dev_done"
    assert desk.git("log", "-1", "--format=%s", f"feature/task-{task['id']}") == "task 1: Add a greeting"
    (_, session), *rest = desk.sessions()
    assert set(rest) == {("--resume", session)}
    assert "went silent" in desk.prompts()
    assert not desk.overlaps.exists()
