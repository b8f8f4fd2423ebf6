"""Outages: usage limits, overloaded services and dead networks cost waiting, never work or attempts."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.state.limits import Limits
from hpm_tools.state.paths import StateDir
from tests.support.fixtures_desk import COMMIT, TOKEN, WRITE, events, wait_for_event
from tests.support.messages_endpoint import MessagesEndpoint
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.fixtures_desk import ClaudeDesk

Json = dict[str, Any]


def refused(desk: ClaudeDesk) -> list[Json]:
    """The turns that the endpoint answered with an error."""
    return [turn for turn in desk.endpoint.turns if "fail" in turn["answer"]]


@pytest.mark.fault("usage-window")
def test_a_usage_limit_is_waited_out_with_lock_and_session(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    desk.login = {**TOKEN, "CLAUDE_CODE_MAX_RETRIES": "3"}
    desk.play(WRITE, {"fail": {"limit": {"kind": "five_hour", "resets_in": 3}}, **COMMIT})
    task = desk.board.add_task(complexity="major")
    with desk.begin("--single-task") as runner:
        resets_at = wait_for_event(runner, "limit_wait")["until"]
        found = desk.board.task(task["id"])
        assert (found["status"], found["locked_by"]) == ("under_work", "dev_001")
        assert runner.wait() == 0, runner.output()
    assert desk.board.statuses(task["id"]) == ["pending", "created", "under_work", "dev_done"]
    assert [turn["time"] >= resets_at for turn in desk.endpoint.turns].count(False) == 2
    assert len(refused(desk)) == 1
    (_, session), *rest = desk.sessions()
    assert rest == [("--resume", session)]
    assert not desk.tasklog().get("failures")


@pytest.mark.fault("usage-window")
@pytest.mark.extended
def test_a_known_limit_holds_back_every_runner_of_the_account_and_the_next_start(
    claude_desk: ClaudeDesk,
) -> None:
    desk = claude_desk
    desk.login = TOKEN
    desk.play(WRITE, {"fail": {"limit": {"kind": "five_hour", "resets_in": 3600}}, **COMMIT})
    task = desk.board.add_task(complexity="major")
    with desk.begin() as first:
        resets_at = wait_for_event(first, "limit_wait")["until"]
        other = desk.board.add_task(complexity="major")
        first.signal(signal.SIGKILL)
        first.wait()
    with desk.begin("--max-tasks", 1) as again, desk.begin("--max-tasks", 1, agent="dev_002") as second:
        for runner in (again, second):
            assert wait_for_event(runner, "limit_wait")["until"] == resets_at
        assert desk.board.task(task["id"])["locked_by"] == "dev_001"
        assert desk.board.task(other["id"])["locked_by"] is None
        assert len(desk.agents) == len(refused(desk)) == 1

        desk.play(WRITE, COMMIT)
        Limits(StateDir(str(desk.state))).clear("default")
        for runner in (again, second):
            runner.signal(signal.SIGTERM)
            assert runner.wait() == 143
    with desk.begin("--max-tasks", 1) as again, desk.begin("--max-tasks", 1, agent="dev_002") as second:
        for runner in (again, second):
            assert runner.wait() == 0, runner.output()
    assert {desk.board.task(one["id"])["status"] for one in (task, other)} == {"dev_done"}
    session = desk.sessions()[0][1]
    assert ("--resume", session) in desk.sessions()
    assert len(desk.agents) == 3


def test_a_single_task_is_not_begun_while_the_limit_holds(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    desk.login = TOKEN
    desk.play({"fail": {"limit": {"kind": "five_hour", "resets_in": 3600}}})
    desk.board.add_task(complexity="major")
    other = desk.board.add_task(complexity="major")
    with desk.begin() as runner:
        wait_for_event(runner, "limit_wait")
        done = desk.run(agent="dev_002")
        assert done.returncode == 75, done.stdout + done.stderr
        assert "usage limit" in done.stderr
        assert desk.board.task(other["id"])["locked_by"] is None
        runner.signal(signal.SIGTERM)
        assert runner.wait() == 143
    assert len(refused(desk)) == 1


FAULTS: dict[str, Json] = {
    "529": {"fail": {"status": 529, "times": 2}},
    "500": {"fail": {"status": 500, "times": 2}},
}


@pytest.mark.fault("service-fails")
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(FAULTS["529"], id="529"),
        pytest.param(FAULTS["500"], id="500", marks=pytest.mark.extended),
    ],
)
def test_a_fault_of_the_service_is_outlived_in_the_same_session(claude_desk: ClaudeDesk, fault: Json) -> None:
    desk = claude_desk
    desk.play(WRITE, {**fault, **COMMIT})
    task = desk.board.add_task(complexity="major")
    done = desk.run("--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.board.task(task["id"])["status"] == "dev_done"
    (first, session), *rest = desk.sessions()
    assert (first, rest) == ("--session-id", [("--resume", session)] * len(rest))
    pauses = events(done.stdout, "backing_off")
    assert len(pauses) == len(rest) >= 1
    assert desk.tasklog().get("failures", 0) == 0


@pytest.mark.fault("service-fails")
def test_a_dead_network_is_waited_for(claude_desk: ClaudeDesk, closed_port: int) -> None:
    desk = claude_desk
    desk.url = f"http://127.0.0.1:{closed_port}"
    task = desk.board.add_task(complexity="major")
    with desk.begin("--single-task") as runner:
        wait_until(lambda: len(events(runner.output(), "backing_off")) >= 2, what="two failures")
        assert desk.board.task(task["id"])["locked_by"] == "dev_001"
        with MessagesEndpoint({"rules": [{"steps": [WRITE, COMMIT]}]}, port=closed_port):
            assert runner.wait() == 0, runner.output()
    assert len({session for _, session in desk.sessions()}) == 1
    assert desk.tasklog().get("failures", 0) == 0


def test_a_lock_lost_while_a_limit_is_waited_out_ends_the_wait(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    desk.change(heartbeat_interval=0.2)
    desk.login = TOKEN
    desk.play({"fail": {"limit": {"kind": "five_hour", "resets_in": 3600}}})
    task = desk.board.add_task(complexity="major")
    with desk.begin("--single-task") as runner:
        wait_for_event(runner, "limit_wait")
        desk.board.sql("UPDATE tasks SET locked_by = 'dev_999' WHERE id = ?", task["id"])
        assert runner.wait() == 1, runner.output()
    assert events(runner.output(), "task_finished")[0]["ending"] == "lost"
    assert desk.board.task(task["id"])["locked_by"] == "dev_999"


def test_commands_are_held_back_by_a_known_limit_too(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    desk.play(WRITE, COMMIT)
    task = desk.board.add_task(complexity="minor")
    limits = Limits(StateDir(str(desk.state)))
    limits.hold("default", time.time() + 3600, "five_hour")
    desk.board.register("dev_001")
    taken = desk.hpm("lock", "--agent-id", "dev_001", "--task-id", task["id"])
    assert taken.returncode == 0, taken.stderr
    token = taken.stdout.strip()
    for _ in range(2):
        for command in ("claude.exec", "finish"):
            answer = desk.hpm(command, "--agent-id", "dev_001", "--token", token)
            assert answer.returncode == 75, answer.stdout + answer.stderr
            assert "usage limit" in answer.stdout + answer.stderr
    assert desk.agents == []
    limits.clear("default")
    for command in ("claude.exec", "finish", "unlock"):
        answer = desk.hpm(command, "--agent-id", "dev_001", "--token", token)
        assert answer.returncode == 0, answer.stdout + answer.stderr
    assert desk.board.task(task["id"])["status"] == "dev_done"
    assert len(desk.agents) == 1
