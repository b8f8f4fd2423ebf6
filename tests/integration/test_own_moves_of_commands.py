"""What a script's `finish` commits is this host's own: no runner that is at work meanwhile tells it as tampering."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

RUN = ("run", "--role", "backend_dev", "--single-task", "--agent-id", "dev_001")
DONE = json.dumps({"kind": "done", "summary": "did it"})
MOVED = "refs/heads/main was moved from "


def finish(desk: Desk) -> None:
    """Have a script work a task as dev_002, without an agent of ours: what it writes is committed by `finish`."""
    desk.board.register("dev_002")
    task = desk.board.add_task(complexity="minor")
    assert desk.hpm("lock", "--agent-id", "dev_002", "--task-id", task["id"]).returncode == 0
    place = desk.hpm("worktree.add", "--agent-id", "dev_002").stdout.strip()
    Path(place, "script.txt").write_text("by a script\n", encoding="utf-8")
    done = desk.hpm("finish", "--agent-id", "dev_002", "--verdict", "-", stdin=DONE)
    assert done.returncode == 0, done.stderr


@pytest.mark.fault("B8")
def test_a_commit_of_finish_is_no_tampering(desk: Desk, tmp_path: Path) -> None:
    told_of_what_a_person_moved(desk, tmp_path, first=True)


@pytest.mark.extended
def test_a_persons_commit_before_that_of_finish_is_told(desk: Desk, tmp_path: Path) -> None:
    told_of_what_a_person_moved(desk, tmp_path, first=False)


def told_of_what_a_person_moved(desk: Desk, tmp_path: Path, *, first: bool) -> None:
    go = tmp_path / "go"
    acts = ({"wait_for": str(go)}, {"write": ["work.txt", "work\n"]})
    desk.board.add_task(description=script(*acts), complexity="major")
    with desk.start(*RUN) as runner:
        wait_until(desk.agent_starts, what="the agent")
        if not first:
            desk.git("commit", "-q", "--allow-empty", "-m", "by hand")
        before = desk.git("rev-parse", "main")
        finish(desk)
        assert desk.git("rev-parse", "main~1") == before
        go.touch()
        assert runner.wait() == 0, runner.output()
        assert (MOVED in runner.output()) is not first, runner.output()
