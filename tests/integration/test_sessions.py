"""Declared agents: `sessions` lists them, `run --session` starts one, through both front ends."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.refusals import both_refuse, hpm, invoke, refused
from tests.support.runners import script
from tests.support.schemas import checked
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.runners import Desk

WRITE = {"write": ["hello.txt", "hello\n"]}
DEV = {"agent_id": "dev_001", "role": "backend_dev", "level": "senior"}
QA = {"agent_id": "qa_001", "role": "qa"}


def declare(desk: Desk, *sessions: dict[str, Any]) -> None:
    """In the repository's own invoke.yaml, which nobody has approved."""
    text = json.dumps({"hpm": {"sessions": sessions}})
    (desk.repo / "invoke.yaml").write_text(text, encoding="utf-8")


def offer(desk: Desk, count: int = 1) -> list[int]:
    description = script(WRITE)
    return [int(desk.board.add_task(description=description, complexity="major")["id"]) for _ in range(count)]


def listed(desk: Desk) -> list[dict[str, Any]]:
    done = desk.hpm("sessions", "--json")
    return list(checked("sessions", done.stdout)["sessions"])


def registered(desk: Desk) -> tuple[str, str]:
    """The role and the level with which dev_001 registered on the board."""
    (agent,) = (one for one in desk.board.ok("GET", "/agents") if one["agent_id"] == "dev_001")
    return agent["role"], agent["level"]


def test_a_declared_agent_works_a_task_to_its_end(desk: Desk) -> None:
    declare(desk, DEV, QA)
    (task,) = offer(desk)
    done = invoke(desk, "run", "--session", "dev_001", "--single-task")
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.board.task(task)["status"] == "dev_done"
    assert registered(desk) == ("backend_dev", "senior")


def test_its_own_options_count_and_flags_count_above_them(desk: Desk) -> None:
    desk.change(sessions=[{**DEV, "max_tasks": 1}])
    tasks = offer(desk, 3)
    told = []
    for more in ((), ("--max-tasks", "2", "--level", "principal")):
        done = desk.hpm("run", "--session", "dev_001", *more)
        ended = sum(desk.board.task(task)["status"] == "dev_done" for task in tasks)
        told.append((done.returncode, ended, "backend_dev (principal)" in done.stdout))
    assert told == [(0, 1, False), (0, 3, True)]


def test_the_list_says_who_is_at_work(desk: Desk) -> None:
    desk.change(sessions=[DEV, QA, {"agent_id": "dev_002", "role": "backend_dev", "executor": "claude"}])
    with desk.start("run", "--session", "qa_001"):
        wait_until(lambda: listed(desk)[1]["running"], what="the runner's guard")
        desk.hpm("lock", "--agent-id", "dev_001", "--task-id", 7, "--local")
        assert listed(desk) == [
            {**DEV, "executor": "command", "running": False, "task_id": 7, "step": "pre_hook"},
            {**QA, "level": "principal", "executor": "command", "running": True, "task_id": None, "step": None},
            {"agent_id": "dev_002", "role": "backend_dev", "level": "principal", "executor": "claude",
             "running": False, "task_id": None, "step": None},
        ]  # fmt: skip
        table = [line.split(maxsplit=4) for line in invoke(desk, "sessions").stdout.splitlines()]
        assert table == [
            ["SESSION", "ROLE", "LEVEL", "EXECUTOR", "NOW"],
            ["dev_001", "backend_dev", "senior", "command", "not running, holds task 7"],
            ["qa_001", "qa", "principal", "command", "running"],
            ["dev_002", "backend_dev", "principal", "claude", "not running"],
        ]


def test_a_task_held_by_a_living_process_is_at_work(desk: Desk) -> None:
    desk.change(sessions=[DEV])
    desk.hpm("lock", "--agent-id", "dev_001", "--task-id", 7, "--local", "--owner-pid", os.getpid())
    assert desk.hpm("sessions").stdout.splitlines()[1].endswith("task 7: pre_hook")


