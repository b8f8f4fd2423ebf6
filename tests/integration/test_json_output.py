"""What every command really prints under --json is what docs/schemas says: one working day with all of them."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools import registry
from tests.support.repos import make_repo
from tests.support.runners import Desk, script
from tests.support.schemas import checked, checked_error, checked_lines
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest


class Day:
    """Runs commands at a desk and holds each one's output against its schema."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.seen: set[str] = set()

    def __call__(self, name: str, *arguments: object, code: int = 0, stdin: str = "") -> Any:
        done = self.desk.hpm(name, *arguments, "--json", stdin=stdin)
        assert done.returncode == code, (name, arguments, done.stdout, done.stderr)
        self.seen.add(name)
        return checked(name, done.stdout)

    def events(self, name: str, *arguments: object, code: int = 0) -> list[Any]:
        done = self.desk.hpm(name, *arguments, "--json")
        assert done.returncode == code, (name, arguments, done.stdout, done.stderr)
        self.seen.add(name)
        return checked_lines(name, done.stdout)

    def refused(self, name: str, *arguments: object, code: int) -> dict[str, Any]:
        done = self.desk.hpm(name, *arguments, "--json")
        assert (done.returncode, done.stdout) == (code, ""), (name, arguments, done.stdout, done.stderr)
        return checked_error(done.stderr)


@pytest.fixture
def day(tmp_path: Path, exact_board: BoardUnderTest) -> Day:
    return Day(Desk(tmp_path / "desk", exact_board, make_repo(tmp_path / "repo").root))


OF_OTHER_DAYS = {"pm.serve", "dashboard", "prompts", "answer", "notify.test"}
"""They serve, or need a runner that asks or a service to tell: test_contract holds them to their schemas."""

AS_DEV = ("--agent-id", "dev_001")
AGENT = ("--role", "backend_dev", *AS_DEV)


def do_a_task_by_commands(day: Day) -> None:
    text = script({"write": ["a.txt", "hello\n"]})
    made = day("pm.add", "--title", "By hand", "--role", "backend_dev", "--description", text)
    day("pm.register", *AGENT, "--level", "principal")
    offered = day("pm.next", "--role", "backend_dev")
    assert offered["id"] == made["id"]
    token = day("lock", *AS_DEV, "--task", "-", stdin=json.dumps(offered))["token"]
    day("locks")
    assert day("recover", *AS_DEV, "--adopt")["next"] == "pre_task"
    token = day("lock", *AS_DEV, "--task-id", made["id"])["token"]
    held = (*AS_DEV, "--token", token)
    day("hooks.run", "--name", "pre_task", *AS_DEV)
    assert day("worktree.add", *held)["branch"] == f"feature/task-{made['id']}"
    assert day("claude.exec", *held)["kind"] == "done"
    assert day("finish", *held)["status"] == "dev_done"
    day("worktree.remove", *held)
    day("unlock", *held)
    assert day("pm.task", "--task-id", made["id"])["status"] == "dev_done"


def use_worktrees(day: Day) -> None:
    place = day("worktree.add", "--task-id", 77)
    with open(f"{place['path']}/left.txt", "w", encoding="utf-8") as file:
        file.write("unfinished\n")
    day("worktree.list")
    salvage = day("worktree.remove", "--task-id", 77)["salvage"]
    assert day("worktree.list")["salvage"][0]["ref"] == salvage
    day("worktree.restore", "--ref", salvage)
    assert day("worktree.prune", "--salvage", "--older-than", 0)["left"] == [salvage]


def use_the_board(day: Day) -> None:
    task = day.desk.board.add_task(status="pending")
    day("pm.comment", *AS_DEV, "--task-id", task["id"], "--comment", "noted")
    day("pm.status", "--agent-id", "pm1", "--task-id", task["id"], "--status", "created")
    assert day("pm.tasks", "--status", "created")["tasks"]
    day.desk.board.put(task["id"], "pm1", "under_work")
    assert day("retry", "--task-id", task["id"])["status"] == "created"


def look_around(day: Day) -> None:
    day("init")
    day("trust")
    assert day("trust", "--revoke")["trusted"] is False
    declared = "hpm: {sessions: [{agent_id: dev_001, role: backend_dev}]}\n"
    (day.desk.repo / "invoke.yaml").write_text(declared, encoding="utf-8")
    assert [row["agent_id"] for row in day("sessions")["sessions"]] == ["dev_001"]
    day("hooks.list")
    day("claude.model", "--difficulty", "senior")
    day("claude.check")
    for shell in ("bash", "zsh", "fish"):
        day(f"completion.{shell}")
    assert day("completion.words", "--word=unl")["words"][0]["word"] == "unlock"
    day("health")
    assert "hpm pm.next" in day("run", *AGENT, "--explain")["script"]


@pytest.mark.extended
def test_one_day_with_every_command(day: Day) -> None:
    do_a_task_by_commands(day)
    use_worktrees(day)
    use_the_board(day)
    look_around(day)
    ended = day.events("run", *AGENT, "--single-task", code=1)
    assert ended[-1]["event"] == "ended"
    day("demo")
    assert {event["event"] for event in day.events("events", "--event", "ended")} == {"ended"}
    assert day("metrics")["by"] is None
    day("report", "--since", "1h")
    assert day.seen == set(registry.MODULES) - OF_OTHER_DAYS


def test_a_record_that_cannot_be_read_has_every_field(day: Day) -> None:
    day("lock", *AS_DEV, "--task-id", 12, "--local")
    (day.desk.state / "locks" / "agent-dev_001.lock").write_text("{", encoding="utf-8")
    (held,) = day("locks")["locks"]
    assert held["problem"]
    assert held["task_id"] is None


def test_serving_is_one_event(tmp_path: Path, day: Day) -> None:
    with day.desk.start("pm.serve", "--port", 0, "--db", tmp_path / "other.db", "--json", "-q") as board:
        wait_until(lambda: board.output().endswith("\n"), what="the event")
        board.signal(signal.SIGTERM)
        assert board.wait() in (0, 143)
        (event,) = checked_lines("pm.serve", board.output())
    assert event["event"] == "serving"


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (("lock", "--agent-id", "../x", "--task-id", 1), 2, "usage"),
        (("pm.next", "--role", "qa"), 3, "nothing_to_do"),
        (("pm.task", "--task-id", 99), 65, "not_found"),
        (("health", "--repo", "/no/such/place"), 78, "misconfigured"),
    ],
)
def test_errors_are_as_their_schema_says(day: Day, words: tuple[object, ...], code: int, error: str) -> None:
    assert day.refused(*map(str, words), code=code)["code"] == error


def test_every_line_of_a_whole_run_is_a_declared_event(day: Day) -> None:
    write = {"write": ["a.txt", "a\n"]}
    day.desk.board.add_task(description=script(write), complexity="minor")
    day.desk.board.add_task(description=script({"kill": 9}), complexity="major")
    events = day.events("run", *AGENT, "--max-tasks", 2)
    assert [event["event"] for event in events[:3]] == ["started", "task_taken", "workspace"]
    assert {"agent_started", "agent_ended", "reported", "parked", "task_finished", "ended"} <= {
        event["event"] for event in events
    }
