"""An agent in the shared checkout deletes or replaces the repository itself: its task parks, and no other one goes in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.runners import Desk, script
from tests.support.waiting import wait_until


def seldom(value: object) -> Any:
    return pytest.param(value, marks=pytest.mark.extended)


RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001")


def add(desk: Desk, *lines: str, complexity: str = "minor") -> int:
    act = {"run": ["sh", "-ec", "\n".join(lines)]}
    return int(desk.board.add_task(description=script(act), complexity=complexity)["id"])


@pytest.mark.fault("D4b")
@pytest.mark.parametrize("act", ["rm -rf .git", *map(seldom, ("mv .git hidden", "rm -rf .git; touch .git"))])
def test_task_whose_agent_took_the_repository_away_is_parked(desk: Desk, act: str) -> None:
    task = add(desk, act, "echo work > work.txt")
    done = desk.run_single()
    found = (desk.board.task(task)["status"], desk.record())
    assert found == ("pending", None), done.stdout + done.stderr


@pytest.mark.fault("D4b")
def test_no_task_starts_in_a_repository_that_an_agent_made_in_its_place(desk: Desk) -> None:
    """The next one would start from a commit of the agent's, and be reported from a repository that nobody has."""
    add(desk, "rm -rf .git", "git init -q -b main", "git add -A", "git commit -q -m Mine")
    second = add(desk, "echo work > work.txt", complexity="major")
    with desk.start(*RUN, "--max-tasks", "2") as runner:
        wait_until(
            lambda: "no task is taken" in runner.output() or desk.board.task(second)["status"] == "dev_done",
            what="a pause or another task",
        )
    assert desk.board.task(second)["status"] == "created", runner.output()
