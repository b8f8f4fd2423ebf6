"""`lock` takes what the board offers to the agent's role, and what was reported already is never set back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.runners import Desk

AGENT = ("--agent-id", "dev_001")


def lock(desk: Desk, task: Any, *more: object, role: str = "backend_dev", stdin: str = "") -> tuple[int, str]:
    desk.board.register("dev_001", "backend_dev" if role == "fullstack_dev" else role)
    which = ("--task", "-") if stdin else ("--task-id", task["id"])
    done = desk.hpm("lock", *AGENT, *which, *more, stdin=stdin)
    return done.returncode, done.stderr


def holder(desk: Desk, task: Any) -> Any:
    return desk.board.task(task["id"])["locked_by"]


@pytest.mark.fault("A6")
@pytest.mark.parametrize(
    ("role", "status", "target"),
    [
        ("backend_dev", "qa_done", "backend_dev"),
        ("backend_dev", "created", "frontend_dev"),
        ("backend_dev", "dev_done", "backend_dev"),
        ("backend_dev", "committed", "backend_dev"),
        ("backend_dev", "under_work", "backend_dev"),
        ("qa", "created", "qa"),
        ("qa", "approved", "backend_dev"),
    ],
)
def test_lock_refuses_a_task_not_offered_to_the_role(desk: Desk, role: str, status: str, target: str) -> None:
    task = desk.board.add_task(status, target_role=target)
    code, error = lock(desk, task, role=role)
    if code == 65:
        assert f"task {task['id']} is {status}" in error
        assert f"nothing for {role} to do" in error
        assert desk.record() is None
    assert holder(desk, task) is None, "locked although the board does not offer it"


@pytest.mark.fault("A6")
def test_lock_by_json_looks_at_the_status_that_the_task_has_by_now(desk: Desk) -> None:
    task = desk.board.add_task()
    offered = json.dumps(task)
    desk.board.put(task["id"], "pm1", "qa_done")
    lock(desk, task, stdin=offered)
    assert holder(desk, task) is None, "locked although qa has passed it since it was offered"


@pytest.mark.fault("A6")
@pytest.mark.parametrize(
    ("status", "target", "kind", "role"),
    [
        ("qa_done", "backend_dev", "blocked", "backend_dev"),
        ("approved", "frontend_dev", "blocked", "backend_dev"),
        ("qa_done", "backend_dev", "done", "backend_dev"),
        ("committed", "backend_dev", "rejected", "qa"),
    ],
)
def test_finish_never_sets_reported_work_back(
    desk: Desk, status: str, target: str, kind: str, role: str
) -> None:
    task = desk.board.add_task(status, complexity="major", target_role=target)
    if lock(desk, task, role=role)[0] != 0:
        assert lock(desk, task, "--force", role=role)[0] == 0
    desk.hpm("worktree.add", *AGENT)
    verdict = json.dumps({"kind": kind, "summary": "there was nothing to do", "no_change": True})
    done = desk.hpm("finish", *AGENT, "--verdict", "-", stdin=verdict)
    assert done.returncode in (0, 1), done.stderr
    assert desk.board.task(task["id"])["status"] == status


@pytest.mark.parametrize(
    ("role", "status", "target"),
    [
        ("backend_dev", "approved", "backend_dev"),
        ("qa", "dev_done", "frontend_dev"),
        ("architect", "created", "architect"),
    ],
)
def test_lock_takes_what_is_offered(desk: Desk, role: str, status: str, target: str) -> None:
    task = desk.board.add_task(status, target_role=target)
    assert lock(desk, task, role=role)[0] == 0
    assert lock(desk, task, role=role)[0] == 0, "locking one's own task again"
    assert holder(desk, task) == "dev_001"


def test_lock_role_says_the_role_and_fullstack_dev_counts_as_both(desk: Desk) -> None:
    task = desk.board.add_task(target_role="frontend_dev")
    assert lock(desk, task)[0] == 65
    assert lock(desk, task, "--role", "qa")[0] == 65
    assert lock(desk, task, "--role", "fullstack_dev")[0] == 0
    record = desk.record()
    assert record is not None
    assert record["role"] == "fullstack_dev"


def test_a_forced_lock_is_kept_as_an_event(desk: Desk) -> None:
    task = desk.board.add_task("qa_done")
    code, error = lock(desk, task, "--force")
    assert (code, "taken all the same" in error) == (0, True)
    kept = desk.hpm("events")
    assert "nothing for backend_dev to do" in kept.stdout, kept.stderr
