"""Whose task it is, how often it was tried and how often it was rejected, whatever happens to the runner."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from hpm_tools.process.identity import start_time
from tests.support.fixtures_board import EITHER_BOARD
from tests.support.repos import make_repo
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest


def impatient(directory: Path, board: BoardUnderTest) -> Iterator[Desk]:
    desk = Desk(directory / "desk", board, make_repo(directory / "repo").root)
    desk.change(heartbeat_interval=0.2, retry_pause=0.2)
    yield desk
    desk.end_agents()


@pytest.fixture
def desk(tmp_path: Path, board: BoardUnderTest) -> Iterator[Desk]:
    """With either board."""
    yield from impatient(tmp_path, board)


@pytest.fixture
def exact_desk(tmp_path: Path, exact_board: BoardUnderTest) -> Iterator[Desk]:
    """For what has little to do with the board."""
    yield from impatient(tmp_path, exact_board)


@pytest.mark.fault("task-reassigned")
def test_whoever_loses_the_lock_stops_its_agent_salvages_and_tells_nothing(
    desk: Desk, tmp_path: Path
) -> None:
    never = tmp_path / "never"
    acts = ({"write": ["half.txt", "hello\n"]}, {"wait_for": str(never)})
    task = desk.board.add_task(description=script(*acts), complexity="major")
    worktree = desk.repo / ".worktrees" / f"task-{task['id']}"
    with desk.start("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task") as runner:
        wait_until((worktree / "half.txt").exists, what="the agent's work")
        desk.board.sql("UPDATE tasks SET locked_by = 'dev_999' WHERE id = ?", task["id"])
        before = desk.board.statuses(task["id"])
        assert runner.wait() == 1, runner.output()
    (agent,) = desk.agent_starts()
    assert start_time(agent[0]) is None
    found = desk.board.task(task["id"])
    assert (found["status"], found["locked_by"], found["notes"]) == ("under_work", "dev_999", None)
    assert desk.board.statuses(task["id"]) == before
    (ref,) = desk.git("for-each-ref", "--format=%(refname)", "refs/hpm/salvage").split()
    assert desk.git("show", f"{ref}:half.txt") == "hello"
    assert not worktree.exists()
    assert desk.record() is None


@EITHER_BOARD
@pytest.mark.fault("agent-crashes")
def test_attempts_survive_a_killed_runner_and_a_release(desk: Desk) -> None:
    """Four starts: the second agent is interrupted with its runner, which is no attempt that failed."""
    count = 'test $(wc -l < "$HPM_TEST_STARTS") -ne 2 || exec sleep 600'
    description = script({"run": ["sh", "-c", count]}, {"kill": 9})
    task = desk.board.add_task(description=description, complexity="major")
    with desk.start("run", "--role", "backend_dev", "--agent-id", "dev_001") as runner:
        wait_until(lambda: len(desk.agent_starts()) == 2, what="the second agent")
        runner.signal(signal.SIGKILL)
        runner.wait()
    orphan = desk.agent_starts()[1][0]
    released = desk.hpm("unlock", "--agent-id", "dev_001")
    assert released.returncode == 0, released.stderr
    assert start_time(orphan) is None, "the next to take the task would share it with the orphan"
    assert desk.board.task(task["id"])["status"] == "created"

    done = desk.run_single("backend_dev", "dev_002")
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(desk.agent_starts()) == 4
    found = desk.board.task(task["id"])
    assert found["status"] == "pending"
    assert "3 attempts are used up" in found["notes"]


@EITHER_BOARD
@pytest.mark.fault("rejected-thrice")
def test_the_third_rejection_by_qa_parks_the_task_with_its_findings(desk: Desk) -> None:
    rejected = {"status": "rejected", "summary": "it is wrong", "findings": ["line 3 has no test"]}
    description = script({"write": ["a.txt", "a\n"]}, as_qa={"outcome": rejected})
    task = desk.board.add_task(description=description, complexity="major")
    desk.board.register("qa_000", "qa")
    desk.board.register("dev_000")
    for _ in range(2):
        for agent, status in (("dev_000", "dev_done"), ("qa_000", "created")):
            assert desk.board.lock(task["id"], agent).status == 200
            desk.board.put(task["id"], agent, "under_work")
            desk.board.put(task["id"], agent, status)
    assert desk.run_single().returncode == 0
    done = desk.run_single("qa", "qa_001")
    assert done.returncode == 1, done.stdout + done.stderr
    found = desk.board.task(task["id"])
    assert (found["status"], found["locked_by"]) == ("pending", None)
    for said in ("rejected 3 times: it is wrong", "line 3 has no test", "set it to created"):
        assert said in found["notes"]


def test_killed_in_the_checkout_it_goes_on_with_its_own_changes(exact_desk: Desk) -> None:
    desk = exact_desk
    spin_first = 'test $(wc -l < "$HPM_TEST_STARTS") -ne 1 || exec sleep 600'
    description = script({"write": ["half.txt", "hello\n"]}, {"run": ["sh", "-c", spin_first]})
    task = desk.board.add_task(description=description, complexity="minor")
    with desk.start("run", "--role", "backend_dev", "--agent-id", "dev_001") as runner:
        wait_until((desk.repo / "half.txt").exists, what="the agent's work")
        runner.signal(signal.SIGKILL)
        runner.wait()
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.board.task(task["id"])["status"] == "dev_done"
    assert desk.git("show", "main:half.txt") == "hello"
    assert desk.git("for-each-ref", "refs/hpm/salvage") == ""


def test_a_timeout_that_made_progress_costs_no_attempt(exact_desk: Desk) -> None:
    desk = exact_desk
    desk.change(claude_timeout=10, max_attempts=2)
    steps = 'n=$(wc -l < "$HPM_TEST_STARTS"); touch "step$n"; test "$n" -ge 3 || exec sleep 600'
    task = desk.board.add_task(description=script({"run": ["sh", "-c", steps]}), complexity="major")
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(desk.agent_starts()) == 3
    assert desk.board.task(task["id"])["status"] == "dev_done"
