"""A task that the board says an agent of this host holds, while its record is gone: found, and put back as printed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


RUN = ("run", "--role", "backend_dev", "--single-task", "--agent-id", "dev_001")


def lose_record(desk: Desk) -> int:
    """A task whose runner was killed and whose record was deleted then, as with a state directory that was lost."""
    task = desk.board.add_task(description=script({"write": ["a.txt", "a\n"]}), complexity="major")["id"]
    log = str(desk.directory / "points")
    with desk.start(*RUN, HPM_FAILPOINT="starting.after:kill", HPM_FAILPOINT_LOG=log) as runner:
        wait_until(lambda: runner.process.poll() is not None, what="the end of the runner")
    (desk.state / "locks" / "agent-dev_001.lock").unlink()
    desk.hpm("pm.register", "--agent-id", "dev_001", "--role", "backend_dev")
    return int(task)


def follow(desk: Desk, hint: str) -> None:
    """Give the commands that ``hint`` names, one after the other."""
    for command in re.findall(r"hpm ((?:recover|unlock)(?: [-\w]+)+?)(?= takes| gives|,|;|$)", hint.strip()):
        desk.hpm(*command.split())


@pytest.mark.fault("A3")
@pytest.mark.parametrize("said_by", ["health", "unlock"])
def test_a_task_locked_by_an_agent_without_its_record_is_put_back_as_printed(
    desk: Desk, said_by: str
) -> None:
    task = lose_record(desk)
    if said_by == "health":
        checks = json.loads(desk.hpm("health", "--json").stdout)["checks"]
        hint = next((check["hint"] for check in checks if check["name"] == f"task {task}"), "")
    else:
        hint = desk.hpm("unlock", "--agent-id", "dev_001").stderr
    follow(desk, hint)
    found = (desk.board.task(task)["status"], desk.board.task(task)["locked_by"])
    assert found == ("created", None), hint


@pytest.mark.extended
def test_retry_names_the_way_for_it(desk: Desk) -> None:
    task = lose_record(desk)
    follow(desk, desk.hpm("retry", task).stderr)
    assert desk.board.task(task)["status"] == "created"


def test_a_task_that_a_runner_here_works_on_is_not_among_them(desk: Desk, tmp_path: Path) -> None:
    acts = ({"write": ["a.txt", "a\n"]}, {"wait_for": str(tmp_path / "go")})
    desk.board.add_task(description=script(*acts), complexity="major")
    with desk.start(*RUN) as runner:
        wait_until(desk.agent_starts, what="the agent")
        said = desk.hpm("health").stdout
        (tmp_path / "go").touch()
        runner.wait()
    assert "no record on this host" not in said
