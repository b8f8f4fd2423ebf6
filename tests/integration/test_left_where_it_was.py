"""Files that an agent left in the shared checkout and that must stay there: every ending names the checkout."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

RUN = ("run", "--role", "backend_dev", "--single-task", "--agent-id")
WRITE = {"write": ["new.txt", "new\n"]}
NOTHING = "true"
REBASE = """
git checkout -q -b side && echo a >README.md && git commit -qam a
git checkout -q main && echo b >README.md && git commit -qam b
git rebase -q side >/dev/null 2>&1; true
"""
NESTED = "git init -q inside && git -C inside commit -q --allow-empty -m x"


def add(desk: Desk, command: str, *acts: dict[str, str], status: str = "done") -> None:
    run = {"run": ["sh", "-c", command]}
    outcome = {"status": status, "summary": "as told"}
    desk.board.add_task(description=script(run, WRITE, *acts, outcome=outcome), complexity="minor")


@pytest.mark.fault("W20")
@pytest.mark.parametrize(
    ("command", "person", "left"),
    [
        pytest.param(REBASE, False, "UU README.md\n?? new.txt", id="rebase"),
        pytest.param(NESTED, False, "?? inside/", id="repository"),
        pytest.param(NOTHING, True, "?? new.txt", id="switched by a person"),
    ],
)
def test_lost_task_names_the_checkout_where_its_files_stay(
    desk: Desk, tmp_path: Path, command: str, person: bool, left: str
) -> None:
    go = tmp_path / "go"
    add(desk, command, {"wait_for": str(go)})
    with desk.start(*RUN, "dev_001") as runner:
        wait_until((desk.repo / "new.txt").exists, what="the agent's file")
        if person:
            desk.git("switch", "-q", "-c", "aside")
        desk.board.sql("UPDATE tasks SET locked_by = 'other_001'")
        go.touch()
        runner.wait()
        said = runner.output()
    stays = desk.git("status", "--porcelain").strip()
    assert (stays, f"; uncommitted files in {desk.repo}" in said) == (left, True), said


@pytest.mark.fault("W20")
def test_done_task_names_the_checkout_where_a_repository_of_its_agent_stays(desk: Desk) -> None:
    add(desk, NESTED)
    said = desk.hpm(*RUN, "dev_001").stdout
    notes = desk.board.task(1)["notes"].splitlines()
    line = f"task 1 is dev_done; uncommitted files in {desk.repo}"
    assert (desk.git("status", "--porcelain").strip(), line in said) == ("?? inside/", True), said
    assert f"uncommitted files in {desk.repo}" in notes


@pytest.mark.fault("W20")
def test_record_of_a_task_that_another_runner_has_by_now_goes_with_a_word_on_its_work(
    desk: Desk, tmp_path: Path
) -> None:
    add(desk, REBASE, status="blocked")
    log = str(tmp_path / "points")
    killed = desk.hpm(*RUN, "dev_001", HPM_FAILPOINT="reporting.before:kill", HPM_FAILPOINT_LOG=log)
    assert killed.returncode == -signal.SIGKILL
    go = tmp_path / "go"
    new = script({"wait_for": str(go)})
    desk.board.sql(
        "UPDATE tasks SET locked_by = NULL, locked_at = NULL, status = 'created', description = ?", new
    )
    with desk.start(*RUN, "dev_002") as other:
        wait_until(lambda: len(desk.agent_starts()) == 2, what="the other agent")
        said = desk.hpm(*RUN, "dev_001").stdout
        go.touch()
        other.wait()
    (line,) = (line for line in said.splitlines() if " task 1: " in line)
    kept = "its uncommitted work is kept as refs/hpm/salvage/dev_001/1/" in line
    assert (kept, line.endswith(f"; uncommitted files in {desk.repo}")) == (True, True), said
