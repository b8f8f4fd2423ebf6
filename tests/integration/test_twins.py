"""One agent id on two hosts, that is with two state directories: one of them stops before both work."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import pytest

from hpm_tools.process.identity import start_time
from tests.support.fixtures_board import EITHER_BOARD
from tests.support.repos import make_repo
from tests.support.runners import Desk, script
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001")
WRITE = {"write": ["half.txt", "hello\n"]}
LONG = 30.0


@pytest.fixture
def desk(tmp_path: Path, board: BoardUnderTest) -> Iterator[Desk]:
    """With either board: the real one moves last_seen by registering alone, ours by every act."""
    desk = Desk(tmp_path / "desk", board, make_repo(tmp_path / "repo").root)
    desk.change(heartbeat_interval=0.2)
    yield desk
    desk.end_agents()


def other_host(desk: Desk, place: Path, heartbeat: float) -> Desk:
    """The same agent's desk on another host."""
    other = Desk(place / "other", desk.board, make_repo(place / "other-repo").root)
    other.change(heartbeat_interval=heartbeat)
    return other


def begin_long_work(desk: Desk, place: Path) -> int:
    acts = (WRITE, {"wait_for": str(place / "go-on")})
    return int(desk.board.add_task(description=script(*acts), complexity="major")["id"])


def wait_for_work(desk: Desk, number: int) -> None:
    half = desk.repo / ".worktrees" / f"task-{number}" / "half.txt"
    wait_until(half.exists, what="the agent's work")


@pytest.mark.fault("A4")
def test_a_runner_whose_agent_is_registered_elsewhere_stops_salvages_and_tells_nothing(
    desk: Desk, tmp_path: Path
) -> None:
    number = begin_long_work(desk, tmp_path)
    with desk.start(*RUN) as runner:
        wait_for_work(desk, number)
        told = desk.board.statuses(number)
        give_up = time.monotonic() + LONG
        while runner.process.poll() is None and time.monotonic() < give_up:
            desk.board.register("dev_001")  # another host's
            time.sleep(0.3)
        (agent,) = desk.agent_starts()
        kept = desk.git("for-each-ref", "--format=%(refname)", "refs/hpm/salvage", "refs/heads").split()
        ended = (runner.process.poll(), start_time(agent[0]), desk.board.statuses(number) == told)
    assert (*ended, any("salvage" in ref for ref in kept)) == (75, None, True, True), runner.output()


@pytest.mark.fault("A4")
@pytest.mark.parametrize(
    ("board_mode", "copied"),
    [
        pytest.param(mode, copied, id=f"{mode}-{'copied' if copied else 'own'} state", marks=marks)
        for mode, copied, marks in (
            ("exact", True, ()),
            ("upstream", False, ()),
            ("exact", False, pytest.mark.extended),
            ("upstream", True, pytest.mark.extended),
        )
    ],
    indirect=["board_mode"],
)
def test_a_start_beside_a_working_twin_takes_nothing(desk: Desk, tmp_path: Path, copied: bool) -> None:
    number = begin_long_work(desk, tmp_path)
    other = other_host(desk, tmp_path, heartbeat=30.0)
    if copied:
        desk.hpm("pm.register", "--agent-id", "dev_001", "--role", "backend_dev")
        for part in desk.state.iterdir():
            if part.is_dir():
                shutil.copytree(part, other.state / part.name, dirs_exist_ok=True)
    with desk.start(*RUN, "--single-task") as runner:
        wait_for_work(desk, number)
        second = desk.board.add_task(description=script(WRITE), complexity="major")["id"]
        done = other.hpm(*RUN, "--single-task")
        (tmp_path / "go-on").touch()
        wait_until(lambda: runner.process.poll() is not None, what="the end of the first runner")
        found = (done.returncode, runner.process.poll(), desk.board.task(second)["status"])
    assert found == (75, 0, "created"), done.stderr + runner.output()


@pytest.mark.fault("A4")
def test_an_idle_runner_takes_nothing_once_its_agent_was_registered_elsewhere(desk: Desk) -> None:
    desk.change(heartbeat_interval=60)
    with desk.start(*RUN) as runner:
        wait_until(lambda: "dev_001 works as" in runner.output(), what="the start")
        time.sleep(0.01)
        desk.board.register("dev_001")  # another host's
        number = desk.board.add_task(description=script(WRITE), complexity="major")["id"]
        wait_until(
            lambda: runner.process.poll() is not None or desk.board.task(number)["status"] == "dev_done",
            PATIENCE,
            "an end",
        )
        found = (runner.process.poll(), desk.board.task(number)["status"])
    assert found == (75, "created"), runner.output()


def test_a_twin_that_came_and_went_is_waited_for_and_no_more(desk: Desk, tmp_path: Path) -> None:
    held = desk.board.add_task()["id"]
    desk.board.register("dev_001")
    desk.board.lock(held, "dev_001")
    desk.board.put(held, "dev_001", "under_work")
    desk.change(heartbeat_interval=1)
    number = desk.board.add_task(description=script(WRITE), complexity="major")["id"]
    done = desk.hpm(*RUN, "--single-task")
    assert "to see whether it works elsewhere" in done.stderr
    assert (done.returncode, desk.board.task(number)["status"]) == (0, "dev_done"), done.stderr


def test_take_over_skips_the_wait(desk: Desk) -> None:
    held = desk.board.add_task()["id"]
    desk.board.register("dev_001")
    desk.board.lock(held, "dev_001")
    desk.change(heartbeat_interval=60)
    number = desk.board.add_task(description=script(WRITE), complexity="major")["id"]
    done = desk.hpm(*RUN, "--single-task", "--take-over")
    assert (done.returncode, desk.board.task(number)["status"]) == (0, "dev_done"), done.stderr


@EITHER_BOARD
def test_commands_of_the_same_state_directory_are_no_twins(desk: Desk, tmp_path: Path) -> None:
    number = begin_long_work(desk, tmp_path)
    other = desk.board.add_task("pending")["id"]
    person = ("--agent-id", "dev_001")
    with desk.start(*RUN, "--single-task") as runner:
        wait_for_work(desk, number)
        for turn in range(3):
            desk.hpm("pm.register", *person, "--role", "backend_dev")
            desk.hpm("pm.comment", *person, "--task-id", other, "--comment", f"seen {turn}")
            desk.hpm("pm.status", *person, "--task-id", other, "--status", "pending", "--notes", str(turn))
        (tmp_path / "go-on").touch()
        assert runner.wait() == 0, runner.output()
    assert desk.board.task(number)["status"] == "dev_done"


def test_a_board_that_heard_of_the_agent_earlier_than_we_know_names_no_twin(
    desk: Desk, tmp_path: Path
) -> None:
    number = begin_long_work(desk, tmp_path)
    with desk.start(*RUN, "--single-task") as runner:
        wait_for_work(desk, number)
        # The board was restarted on an older copy of its database, say: what it says of us is older than we know.
        desk.board.sql(
            "UPDATE agents SET last_seen = datetime(last_seen, '-1 hour') WHERE agent_id = 'dev_001'"
        )
        (tmp_path / "go-on").touch()
        assert runner.wait() == 0, runner.output()
    assert desk.board.task(number)["status"] == "dev_done"
