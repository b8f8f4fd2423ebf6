"""Runners that come to one checkout in turns, because some of them are killed, keep their tasks apart."""

from __future__ import annotations

from functools import partial

import pytest

from tests.support.one_checkout import killed_at, killed_once, others_turn
from tests.support.runners import Desk, script

FIRST = {"run": ["sh", "-ec", "echo $$ >>first.txt; git add first.txt; git commit -qm first"]}


def has_committed(desk: Desk, times: int) -> bool:
    return desk.git("log", "--format=%s").split().count("first") == times


@pytest.mark.parametrize("rounds", [1, pytest.param(2, marks=pytest.mark.extended)])
def test_a_killed_runner_goes_on_after_others_have_committed_in_its_checkout(desk: Desk, rounds: int) -> None:
    go = desk.directory / "go"
    acts = (FIRST, {"wait_for": str(go)}, {"write": ["second.txt", "second\n"]})
    mine = desk.board.add_task(description=script(*acts), complexity="minor")
    for number in range(1, rounds + 1):
        killed_once(desk, partial(has_committed, desk, number), "the agent's commit")
        others_turn(desk)
    go.touch()
    done = desk.run_single("backend_dev", "dev_001")
    assert desk.board.task(mine["id"])["status"] == "dev_done", done.stdout + done.stderr
    assert (desk.git("status", "--porcelain"), desk.git("branch", "--format=%(refname:short)")) == (
        "",
        "main",
    )
    commits = [part.split() for part in desk.git("log", "--format=%x00", "--name-only").split("\0")]
    assert not [files for files in commits if "other.txt" in files and len(files) > 1]


def test_a_commit_that_was_not_written_down_is_the_tasks_though_head_went_on(desk: Desk) -> None:
    mine = desk.board.add_task(description=script({"write": ["mine.txt", "mine\n"]}), complexity="minor")
    killed_at(desk, "leftovers.advanced")
    commit = desk.git("rev-parse", "main")
    others_turn(desk)
    done = desk.run_single("backend_dev", "dev_001")
    row = desk.board.task(mine["id"])
    assert (row["status"], f"commit: {commit}" in row["notes"]) == ("dev_done", True), (
        done.stdout + done.stderr
    )
