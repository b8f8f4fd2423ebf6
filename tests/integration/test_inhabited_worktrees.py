"""A worktree in which the agent of a dead run lives on: nobody removes it or works there before that is over."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from hpm_tools.process.identity import start_time
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

RUN = ("run", "--role", "backend_dev", "--single-task", "--agent-id")


@pytest.fixture
def left(desk: Desk, tmp_path: Path) -> tuple[int, int, Path]:
    """A task whose runner was killed, the number of the agent that works on, and the file that it wrote."""
    acts = ({"write": ["a.txt", "a\n"]}, {"wait_for": str(tmp_path / "go")}, {"write": ["b.txt", "b\n"]})
    task = int(desk.board.add_task(description=script(*acts), complexity="major")["id"])
    written = desk.repo / ".worktrees" / f"task-{task}" / "a.txt"
    with desk.start(*RUN, "dev_001") as runner:
        wait_until(written.exists, what="the agent's file")
        runner.signal(signal.SIGKILL)
        runner.wait()
    return task, desk.agent_starts()[0][0], written


def lose_record(desk: Desk) -> None:
    (desk.state / "locks" / "agent-dev_001.lock").unlink()


@pytest.mark.fault("A1")
def test_removal_ends_the_agent_of_a_dead_runner_first(desk: Desk, left: tuple[int, int, Path]) -> None:
    task, agent, _ = left
    removed = desk.hpm("worktree.remove", "--task-id", task)
    assert removed.returncode == 0, removed.stderr
    assert start_time(agent) is None


@pytest.mark.fault("A1")
def test_removal_is_refused_while_an_agent_without_a_record_works_there(
    desk: Desk, left: tuple[int, int, Path]
) -> None:
    _, agent, written = left
    lose_record(desk)
    removed = desk.hpm("worktree.remove", "--path", written.parent)
    found = (written.exists(), removed.returncode, f"process {agent}" in removed.stderr)
    assert found == (True, 75, True), removed.stderr


@pytest.mark.fault("A1")
@pytest.mark.parametrize("by", ["runner", "command"])
def test_no_second_agent_starts_where_one_without_a_record_works(
    desk: Desk, left: tuple[int, int, Path], by: str
) -> None:
    task, agent, written = left
    lose_record(desk)
    desk.board.sql(
        "UPDATE tasks SET locked_by = NULL, locked_at = NULL, status = 'created' WHERE id = ?", task
    )
    if by == "runner":
        desk.hpm(*RUN, "dev_002")
        holder = None
    else:
        desk.board.register("dev_002")
        desk.hpm("lock", "--agent-id", "dev_002", "--task-id", task, "--owner-pid", os.getpid())
        desk.hpm("claude.exec", "--agent-id", "dev_002", "--cwd", written.parent)
        holder = "dev_002"
    row = desk.board.task(task)
    assert [pid for pid, *_ in desk.agent_starts()] == [agent]
    assert (row["status"], row["locked_by"]) == ("created", holder)
