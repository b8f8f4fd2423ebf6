"""Tasks that are under work though nobody holds them: named to people, and put back by `retry`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.repos import make_repo
from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

AGENT = ("--agent-id", "dev_001")


@pytest.fixture
def make_desk(tmp_path: Path) -> Callable[[BoardUnderTest], Desk]:
    return lambda board: Desk(tmp_path / "desk", board, make_repo(tmp_path / "repo").root)


@pytest.fixture
def desk(make_desk: Callable[[BoardUnderTest], Desk], exact_board: BoardUnderTest) -> Desk:
    return make_desk(exact_board)


def left_under_work(board: BoardUnderTest, status: str = "created", **fields: Any) -> int:
    """A task that another host's agent took from ``status`` before that host died and its lock expired."""
    number = int(board.add_task(status, **fields)["id"])
    board.register("far_001")
    board.lock(number, "far_001")
    board.put(number, "far_001", "under_work")
    board.sql("UPDATE tasks SET locked_by = NULL, locked_at = NULL WHERE id = ?", number)
    return number


def status(desk: Desk, number: int) -> Any:
    return desk.board.task(number)["status"]


@pytest.mark.fault("A3")
@pytest.mark.parametrize("taken_from", ["created", "dev_done"])
def test_retry_sets_the_status_that_the_task_was_taken_with(
    make_desk: Callable[[BoardUnderTest], Desk], board: BoardUnderTest, taken_from: str
) -> None:
    desk = make_desk(board)
    number = left_under_work(board, taken_from)
    desk.hpm("retry", "--task-id", number)
    assert (status(desk, number), board.task(number)["locked_by"]) == (taken_from, None)


@pytest.mark.fault("A3")
def test_retry_finds_the_last_taking_below_a_long_changelog(desk: Desk) -> None:
    number = left_under_work(desk.board, "dev_done")
    other = desk.board.add_task()["id"]
    desk.board.put(number, "far_001", "under_work")  # told twice: it was under_work before that one
    for turn in range(60):
        desk.board.put(other, "pm1", "approved" if turn % 2 else "created")
    desk.hpm("retry", "--task-id", number)
    assert status(desk, number) == "dev_done"


@pytest.mark.fault("A3")
def test_a_task_that_was_put_back_is_worked_to_its_end(desk: Desk) -> None:
    number = left_under_work(desk.board, description=script({"write": ["a.txt", "a\n"]}), complexity="major")
    desk.hpm("retry", "--task-id", number)
    desk.hpm("run", *AGENT, "--role", "backend_dev", "--single-task")
    assert status(desk, number) == "dev_done"


@pytest.mark.fault("A3")
def test_health_and_report_name_such_tasks_and_no_other(desk: Desk) -> None:
    number = left_under_work(desk.board, title="Left by a dead host")
    held = desk.board.add_task(title="Held elsewhere")["id"]
    desk.board.lock(held, "far_001")
    desk.board.put(held, "far_001", "under_work")
    checks = json.loads(desk.hpm("health", "--json").stdout)["checks"]
    told = desk.hpm("report").stdout
    assert f"#{held}" not in told
    named = [check["hint"] for check in checks if "held by nobody" in check["text"]]
    in_health = [f"hpm retry {number} " in hint for hint in named]
    assert (in_health, f"#{number} Left by a dead host" in told) == ([True], True)


def test_a_task_with_a_record_on_this_host_is_left_to_recover_and_unlock(desk: Desk) -> None:
    desk.board.register("dev_001")
    task = desk.board.add_task()
    assert desk.hpm("lock", *AGENT, "--task-id", task["id"]).returncode == 0
    desk.board.put(task["id"], "dev_001", "under_work")
    desk.board.sql("UPDATE tasks SET locked_by = NULL WHERE id = ?", task["id"])
    refused = desk.hpm("retry", task["id"])
    assert (refused.returncode, status(desk, task["id"])) == (75, "under_work")
    assert "hpm unlock --agent-id dev_001" in refused.stderr
    assert "hpm retry" not in desk.hpm("health").stdout


def test_a_task_that_an_agent_holds_is_not_put_back(desk: Desk) -> None:
    number = left_under_work(desk.board)
    desk.board.lock(number, "far_001")
    refused = desk.hpm("retry", number)
    assert (refused.returncode, status(desk, number)) == (75, "under_work")
    assert "held by far_001" in refused.stderr


def test_where_the_changelog_does_not_tell_the_status_has_to_be_given(desk: Desk) -> None:
    number = left_under_work(desk.board)
    desk.board.sql("DELETE FROM changelog")
    refused = desk.hpm("retry", number)
    assert (refused.returncode, status(desk, number)) == (65, "under_work")
    assert f"hpm retry {number} --status created" in refused.stderr
    assert desk.hpm("retry", number, "--status", "dev_done").stdout.strip() == "dev_done"
    assert desk.hpm("retry", number).returncode == 3


def test_an_interrupted_retry_is_gone_on_with(desk: Desk) -> None:
    number = left_under_work(desk.board)
    desk.board.register("hpm_pm", "pm")
    desk.board.lock(number, "hpm_pm")
    assert desk.hpm("retry", number).returncode == 0
    assert (status(desk, number), desk.board.task(number)["locked_by"]) == ("created", None)
