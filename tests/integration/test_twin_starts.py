"""Starts and commands beside a runner of the same agent id: who waits, who is told, and who works."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.integration.test_twins import (
    LONG,
    RUN,
    WRITE,
    begin_long_work,
    desk,
    other_host,
    wait_for_work,
)
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["desk"]

WAITS = "to see whether it works elsewhere (--take-over skips this)"
HOUR = 3600.0


def held_by_nobody(desk: Desk) -> None:
    """The agent was heard a moment ago and holds a task, but lives nowhere."""
    held = desk.board.add_task()["id"]
    desk.board.register("dev_001")
    desk.board.lock(held, "dev_001")


def test_a_signal_ends_the_wait_for_a_twin(desk: Desk) -> None:
    held_by_nobody(desk)
    desk.change(heartbeat_interval=60)
    with desk.start(*RUN) as runner:
        wait_until(lambda: WAITS in runner.output(), what="the wait")
        runner.signal(signal.SIGTERM)
        assert runner.wait(LONG) == 128 + signal.SIGTERM
    assert desk.board.task(1)["locked_by"] == "dev_001"


def test_a_killed_runner_goes_on_at_once_with_its_own_state(desk: Desk, tmp_path: Path) -> None:
    desk.change(heartbeat_interval=60)
    number = begin_long_work(desk, tmp_path)
    with desk.start(*RUN, "--single-task") as runner:
        wait_for_work(desk, number)
        runner.signal(signal.SIGKILL)
        runner.process.wait()
    (tmp_path / "go-on").touch()
    done = desk.run_single()
    assert (done.returncode, desk.board.task(number)["status"]) == (0, "dev_done"), done.stderr
    assert WAITS not in done.stderr


@pytest.mark.parametrize("point", ["lease.registered", "board.before", "taking.recorded", "lease.locked"])
def test_a_runner_that_was_killed_while_it_took_a_task_goes_on_at_once(desk: Desk, point: str) -> None:
    desk.change(heartbeat_interval=60)
    number = desk.board.add_task(description=script(WRITE), complexity="major")["id"]
    killed = desk.hpm(*RUN, "--single-task", HPM_FAILPOINT=f"{point}:kill", HPM_FAILPOINT_LOG=os.devnull)
    done = desk.run_single()
    found = (killed.returncode, done.returncode, desk.board.task(number)["status"])
    assert found == (-signal.SIGKILL, 0, "dev_done"), done.stderr
    assert WAITS not in done.stderr


@pytest.mark.extended
@pytest.mark.parametrize("hours", [1, -1])
def test_a_board_whose_clock_is_an_hour_off_hides_no_twin_and_makes_none(
    desk: Desk, tmp_path: Path, hours: int
) -> None:
    desk.board.shift_clock(hours * HOUR)
    number = begin_long_work(desk, tmp_path)
    other = other_host(desk, tmp_path, heartbeat=30.0)
    with desk.start(*RUN, "--single-task") as runner:
        wait_for_work(desk, number)
        beside = other.hpm(*RUN, "--single-task")
        (tmp_path / "go-on").touch()
        assert runner.wait() == 0, runner.output()
    assert (beside.returncode, desk.board.task(number)["status"]) == (75, "dev_done"), beside.stderr


@pytest.mark.extended
def test_a_board_whose_clock_is_set_back_during_the_work_makes_no_twin(desk: Desk, tmp_path: Path) -> None:
    number = begin_long_work(desk, tmp_path)
    with desk.start(*RUN, "--single-task") as runner:
        wait_for_work(desk, number)
        before = heard(desk)
        desk.board.shift_clock(-HOUR)
        wait_until(lambda: heard(desk) < before, what="a beat by the new clock")
        (tmp_path / "go-on").touch()
        assert runner.wait() == 0, runner.output()
    assert desk.board.task(number)["status"] == "dev_done"


def heard(desk: Desk) -> str:
    (agent,) = (agent for agent in desk.board.ok("GET", "/agents") if agent["agent_id"] == "dev_001")
    return str(agent["last_seen"])


@pytest.mark.fault("A4")
def test_an_agent_that_was_heard_elsewhere_during_pre_task_is_not_started(desk: Desk, tmp_path: Path) -> None:
    desk.change(heartbeat_interval=60)
    in_hook, go_on = tmp_path / "in-hook", tmp_path / "hook-goes-on"
    (desk.quick_hooks / "pre_task.sh").write_text(
        f"touch {in_hook}; until [ -e {go_on} ]; do sleep 0.05; done\n", encoding="utf-8"
    )
    number = desk.board.add_task(description=script(WRITE), complexity="major")["id"]
    with desk.start(*RUN, "--single-task") as runner:
        wait_until(in_hook.exists, what="the hook")
        desk.board.register("dev_001")  # another host's
        go_on.touch()
        code = runner.wait()
    assert (code, desk.agent_starts(), desk.board.task(number)["status"]) == (75, [], "created")


def test_taking_over_stops_the_one_that_lives(desk: Desk, tmp_path: Path) -> None:
    number = begin_long_work(desk, tmp_path)
    other = other_host(desk, tmp_path, heartbeat=30.0)
    with desk.start(*RUN) as runner:
        wait_for_work(desk, number)
        second = desk.board.add_task(description=script(WRITE), complexity="major")["id"]
        # Of two that register at the very same moment the newcomer may be the one that sees the other.
        wait_until(lambda: other.hpm(*RUN, "--single-task", "--take-over").returncode == 0, what="its task")
        code = runner.wait()
    found = (code, desk.board.task(second)["status"], desk.board.task(number)["status"])
    assert found == (75, "dev_done", "under_work"), runner.output()


def test_a_lock_by_hand_under_the_id_of_a_runner_elsewhere_is_warned_of(desk: Desk, tmp_path: Path) -> None:
    desk.change(heartbeat_interval=60)  # no beat of the runner's falls between the lock and the look after it
    number = begin_long_work(desk, tmp_path)
    other = other_host(desk, tmp_path, heartbeat=30.0)
    by_hand = desk.board.add_task()["id"]
    lock = ("lock", "--agent-id", "dev_001", "--task-id", by_hand)
    with desk.start(*RUN, "--max-tasks", 1) as runner:
        wait_for_work(desk, number)
        first, again = other.hpm(*lock), other.hpm(*lock)
        (tmp_path / "go-on").touch()
        runner.wait()
    assert "may be at work on another host" in first.stderr
    assert (first.returncode, again.returncode, again.stderr) == (0, 0, "")
