"""Tasks that were parked and are offered again: by which command, and what the board says of them then."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest

from tests.support.runners import Desk, script

REFUSED = "cat > /dev/null; echo 'API Error: 401 invalid x-api-key' >&2; exit 1"
BLOCKED = {"outcome": {"status": "blocked", "summary": "no database"}}


def parked(desk: Desk) -> int:
    """A task whose agent was blocked."""
    task = int(desk.board.add_task(description=script(**BLOCKED), complexity="major")["id"])
    assert desk.run_single().returncode == 1
    assert desk.board.task(task)["status"] == "pending"
    return task


def comments(desk: Desk, task: int) -> list[str]:
    return str(desk.board.task(task)["notes"]).split("\n\n")


def report(desk: Desk) -> list[Any]:
    """What the report says of parked tasks."""
    found = json.loads(desk.hpm("report", "--json").stdout)["needs_a_person"]
    return [matter for matter in found if matter["kind"] == "parked"]


@pytest.mark.fault("B13")
def test_the_last_comment_on_a_task_that_is_offered_again_after_a_pause_says_so(desk: Desk) -> None:
    path = desk.directory / "agent.sh"
    path.write_text(f"{REFUSED}\n", encoding="utf-8")
    desk.change(executor_command=["sh", str(path)], max_attempts=1)
    tasks = [int(desk.board.add_task(complexity="major")["id"]) for _ in range(3)]
    for _ in tasks:
        desk.run_single()
    last = [comments(desk, task)[-1].partition(", ")[0] for task in tasks[:2]]
    assert last == ["dev_001: offered again by dev_001"] * 2


def test_the_command_that_report_and_comment_name_offers_the_task_again(desk: Desk) -> None:
    task = parked(desk)
    (matter,) = report(desk)
    (named,) = re.findall(r"hpm retry \d+", matter["hint"])
    assert named in comments(desk, task)[-1]
    done = desk.hpm(*shlex.split(named)[1:])
    assert (done.returncode, done.stdout.strip()) == (0, "created"), done.stderr
    assert desk.board.task(task)["status"] == "created"
    assert comments(desk, task)[-1] == "hpm_pm: offered again by hpm_pm, as created"
    assert report(desk) == []


def test_a_task_that_qa_found_wanting_again_and_again_goes_to_a_maker(desk: Desk) -> None:
    rejected = {"status": "rejected", "summary": "wrong", "findings": ["x"]}
    rejects = script({"write": ["a.txt", "a\n"]}, as_qa={"outcome": rejected})
    task = int(desk.board.add_task(description=rejects, complexity="major")["id"])
    desk.board.register("qa_000", "qa")
    for status in ("dev_done", "created") * 2:
        desk.board.lock(task, "qa_000")
        desk.board.put(task, "qa_000", "under_work")
        desk.board.put(task, "qa_000", status)
    assert desk.run_single().returncode == 0
    assert desk.run_single("qa", "qa_001").returncode == 1
    (matter,) = report(desk)
    assert f"hpm retry {task} --status created offers it again" in matter["hint"]


def test_a_task_that_is_parked_again_is_said_to_be_so_last(desk: Desk) -> None:
    task = parked(desk)
    for _ in range(2):
        assert desk.hpm("retry", task).returncode == 0
        assert desk.run_single().returncode == 1
        assert comments(desk, task)[-1].startswith("dev_001: parked by dev_001")


@pytest.mark.extended
def test_a_task_that_was_never_offered_needs_its_status_said(desk: Desk) -> None:
    task = int(desk.board.add_task("pending")["id"])
    refused = desk.hpm("retry", task)
    assert refused.returncode == 65
    assert desk.hpm("retry", task, "--status", "created").returncode == 0
    found = desk.board.task(task)
    assert (found["status"], found["notes"]) == ("created", None)
