"""Records that a runner finds at its start: the earlier runner's, a person's, a damaged one, none at all."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.fixtures_board import EITHER_BOARD
from tests.support.repos import make_repo
from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

WRITE = {"write": ["a.txt", "hello\n"]}


@pytest.fixture
def desk(tmp_path: Path, board: BoardUnderTest) -> Desk:
    return Desk(tmp_path / "desk", board, make_repo(tmp_path / "repo").root)


@pytest.fixture
def agent() -> str:
    """An id that no other process of this machine has among its arguments."""
    return f"old_{uuid.uuid4().hex[:12]}"


def held_task(desk: Desk, agent: str = "dev_001", **fields: Any) -> Any:
    task = desk.board.add_task(description=script(WRITE), complexity="major", **fields)
    desk.board.register(agent)
    assert desk.board.lock(task["id"], agent).status == 200
    return task


def store_record(desk: Desk, content: bytes, agent: str = "dev_001") -> Path:
    locks = desk.state / "locks"
    locks.mkdir(mode=0o700, exist_ok=True)
    path = locks / f"agent-{agent}.lock"
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def old_record(task: Any, agent: str = "dev_001") -> bytes:
    fields = {
        "task_id": task["id"],
        "task_title": task["title"],
        "agent_id": agent,
        "locked_at": "2026-01-02T03:04:05",
        "worktree_path": None,
        "branch_name": None,
        "task_data": task,
    }
    return json.dumps(fields).encode()


@EITHER_BOARD
def test_the_earlier_runners_record_is_resumed_by_the_same_agent_id(desk: Desk, agent: str) -> None:
    task = held_task(desk, agent)
    store_record(desk, old_record(task, agent), agent)
    done = desk.run_single("backend_dev", agent)
    assert done.returncode == 0, done.stdout + done.stderr
    found = desk.board.task(task["id"])
    assert (found["status"], found["locked_by"]) == ("dev_done", None)
    assert desk.record(agent) is None


@EITHER_BOARD
def test_an_old_record_is_left_alone_while_another_process_names_its_agent(desk: Desk, agent: str) -> None:
    task = held_task(desk, agent)
    path = store_record(desk, old_record(task, agent), agent)
    earlier_runner = [sys.executable, "-c", "import sys; sys.stdin.read()", "--agent-id", agent]
    with subprocess.Popen(earlier_runner, stdin=subprocess.PIPE) as process:
        done = desk.run_single("backend_dev", agent)
        assert done.returncode == 75, done.stdout + done.stderr
        assert f"process {process.pid}" in done.stderr
        process.communicate()
    assert path.read_bytes() == old_record(task, agent)


def test_an_old_record_whose_task_has_gone_on_is_forgotten(desk: Desk, agent: str) -> None:
    task = held_task(desk, agent)
    store_record(desk, old_record(task, agent), agent)
    desk.board.put(task["id"], "pm1", "under_work")
    desk.board.put(task["id"], "pm1", "committed")
    done = desk.run_single("backend_dev", agent)
    assert done.returncode in (1, 3), done.stdout + done.stderr
    assert desk.board.task(task["id"])["status"] == "committed"
    assert desk.record(agent) is None
    assert desk.agent_starts() == []


@EITHER_BOARD
@pytest.mark.fault("record-damaged")
@pytest.mark.parametrize(
    "content",
    [
        b"",
        pytest.param(b"{", marks=pytest.mark.extended),
        pytest.param(b"\x00\xff", marks=pytest.mark.extended),
        pytest.param(b"[]", marks=pytest.mark.extended),
        b'{"task_id": "x"}',
    ],
)
def test_a_damaged_record_is_kept_aside_and_rebuilt_from_the_board(desk: Desk, content: bytes) -> None:
    task = held_task(desk)
    path = store_record(desk, content)
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.board.task(task["id"])["status"] == "dev_done"
    assert not path.exists()
    kept = list(path.parent.glob("*.corrupt-*"))
    assert [file.read_bytes() for file in kept] == [content]


@EITHER_BOARD
@pytest.mark.fault("record-newer")
def test_a_newer_record_stops_everything(desk: Desk) -> None:
    task = held_task(desk)
    content = json.dumps({"schema": 99, "task_id": task["id"], "agent_id": "dev_001"}).encode()
    path = store_record(desk, content)
    done = desk.run_single()
    assert done.returncode == 78, done.stdout + done.stderr
    assert path.read_bytes() == content
    assert desk.board.task(task["id"])["locked_by"] == "dev_001"


@EITHER_BOARD
@pytest.mark.fault("P1")
def test_a_persons_record_needs_a_persons_word(desk: Desk) -> None:
    task = desk.board.add_task(description=script(WRITE), complexity="major")
    desk.board.register("dev_001")
    assert desk.hpm("lock", "--agent-id", "dev_001", "--task-id", task["id"]).returncode == 0
    refused = desk.run_single()
    assert refused.returncode == 75
    assert "by hand" in refused.stderr
    assert desk.hpm("unlock", "--agent-id", "dev_001").returncode == 0
    assert desk.board.task(task["id"])["locked_by"] is None
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_lock_without_a_record_is_told_and_not_taken_for_ours(desk: Desk) -> None:
    desk.change(heartbeat_interval=0.5)  # two of which are waited for, lest another host works on it
    held_task(desk)
    done = desk.run_single()
    assert done.returncode == 3, done.stdout + done.stderr
    assert "no record of it" in done.stderr
