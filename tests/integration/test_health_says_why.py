"""What `health` says of a checkout with uncommitted changes and of worktrees that stay: whose it is, why, the way out."""

from __future__ import annotations

import json
import os
import shlex
import signal
from typing import TYPE_CHECKING, Any

from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def check(desk: Desk, name: str) -> Any:
    (found,) = (
        one for one in json.loads(desk.hpm("health", "--json").stdout)["checks"] if one["name"] == name
    )
    return found


def test_unfinished_work_in_the_checkout_is_told_from_a_persons_changes(desk: Desk, tmp_path: Path) -> None:
    acts: list[dict[str, Any]] = [{"write": ["a.txt", "a\n"]}, {"wait_for": str(tmp_path / "go")}]
    task = desk.board.add_task(description=script(*acts), complexity="minor")["id"]
    with desk.start("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task") as runner:
        wait_until((desk.repo / "a.txt").exists, what="the uncommitted file")
        at_work = check(desk, "repository")
        runner.signal(signal.SIGKILL)
        runner.wait()
    os.kill(desk.agent_starts()[0][0], signal.SIGKILL)
    left = check(desk, "repository")
    assert (at_work["ok"], at_work["hint"]) == (True, "")
    assert at_work["text"].endswith(f"agent dev_001 (task {task}) works in the checkout")
    assert "minor tasks of other agents wait" in left["text"]
    assert left["hint"].endswith("hpm unlock --agent-id dev_001")
    given_back = desk.hpm("unlock", "--agent-id", "dev_001")
    assert given_back.returncode == 0, given_back.stderr
    assert "stays in the checkout, and counts as a person's" in given_back.stderr
    assert check(desk, "repository")["text"].endswith("1 uncommitted change: minor tasks go into worktrees")


def test_health_names_what_keeps_a_worktree_and_the_way_out_works(desk: Desk) -> None:
    desk.change(worktree={"max_files": 3})
    desk.board.add_task(description=script({"run": ["sh", "-c", "touch a b c d"]}), complexity="major")
    assert desk.run_single().returncode == 1
    found = check(desk, "worktree")
    assert "4 uncommitted files" in found["text"]
    variable, *command = shlex.split(found["hint"])
    name, _, value = variable.partition("=")
    removed = desk.hpm(*command[1:], stdin="", within=600, **{name: value})
    assert removed.returncode == 0, removed.stderr
    assert "is still there" not in desk.hpm("health").stdout


def test_too_much_in_the_checkout_itself_is_not_said_to_be_a_worktree(desk: Desk) -> None:
    desk.change(worktree={"max_files": 3})
    task = desk.board.add_task(
        description=script({"run": ["sh", "-c", "touch a b c d"]}), complexity="minor"
    )["id"]
    assert desk.run_single().returncode == 1
    notes = desk.board.task(task)["notes"]
    assert "worktree.remove" not in notes
    assert f"git -C {desk.repo} status" in notes
