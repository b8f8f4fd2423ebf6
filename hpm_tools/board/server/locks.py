"""The lock and the status: who works on a task, and how far it is."""

import time
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query
from sqlalchemy import Connection, update

from hpm_tools.board.server.clock import naive_utc
from hpm_tools.board.server.database import rowid
from hpm_tools.board.server.desk import Desk, DeskDep, KeyedRoute, documented_key
from hpm_tools.board.server.offers import look
from hpm_tools.board.server.rows import add, find_agent, find_task, saw
from hpm_tools.board.server.schemas import (
    TaskResponse,
    TaskStatus,
    TaskStatusUpdateRequest,
    TaskStatusUpdateResponse,
)
from hpm_tools.board.server.tables import changelog, tasks

router = APIRouter(prefix="/api/v1", route_class=KeyedRoute, dependencies=[Depends(documented_key)])


@router.post(
    "/tasks/{task_id}/lock",
    response_model=TaskResponse,
    summary="Lock a task",
    description="Lock a task to prevent other agents from working on it",
)
def lock_task_endpoint(
    desk: DeskDep,
    task_id: int,
    agent_id: str,
    expect_free: Annotated[bool, Query(include_in_schema=False)] = False,
) -> dict[str, Any]:
    """``expect_free``: 409 to the lock's holder, too. Left out of the description, which says what the real server takes."""
    if desk.behaviour.racy_lock:
        return _racy_lock(desk, task_id, agent_id)
    return _exact_lock(desk, task_id, agent_id, expect_free=expect_free)


def _exact_lock(desk: Desk, task_id: int, agent_id: str, *, expect_free: bool) -> dict[str, Any]:
    """One conditional UPDATE decides. The holder may ask again, unless it expects the task to be free: 200, and
    ``locked_at`` stays."""
    with desk.database.write() as connection:
        find_task(connection, task_id)
        find_agent(connection, agent_id)
        saw(desk, connection, agent_id)
        free = (tasks.c.id == rowid(task_id)) & tasks.c.locked_by.is_(None)
        taken = {"locked_by": agent_id, "locked_at": desk.clock.now()}
        locked = connection.execute(update(tasks).where(free).values(taken)).rowcount
        task = find_task(connection, task_id)
    if task["locked_by"] != agent_id or (expect_free and not locked):
        raise _already_locked(task_id)
    # The next in line was not told while this one was on offer, and there may be another.
    desk.wakeups.announce()
    return task


def _racy_lock(desk: Desk, task_id: int, agent_id: str) -> dict[str, Any]:
    """The real server's: whoever saw it free writes, the last one holds it, and all are told that they do."""
    with desk.database.read() as connection:
        task = find_task(connection, task_id)
        if task["locked_by"] is not None:
            raise _already_locked(task_id)
        find_agent(connection, agent_id)
    time.sleep(desk.settings.lock_delay)
    taken = {"locked_by": agent_id, "locked_at": desk.clock.now()}
    with desk.database.write() as connection:
        connection.execute(update(tasks).where(tasks.c.id == rowid(task_id)).values(taken))
    return task | taken


def _already_locked(task_id: int) -> HTTPException:
    return HTTPException(
        409,
        f"Task {task_id} is already locked by another agent. The task must be unlocked before you can lock it.",
    )


@router.put(
    "/tasks/{task_id}/status",
    response_model=TaskStatusUpdateResponse,
    summary="Update task status",
    description="Update task status, automatically release lock when moving from UNDER_WORK, and return next "
    "available task",
)
def update_task_status_endpoint(
    desk: DeskDep,
    task_id: int,
    request: TaskStatusUpdateRequest,
    agent_id: str,
    expect_lock: Annotated[
        str | None,
        Query(description="locked_by,locked_at as last read; answered 409 when that is not the task's lock"),
    ] = None,
) -> dict[str, Any]:
    with desk.database.write() as connection:
        task = find_task(connection, task_id)
        agent = find_agent(connection, agent_id)
        if expect_lock is not None and not desk.behaviour.racy_lock:
            _check_lock(task, expect_lock)
        saw(desk, connection, agent_id)
        _write_status(desk, connection, task, agent_id, request)
        task = find_task(connection, task_id)
    if task["locked_by"] is None:
        desk.wakeups.announce()
    next_task = look(desk, agent["role"], agent["level"])
    answer = {"task": task, "next_task": next_task, "task_completed": task_id}
    if next_task is not None:
        return answer | {"workflow_status": "continue"}
    return answer | {
        "workflow_status": "no_tasks",
        "auto_continue": False,
        "continuation_prompt": "No more tasks available",
        "session_momentum": "low",
    }


def _check_lock(task: dict[str, Any], expected: str) -> None:
    """409 unless the task is locked by exactly this agent since exactly this moment."""
    holder, comma, since = expected.rpartition(",")
    try:
        moment = naive_utc(datetime.fromisoformat(since))
    except ValueError:
        moment = None
    if not comma or moment is None:
        raise HTTPException(422, "expect_lock must be the holder's agent id, a comma and locked_at")
    if (task["locked_by"], task["locked_at"]) != (holder, moment):
        lock = "not locked"
        if task["locked_by"] is not None:
            lock = f"locked by {task['locked_by']} since {task['locked_at'].isoformat()}"
        raise HTTPException(409, f"Task {task['id']} is {lock}, not as expect_lock says.")


def _write_status(
    desk: Desk, connection: Connection, task: dict[str, Any], agent_id: str, request: TaskStatusUpdateRequest
) -> None:
    now = desk.clock.now()
    old, new = task["status"], request.status
    values: dict[str, Any] = {"status": new, "updated_at": now}
    if request.notes:
        values["notes"] = request.notes
        if desk.behaviour.notes_overwrite_comments:
            values["comments"] = None
    if _unlocks(desk, task, agent_id, new):
        values |= {"locked_by": None, "locked_at": None}
    connection.execute(update(tasks).where(tasks.c.id == task["id"]).values(values))
    change = {"old_status": old, "new_status": new, "notes": request.notes, "changed_at": now}
    add(connection, changelog, change | {"task_id": task["id"], "changed_by": agent_id})


def _unlocks(desk: Desk, task: dict[str, Any], agent_id: str, new: TaskStatus) -> bool:
    """Leaving ``under_work`` frees the task, whoever reports it.

    Beyond the real server: a holder who skips ``under_work`` and reports the task on (created → dev_done)
    frees it too, for it would stay hidden from qa until the lock is stale. Somebody else's change of status
    leaves a lock alone, as there.
    """
    if new in (TaskStatus.UNDER_WORK, task["status"]):
        return False
    if task["status"] == TaskStatus.UNDER_WORK:
        return True
    return task["locked_by"] == agent_id and not desk.behaviour.lock_outlives_skipped_work
