"""Events of whole processes: kept whatever runs, and never in the way of a task."""

from __future__ import annotations

import json
import os
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.runners import Desk, script
from tests.support.schemas import checked_lines
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEV = ("--agent-id", "dev_001")
RUN = ("run", "--role", "backend_dev", *DEV, "--single-task")
DONE = {"status": "done", "summary": "did it"}
WORK = script({"write": ["a.txt", "a\n"]}, outcome=DONE)


def kept(desk: Desk, *more: object) -> list[dict[str, Any]]:
    done = desk.hpm("events", "--json", *more)
    assert done.returncode == 0, done.stderr
    return checked_lines("events", done.stdout)


def damaged(desk: Desk) -> Iterator[None]:
    (desk.state / "events.sqlite").write_bytes(b"this is no database, however long it may be\n" * 200)
    yield


def a_directory(desk: Desk) -> Iterator[None]:
    (desk.state / "events.sqlite").mkdir()
    yield


def locked(desk: Desk) -> Iterator[None]:
    holder = sqlite3.connect(desk.state / "events.sqlite", isolation_level=None)
    holder.execute("PRAGMA journal_mode = WAL")
    holder.execute("BEGIN IMMEDIATE")
    yield
    holder.execute("ROLLBACK")
    holder.close()


@pytest.mark.fault("events-damaged")
@pytest.mark.parametrize("trouble", [damaged, a_directory, locked])
def test_a_file_that_takes_no_event_keeps_no_task(
    desk: Desk, trouble: Callable[[Desk], Iterator[None]]
) -> None:
    happening = trouble(desk)
    next(happening)
    task = desk.board.add_task(complexity="major", description=WORK)
    done = desk.hpm(*RUN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "events" not in done.stderr
    assert f"task {task['id']} is dev_done" in done.stdout
    assert desk.board.task(task["id"])["status"] == "dev_done"
    health = json.loads(desk.hpm("health", "--json").stdout)
    (line,) = [line for line in health["checks"] if line["name"] == "events"]
    assert line["ok"] is (None if trouble is a_directory else True)
    aside = [line for line in health["checks"] if line["name"] == "damaged events"]
    assert len(aside) == (trouble is damaged)
    assert all(line["facts"]["path"] in line["text"] for line in aside)
    assert all(os.path.exists(line["facts"]["path"]) for line in aside)
    needs = json.loads(desk.hpm("report", "--json").stdout)["needs_a_person"]
    told = [need["text"] for need in needs if need["what"] == "set aside"]
    assert told == [line["text"] for line in aside]
    assert next(happening, "over") == "over"
    if trouble is not a_directory:
        assert [event["event"] for event in kept(desk, "--event", "reported")] == ["reported"]


@pytest.mark.parametrize(
    "words", [("events",), ("metrics",), ("claude.model", "--difficulty", "senior", "--explain")]
)
def test_who_reads_a_damaged_file_is_told_and_moves_nothing(desk: Desk, words: tuple[str, ...]) -> None:
    happening = damaged(desk)
    next(happening)
    done = desk.hpm(*words)
    assert (done.returncode, done.stdout) == (65, "")
    assert (
        f"the events in {desk.state / 'events.sqlite'} cannot be read: file is not a database" in done.stderr
    )
    assert "sets it aside" in done.stderr
    assert "Traceback" not in done.stderr
    assert {file.name for file in desk.state.glob("events.sqlite*")} == {
        "events.sqlite",
        "events.sqlite.damaged",
    }


def test_what_run_prints_is_what_is_kept(desk: Desk) -> None:
    desk.board.add_task(complexity="major", description=WORK)
    done = desk.hpm(*RUN, "--json")
    assert done.returncode == 0, done.stderr
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    silent = {"step", "hook_ran", "agent_progress", "board_calls", "stopped", "notified"}
    events = [event for event in kept(desk) if event["event"] not in silent]
    own = [
        {name: value for name, value in event.items() if name in line}
        for event, line in zip(events, printed, strict=True)
    ]
    for line, event in zip(printed, own, strict=True):
        assert {**event, "time": ""} == {**line, "time": ""}


@pytest.mark.extended
def test_single_commands_keep_what_they_do(desk: Desk) -> None:
    task = desk.board.add_task(complexity="major", description=WORK)
    number = task["id"]
    desk.board.register("dev_001")

    def must(*words: object) -> None:
        done = desk.hpm(*words)
        assert done.returncode == 0, (words, done.stderr)

    must("lock", *DEV, "--task-id", number)
    must("hooks.run", "--name", "pre_task", *DEV)
    must("worktree.add", *DEV)
    must("claude.exec", *DEV)
    must("finish", *DEV)
    must("worktree.remove", *DEV)
    must("unlock", *DEV)
    must("lock", "--local", *DEV, "--task-id", 77)
    must("unlock", "--local", *DEV)
    must("pm.status", *DEV, "--task-id", number, "--status", "pending")
    told = [
        event["event"]
        for event in kept(desk)
        if event["event"] not in {"step", "board_calls", "agent_progress"}
    ]
    assert sorted(told) == sorted(
        [
            *("task_taken", "hook_ran", "agent_started", "agent_ended", "reported"),
            *("workspace", "unlocked", "locked", "unlocked", "status_set"),
        ]
    )
    steps = [event["step"] for event in kept(desk, "--event", "step", "--task-id", number)]
    assert steps == ["locking", "workspace", "starting", "working", "committing", "detaching", "reporting"]


def test_following_sees_what_happens_from_then_on(desk: Desk) -> None:
    with desk.start("events", "--follow", "--json", "--event", "task_finished") as follower:
        task = desk.board.add_task(complexity="major", description=WORK)
        assert desk.hpm(*RUN).returncode == 0
        wait_until(follower.output, what="the event")
        (event,) = checked_lines("events", follower.output())
        assert (event["task"], event["agent"]) == (task["id"], "dev_001")


def test_switched_off_nothing_is_kept(desk: Desk) -> None:
    desk.change(events={"enabled": False})
    desk.board.add_task(complexity="major", description=WORK)
    assert desk.hpm(*RUN).returncode == 0
    assert not list(desk.state.glob("events*"))
    assert desk.hpm("events").stdout == ""


@pytest.mark.fault("B10")
def test_a_mistyped_hook_counts_as_no_run(desk: Desk) -> None:
    assert desk.hpm(*RUN).returncode == 3
    hooks = desk.directory / "hooks"
    hooks.mkdir(mode=0o755)
    (hooks / "pre-task.sh").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    for name in ("pre_taks", "deploy"):
        assert desk.hpm("hooks.run", "--name", name, "--hooks-dir", hooks).returncode == 65
    assert desk.hpm("hooks.run", "--name", "pre-task", "--hooks-dir", hooks).returncode == 1
    counted = json.loads(desk.hpm("metrics", "--json").stdout)["hooks"]
    # The health_check is the runner's.
    assert [name for name in counted if name != "health_check"] == ["pre-task"]


@pytest.mark.fault("B10")
def test_run_and_health_name_a_file_that_is_a_mistyped_hook(desk: Desk) -> None:
    hooks = desk.directory / "hooks"
    hooks.mkdir(mode=0o755)
    wrong = hooks / "pre-task.sh"
    wrong.write_text("#!/bin/sh\n", encoding="utf-8")
    desk.change(hooks_dir=str(hooks))
    said = f"no step runs {wrong}: did you mean pre_task?"
    run = desk.hpm(*RUN)
    assert (run.returncode, said in run.stderr) == (3, True), run.stderr
    checks = json.loads(desk.hpm("health", "--json").stdout)["checks"]
    assert [(line["ok"], line["text"]) for line in checks if line["name"] == "hook file"] == [(None, said)]
