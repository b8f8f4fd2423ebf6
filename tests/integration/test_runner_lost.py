"""Locks that expire, records and answers that go missing: what a reviewer broke once, kept mended."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from hpm_tools.process.identity import start_time
from tests.support.repos import make_repo
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001")
WRITE = {"write": ["a.txt", "hello\n"]}


@pytest.mark.fault("lock-expired")
def test_a_lock_that_merely_expired_is_taken_again_and_the_work_reported(desk: Desk, tmp_path: Path) -> None:
    go = tmp_path / "go"
    task = desk.board.add_task(description=script(WRITE, {"wait_for": str(go)}), complexity="major")
    with desk.start(*RUN, "--single-task", HEADLESS_PM_HEARTBEAT_INTERVAL="1") as runner:
        wait_until(desk.agent_starts, what="the agent")
        desk.board.sql("UPDATE tasks SET locked_by = NULL, locked_at = NULL WHERE id = ?", task["id"])
        wait_until(lambda: "taken again" in runner.output(), what="the lock")
        go.touch()
        assert runner.wait() == 0, runner.output()
    found = desk.board.task(task["id"])
    assert (found["status"], found["locked_by"]) == ("dev_done", None)


def test_a_lock_that_expired_before_the_report_is_taken_again(desk: Desk) -> None:
    task = desk.board.add_task(description=script(WRITE), complexity="major")
    log = str(desk.directory / "points")
    first = desk.hpm(*RUN, "--single-task", HPM_FAILPOINT="reporting.before:kill", HPM_FAILPOINT_LOG=log)
    assert first.returncode == -signal.SIGKILL
    desk.board.sql("UPDATE tasks SET locked_by = NULL, locked_at = NULL WHERE id = ?", task["id"])
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.board.task(task["id"])["status"] == "dev_done"
    assert len(desk.agent_starts()) == 1


def test_two_runners_never_work_in_one_checkout_even_after_a_crash(desk: Desk, tmp_path: Path) -> None:
    go = tmp_path / "go"
    for name in ("a.txt", "b.txt"):
        acts = ({"write": [name, "hello\n"]}, {"wait_for": str(go)})
        desk.board.add_task(description=script(*acts), complexity="minor", title=name)
    with desk.start(*RUN, "--single-task") as first:
        wait_until(desk.agent_starts, what="the first agent")
        first.signal(signal.SIGKILL)
        first.wait()
    with (
        desk.start(*RUN, "--single-task") as again,
        desk.start("run", "--role", "backend_dev", "--agent-id", "dev_002", "--single-task") as other,
    ):
        wait_until(lambda: len(desk.agent_starts()) >= 2, what="the resumed agent")
        wait_until(lambda: "works as" in other.output(), what="the other runner")
        living = [row for row in desk.agent_starts() if start_time(row[0])]
        places = {os.readlink(f"/proc/{row[0]}/cwd") for row in living}
        assert len(places) == len(living)
        go.touch()
        assert again.wait() == 0, again.output()
        assert other.wait() == 0, other.output()


def test_a_runner_refuses_to_go_on_in_another_repository(desk: Desk, tmp_path: Path) -> None:
    task = desk.board.add_task(description=script(WRITE), complexity="major")
    log = str(desk.directory / "points")
    desk.hpm(*RUN, "--single-task", HPM_FAILPOINT="detaching.before:kill", HPM_FAILPOINT_LOG=log)
    other = make_repo(tmp_path / "other").root
    refused = desk.hpm(*RUN, "--single-task", "--repo", str(other))
    assert refused.returncode == 78, refused.stdout + refused.stderr
    assert f"--repo {desk.repo}" in refused.stderr
    assert desk.run_single().returncode == 0
    assert desk.board.task(task["id"])["status"] == "dev_done"


@pytest.mark.fault("record-damaged")
def test_the_agent_of_a_corrupt_record_is_ended_before_another_starts(desk: Desk, tmp_path: Path) -> None:
    go = tmp_path / "go"
    desk.board.add_task(description=script(WRITE, {"wait_for": str(go)}), complexity="major")
    with desk.start(*RUN) as first:
        wait_until(desk.agent_starts, what="the agent")
        first.signal(signal.SIGKILL)
        first.wait()
    record = desk.state / "locks" / "agent-dev_001.lock"
    record.write_bytes(record.read_bytes()[:-40])
    orphan = desk.agent_starts()[0][0]
    with desk.start(*RUN, "--single-task") as second:
        wait_until(lambda: len(desk.agent_starts()) == 2, what="the second agent")
        assert start_time(orphan) is None
        go.touch()
        assert second.wait() == 0, second.output()


@pytest.mark.fault("killed-after-verdict")
def test_a_verdict_that_was_reached_is_not_worked_for_twice(desk: Desk) -> None:
    task = desk.board.add_task(description=script(WRITE), complexity="major")
    log = str(desk.directory / "points")
    desk.hpm(*RUN, "--single-task", HPM_FAILPOINT="working.decided:kill", HPM_FAILPOINT_LOG=log)
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(desk.agent_starts()) == 1
    assert desk.board.task(task["id"])["status"] == "dev_done"


def test_a_lock_without_a_record_is_adopted_when_a_person_says_so(desk: Desk) -> None:
    task = desk.board.add_task(description=script(WRITE), complexity="major")
    desk.board.register("dev_001")
    desk.board.lock(task["id"], "dev_001")
    assert desk.hpm("recover", "--agent-id", "dev_001").returncode == 3
    adopted = desk.hpm("recover", "--agent-id", "dev_001", "--adopt", "--owner-pid", os.getpid())
    assert adopted.returncode == 0, adopted.stderr
    assert adopted.stdout.split()[1:] == [str(task["id"]), "pre_task"]


def test_a_repository_made_inside_the_worktree_is_no_work_done(desk: Desk) -> None:
    acts = (
        {"run": ["git", "init", "-q", "sub"]},
        {"write": ["sub/file.txt", "hello\n"]},
        {"run": ["git", "-C", "sub", "add", "-A"]},
        {"run": ["git", "-C", "sub", "commit", "-q", "-m", "inside"]},
    )
    task = desk.board.add_task(description=script(*acts), complexity="major")
    done = desk.run_single()
    assert done.returncode == 1, done.stdout + done.stderr
    assert desk.board.task(task["id"])["status"] == "pending"
