"""`worktree.setup` fails: the task waits for it, and is not worked without what it makes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001")
DONE = script({"write": ["a.txt", "a\n"]})
TRY_LATER = 75


@pytest.fixture
def works(desk: Desk) -> Path:
    """The set-up fails until this file is there."""
    works = desk.directory / "works"
    program = f"echo x >> {desk.directory}/setups; test -e {works} || {{ echo no mirror >&2; exit 3; }}"
    desk.change(worktree={"setup": ["sh", "-c", program]})
    return works


def setups(desk: Desk) -> int:
    path = desk.directory / "setups"
    return len(path.read_text(encoding="ascii").splitlines()) if path.exists() else 0


def has_open_prompt(desk: Desk) -> bool:
    return "no mirror" in desk.hpm("prompts").stdout


@pytest.mark.usefixtures("works")
@pytest.mark.fault("E6")
@pytest.mark.parametrize("complexity", ["major", "minor"])
def test_task_is_given_back_and_never_worked_in_the_checkout(desk: Desk, complexity: str) -> None:
    (desk.repo / "README.md").write_text("a person's\n", encoding="utf-8")
    if complexity == "major":
        desk.git("checkout", "--", ".")
    task = desk.board.add_task(description=DONE, complexity=complexity)
    done = desk.run_single()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "no mirror" in done.stderr
    assert desk.board.task(task["id"])["status"] == "created"
    assert desk.agent_starts() == []
    assert desk.record() is None
    assert "task" not in desk.git("branch", "--list")


@pytest.mark.fault("E6")
def test_two_failures_in_a_row_pause_pickup_until_a_setup_succeeds(desk: Desk, works: Path) -> None:
    desk.change(retry_pause=1)
    tasks = [desk.board.add_task(description=DONE, complexity="major") for _ in range(3)]
    desk.run_single()
    desk.run_single("backend_dev", "dev_002")
    paused = desk.run_single("backend_dev", "dev_003")
    assert (paused.returncode, setups(desk)) == (TRY_LATER, 2), paused.stderr
    assert "no mirror" in paused.stderr
    assert "worktree.setup" in paused.stderr
    assert "no mirror" in desk.hpm("health").stdout

    works.touch()
    (pause,) = (desk.state / "limits").glob("setup-*.pickup")
    known = json.loads(pause.read_text(encoding="utf-8"))
    known["pause"]["due"] = 0.0
    pause.write_text(json.dumps(known), encoding="utf-8")
    done = desk.hpm(*RUN, "--max-tasks", 3)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {desk.board.task(task["id"])["status"] for task in tasks} == {"dev_done"}


@pytest.mark.usefixtures("works")
@pytest.mark.fault("E6")
def test_another_setup_ends_the_pause(desk: Desk) -> None:
    for _ in range(3):
        desk.board.add_task(description=DONE, complexity="major")
    for code in (1, 1, TRY_LATER):
        assert desk.run_single().returncode == code
    desk.change(worktree={"setup": ["true"]})
    assert desk.run_single().returncode == 0


@pytest.mark.usefixtures("works")
@pytest.mark.fault("E6")
def test_operator_is_asked_about_a_failed_setup(desk: Desk) -> None:
    desk.change(on_problem="ask")
    task = desk.board.add_task(description=DONE, complexity="major")
    with desk.start(*RUN, "--single-task") as runner:
        wait_until(lambda: has_open_prompt(desk), what="the question")
        assert desk.hpm("answer", "--agent-id", "dev_001", "--choice", "skip").returncode == 0
        assert runner.wait() == 1, runner.output()
    assert desk.board.task(task["id"])["status"] == "created"
    assert desk.agent_starts() == []
