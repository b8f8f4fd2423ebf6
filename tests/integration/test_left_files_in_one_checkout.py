"""Files that a task, or a person, left uncommitted in the shared checkout become no part of another task's commits."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
from functools import partial
from typing import Any

import pytest

from tests.support.one_checkout import RUN, killed_at
from tests.support.repos import Repo
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

LEFT = {"write": ["left.txt", "left\n"]}
WAY_OUT = re.compile(r"put them away: (git -C .+ stash push --include-untracked)$", re.MULTILINE)


def minor(desk: Desk, *acts: Any) -> dict[str, Any]:
    return dict(desk.board.add_task(description=script(*acts), complexity="minor"))


def parked_with_files(desk: Desk) -> None:
    """Another task is parked because a person committed while its agent worked; its file stays in the checkout."""
    ready, go = desk.directory / "ready", desk.directory / "go"
    task = minor(desk, LEFT, {"touch": str(ready)}, {"wait_for": str(go)})
    with desk.start(*RUN, "dev_002") as runner:
        wait_until(ready.exists, what="the other agent")
        Repo(desk.repo).commit({"persons.txt": "mine\n"}, "a person's")
        go.touch()
        runner.wait()
    row = desk.board.task(task["id"])
    assert (row["status"], (desk.repo / "left.txt").read_text()) == ("pending", "left\n")


def holders(desk: Desk, name: str) -> list[list[str]]:
    """The files of each commit on any branch that changes ``name``."""
    listed = desk.git("log", "--branches", "--format=%x00", "--name-only").split("\0")
    return [files for files in map(str.split, listed) if name in files]


@pytest.mark.fault("A1")
@pytest.mark.parametrize(
    "point", ["starting.before", pytest.param("working.before", marks=pytest.mark.extended)]
)
def test_a_task_that_had_not_begun_leaves_the_files_of_a_parked_one_alone(desk: Desk, point: str) -> None:
    mine = minor(desk, {"write": ["mine.txt", "mine\n"]})
    killed_at(desk, point)
    parked_with_files(desk)
    done = desk.run_single("backend_dev", "dev_001")
    assert desk.board.task(mine["id"])["status"] == "dev_done", done.stdout + done.stderr
    assert len(holders(desk, "mine.txt")) == 1
    assert (holders(desk, "left.txt"), (desk.repo / "left.txt").exists()) == ([], True)


@pytest.mark.parametrize(
    "point", ["committing.before", pytest.param("reporting.before", marks=pytest.mark.extended)]
)
def test_finished_work_is_reported_past_the_files_of_a_parked_task(desk: Desk, point: str) -> None:
    mine = minor(desk, {"write": ["mine.txt", "mine\n"]}, {"commit": "mine"})
    killed_at(desk, point)
    own = desk.git("rev-parse", "main")
    ready, go = desk.directory / "ready", desk.directory / "go"
    other = minor(desk, LEFT, {"touch": str(ready)}, {"wait_for": str(go)})
    with desk.start(*RUN, "dev_002") as runner:
        wait_until(ready.exists, what="the other agent")
        runner.signal(signal.SIGKILL)
        runner.wait()
    desk.hpm("unlock", "--agent-id", "dev_002")
    done = desk.run_single("backend_dev", "dev_001")
    row = desk.board.task(mine["id"])
    assert (row["status"], f"commit: {own}" in row["notes"]) == ("dev_done", True), done.stdout + done.stderr
    assert desk.board.task(other["id"])["status"] == "created"
    assert (holders(desk, "left.txt"), (desk.repo / "left.txt").exists()) == ([], True)
    assert not desk.git("for-each-ref", "refs/hpm/salvage")


def has_mine(desk: Desk) -> bool:
    return "mine" in desk.git("log", "--format=%s").split()


@pytest.mark.fault("A1")
@pytest.mark.parametrize(
    "whose", ["an unlocked task's", pytest.param("a person's", marks=pytest.mark.extended)]
)
def test_a_resumed_task_waits_until_what_others_left_is_put_away(desk: Desk, whose: str) -> None:
    go = desk.directory / "mine-may-go"
    begin = {
        "run": [
            "sh",
            "-ec",
            f"test -e {go} || {{ echo mine >mine.txt; git add mine.txt; git commit -qm mine; }}",
        ]
    }
    mine = minor(desk, begin, {"wait_for": str(go)}, {"write": ["second.txt", "second\n"]})
    with desk.start(*RUN, "dev_001") as runner:
        wait_until(partial(has_mine, desk), what="the agent's commit")
        runner.signal(signal.SIGKILL)
        runner.wait()
    if whose == "a person's":
        minor(desk, {"write": ["other.txt", "other\n"]})
        assert desk.run_single("backend_dev", "dev_002").returncode == 0
        (desk.repo / "left.txt").write_text("left\n")
    else:
        ready = desk.directory / "ready"
        minor(desk, LEFT, {"touch": str(ready)}, {"wait_for": str(desk.directory / "never")})
        with desk.start(*RUN, "dev_002") as runner:
            wait_until(ready.exists, what="the other agent")
            runner.signal(signal.SIGKILL)
            runner.wait()
        desk.hpm("unlock", "--agent-id", "dev_002")
    go.touch()
    with desk.start(*RUN, "dev_001") as runner:
        wait_until(
            lambda: WAY_OUT.search(runner.output()) or runner.process.poll() is not None, what="the way out"
        )
        if said := WAY_OUT.search(runner.output()):
            subprocess.run(shlex.split(said[1]), check=True, env=desk.environment, capture_output=True)
        runner.wait()
        output = runner.output()
    assert desk.board.task(mine["id"])["status"] == "dev_done", output
    assert desk.git("status", "--porcelain") == ""
    assert holders(desk, "left.txt") == [], output
