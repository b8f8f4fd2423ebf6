"""Agents that cannot start and tasks that attack: the operator is told in a line, and the task is not lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.fixtures_claude import bundled_cli
from tests.support.refusals import UNSAFE, hpm, refused, refused_as_json
from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fixtures_desk import ClaudeDesk

RUN = ("run", "--agent-id", "dev_001", "--role", "backend_dev", "--single-task")
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x9b31m\u202eevil\u2066\x00\x08 \r\n"
LARGE = 2 << 20


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def untouched(desk: Desk, task_id: int) -> bool:
    """Whether the task is as it was offered and nothing here remembers it."""
    task = desk.board.task(task_id)
    return (task["status"], task["locked_by"], desk.record()) == ("created", None, None)


@pytest.mark.fault("agent-cannot-serve")
@pytest.mark.parametrize(
    ("text", "part"),
    [
        (None, "does not exist"),
        ("echo '1.0.3 (Claude Code)'", "is too old: 1.0.3"),
        ("echo 'this is no version'", "does not tell its version"),
        ("exit 3", "does not tell its version (exit code 3)"),
        ("kill -9 $$", "does not tell its version"),
    ],
    ids=["missing", "old", "mute", "failing", "dying"],
)
def test_a_cli_that_cannot_serve_stops_the_runner_before_it_takes_anything(
    text: str | None, part: str, desk: Desk, tmp_path: Path
) -> None:
    cli = tmp_path / "claude"
    if text is not None:
        program(cli, text)
    desk.configure(claude_path=str(cli))
    task = desk.board.add_task()
    refused(hpm(desk, *RUN), 78, part, str(cli), events=True)
    refused_as_json(hpm(desk, *RUN, "--json"), 78, part, events=True)
    assert untouched(desk, task["id"])
    check = hpm(desk, "claude.check", "--json")
    assert check.returncode == 78
    assert part in json.loads(check.stdout)["checks"][0]["text"]
    bare = hpm(desk, "claude.exec", "--json", stdin="Do it.")
    assert (bare.returncode, json.loads(bare.stdout)["kind"]) == (78, "misconfigured")
    assert part in bare.stdout
    health = hpm(desk, "health")
    assert health.returncode == 1
    assert f"FAIL  claude: the Claude CLI {cli}" in health.stdout or f"FAIL  claude: {cli}" in health.stdout


def test_a_cli_that_is_no_program(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "claude").write_text("no program", encoding="utf-8")
    desk.configure(claude_path=str(tmp_path / "claude"))
    refused(hpm(desk, *RUN), 78, "is not executable")


def test_an_executor_command_that_does_not_exist(desk: Desk, tmp_path: Path) -> None:
    desk.configure(executor="command", executor_command=[str(tmp_path / "nowhere")])
    task = desk.board.add_task()
    refused(hpm(desk, *RUN), 78, "nowhere", events=True)
    assert untouched(desk, task["id"])


@pytest.mark.extended
def test_a_cli_whose_login_is_refused_gives_the_task_back_and_stops(claude_desk: ClaudeDesk) -> None:
    claude_desk.play({"fail": {"status": 401, "message": "invalid x-api-key"}})
    task = claude_desk.board.add_task(complexity="major")
    done = claude_desk.run()
    message = refused(done, 77, events=True)
    assert "given back" in done.stderr
    assert "hpm claude.check" in done.stderr
    assert message
    assert untouched(claude_desk, task["id"])
    assert len(claude_desk.agents) == 1
    claude_desk.await_pause()
    assert refused_as_json(claude_desk.run("--json"), 77, events=True)["code"] == "refused"


def test_a_cli_that_dies_at_once_is_tried_thrice_and_the_task_parked(desk: Desk, tmp_path: Path) -> None:
    cli = program(tmp_path / "claude", f"[ \"$1\" = --version ] && exec '{bundled_cli()}' --version\nexit 1")
    desk.configure(claude_path=str(cli), retry_pause=0.1)
    task = desk.board.add_task(complexity="major")
    done = hpm(desk, *RUN)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    found = desk.board.task(task["id"])
    assert (found["status"], found["locked_by"]) == ("pending", None)
    assert "attempts are used up" in found["notes"]


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda place: None, "does not exist"),
        (lambda place: place.mkdir(), "has no instructions for the role backend_dev"),
        (lambda place: (place.mkdir(), (place / "backend_dev.md").write_bytes(b"\xff\xfe")), "is not UTF-8"),
        (lambda place: (place.mkdir(), (place / "backend_dev.md").write_bytes(b" \n")), "is empty"),
        (
            lambda place: (place.mkdir(), (place / "backend_dev.md").write_bytes(b"x" * LARGE)),
            "is larger than",
        ),
    ],
    ids=["no directory", "no file", "no text", "empty", "large"],
)
def test_role_instructions_that_are_missing(make: object, part: str, desk: Desk, tmp_path: Path) -> None:
    place = tmp_path / "roles"
    make(place)  # type: ignore[operator]
    task = desk.board.add_task(description=script({"write": ["a.txt", "a"]}))
    refused(hpm(desk, *RUN, "--roles-dir", place), 78, part, str(place), events=True)
    refused_as_json(hpm(desk, *RUN, "--roles-dir", place, "--json"), 78, part, events=True)
    assert untouched(desk, task["id"])
    assert desk.agent_starts() == []


def hostile(text: str) -> str:
    return text + ESCAPES


@pytest.mark.extended
def test_escape_codes_in_a_task_never_reach_the_terminal(desk: Desk) -> None:
    title = hostile("A title")
    acts: list[dict[str, Any]] = [{"write": ["a.txt", "a"]}, {"say": hostile("spoken")}]
    said = {"status": "done", "summary": hostile("a summary")}
    description = script(*acts, outcome=said, text=hostile("a description"))
    task = desk.board.add_task(title=title, description=description, complexity="major")
    task_id = task["id"]
    outputs = [
        hpm(desk, "pm.tasks"),
        hpm(desk, "pm.tasks", "--json"),
        hpm(desk, "pm.next", "--role", "backend_dev", "--json"),
        hpm(desk, "pm.task", "--task-id", task_id, "--json"),
        hpm(desk, *RUN),
        hpm(desk, "pm.task", "--task-id", task_id, "--json"),
        hpm(desk, "health"),
    ]
    for done in outputs:
        assert not UNSAFE.search(done.stdout.replace("\r\n", "\n") + done.stderr), ascii(done.stdout)
        assert "\r" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert outputs[4].returncode == 0, outputs[4].stderr
    found = desk.board.task(task_id)
    assert found["status"] == "dev_done"
    assert found["title"] == title
    assert not UNSAFE.search(desk.git("log", "--all", "--format=%B"))
    assert json.loads(outputs[3].stdout)["title"] == title
    assert desk.record() is None


def test_escape_codes_in_a_locked_task_never_reach_the_terminal(desk: Desk) -> None:
    task = desk.board.add_task(title=hostile("A title"), complexity="major")
    desk.board.register("dev_001")
    held = ("--agent-id", "dev_001")
    done = [
        hpm(desk, "lock", *held, "--task-id", task["id"]),
        hpm(desk, "locks"),
        hpm(desk, "locks", "--json"),
        hpm(desk, "worktree.add", *held),
        hpm(desk, "worktree.list"),
        hpm(desk, "health"),
        hpm(desk, "recover", *held, "--adopt"),
        hpm(desk, "unlock", *held),
    ]
    for one in done:
        assert "Traceback" not in one.stderr
        assert not UNSAFE.search(one.stdout + one.stderr), ascii(one.stdout)


@pytest.mark.parametrize("part", ["title", "description", "notes"])
def test_two_megabytes_in_a_task_are_worked_like_any_other(part: str, desk: Desk) -> None:
    desk.configure(
        executor="command",
        executor_command=[
            "sh",
            "-c",
            'wc -c >size.txt; printf \'{"status": "done", "summary": "ok"}\' >"$HPM_OUTCOME_FILE"',
        ],
    )
    large = "A long story. " * (LARGE // 14)
    fields: dict[str, Any] = {"complexity": "major", **({part: large} if part != "notes" else {})}
    task = desk.board.add_task(**fields)
    if part == "notes":
        desk.board.put(task["id"], "pm1", "created", large)
    done = hpm(desk, *RUN)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert desk.board.task(task["id"])["status"] == "dev_done"
    assert int(desk.git("show", f"feature/task-{task['id']}:size.txt")) < 200_000
    assert len(done.stdout + done.stderr) < 20_000
    listed = hpm(desk, "pm.tasks")
    assert listed.returncode == 0
    assert max(map(len, listed.stdout.splitlines())) < 2_000
    assert desk.record() is None


@pytest.mark.extended
def test_two_megabytes_through_the_real_cli(claude_desk: ClaudeDesk) -> None:
    claude_desk.play({"write": {"path": "a.txt", "content": "a\n"}})
    large = hostile("A long story. ") * (LARGE // 20)
    task = claude_desk.board.add_task(title=large[:LARGE], description=large, complexity="major")
    done = claude_desk.run()
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert claude_desk.board.task(task["id"])["status"] == "dev_done"
    prompt = claude_desk.prompts()
    assert 1000 < len(prompt) < 400_000
    assert "\\x1b" not in prompt
    assert not UNSAFE.search(done.stdout + done.stderr)