def test_without_any_the_answer_says_how_to_declare_one(desk: Desk) -> None:
    both_refuse(hpm, desk, "sessions", code=3, parts=("no sessions are declared",))
    assert "sessions: [{agent_id: dev_001, role: backend_dev}]" in invoke(desk, "sessions").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "run needs --role, --agent-id (or --session)"),
        (("--agent-id", "dev_001"), "run needs --role (or --session)"),
        (("--session", "dev_01"), "--session 'dev_01': there is no such session (did you mean dev_001?)"),
        (("--session", "dev_001", "--agent-id", "qa_001"), "--agent-id qa_001 and --session 'dev_001' are two agents"),
        (("--session", "dev_001", "--role", "qa"), "--role qa is not the role of session dev_001, which is backend_dev"),
        (("--session", "dev_001", "--role", "qa", "--explain"), "--role qa is not the role of session dev_001, which is backend_dev"),
    ],
    ids=["nothing", "half", "unknown", "another agent", "another role", "another role explained"],
)  # fmt: skip
def test_a_call_that_does_not_say_who_works_is_wrong(desk: Desk, words: tuple[str, ...], said: str) -> None:
    declare(desk, DEV, QA)
    assert refused(hpm(desk, "run", *words), 2) == said
    assert refused(invoke(desk, "run", *words), 2) == said
    assert desk.board.ok("GET", "/agents") == []


def test_the_help_says_what_is_required_without_a_session(desk: Desk) -> None:
    told = " ".join(desk.hpm("run", "--help").stdout.split())
    assert "as registered on the board (required without --session)" in told
    assert "usage: hpm run [--role R] [--agent-id A] [--session SESSION]" in told


def test_the_same_said_twice_is_no_contradiction(desk: Desk) -> None:
    declare(desk, DEV)
    same = ("--session", "dev_001", "--role", "backend_dev", "--agent-id", "dev_001")
    assert desk.hpm("run", *same, "--explain").returncode == 0


def test_one_that_needs_trust_is_refused_with_what_to_do(desk: Desk) -> None:
    declare(desk, DEV, {**QA, "executor": "command"})
    done = hpm(desk, "run", "--session", "qa_001", "--explain")
    refused(done, 2, "there is no such session")
    assert f"hpm trust --repo {desk.repo}" in done.stderr
    assert [row["agent_id"] for row in listed(desk)] == ["dev_001"]
    assert desk.hpm("trust").returncode == 0
    assert desk.hpm("run", "--session", "qa_001", "--explain").returncode == 0


def test_the_script_of_a_session_has_its_settings(desk: Desk) -> None:
    desk.change(sessions=[{**DEV, "hooks_dir": "its hooks", "executor": "command"}])
    told = desk.hpm("run", "--session", "dev_001", "--explain").stdout
    assert "agent=${AGENT_ID:-dev_001}\nrole=${ROLE:-backend_dev}\nlevel=${LEVEL:-senior}\n" in told
    begin = told.partition("agent=")[0] + 'echo "$HEADLESS_PM_HOOKS_DIR|$HEADLESS_PM_EXECUTOR"'
    done = subprocess.run(["bash"], input=begin, capture_output=True, text=True, check=True)
    assert done.stdout == f"{desk.state}/its hooks|command\n"


def test_the_hint_after_an_outage_starts_the_same_session_again(desk: Desk) -> None:
    declare(desk, DEV)
    desk.hpm("lock", "--agent-id", "dev_001", "--task-id", 7, "--local")
    desk.board.process.stop()
    done = desk.hpm("run", "--session", "dev_001", "--single-task")
    assert done.returncode == 69
    assert f"hpm run --session dev_001 --single-task --repo {desk.repo}" in done.stderr


def test_their_names_are_completed(desk: Desk) -> None:
    declare(desk, DEV, QA)
    done = desk.hpm("completion.words", "--word=run", "--word=--session", "--word=q")
    assert done.stdout.split() == ["qa_001"]
