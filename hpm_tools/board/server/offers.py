"""Which task is offered to whom, and waiting for one."""

import asyncio
import time
from collections.abc import Collection
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic.json_schema import SkipJsonSchema
from sqlalchemy import Select, select, tuple_, union_all, update

from hpm_tools.board.server.desk import Desk, DeskDep, KeyedRoute, documented_key
from hpm_tools.board.server.rows import TASKS, tasks_of
from hpm_tools.board.server.schemas import AgentRole, DifficultyLevel, TaskResponse, TaskStatus
from hpm_tools.board.server.tables import agents, tasks
from hpm_tools.board.server.wakeups import Told

STALE_AFTER = timedelta(minutes=30)
DEFAULT_WAIT = 180
LONGEST_WAIT = 24 * 3600
LOOK_AGAIN = 20.0
"""Seconds after which a waiting agent looks unprompted: locks become stale, and callers go, without a word."""
LEFT_AFTER = 2.0
"""Seconds after which a task that one who waits was told of is told to the next, unless it was locked."""
UPSTREAM_STEP = 5.0

LEVELS = list(DifficultyLevel)

router = APIRouter(prefix="/api/v1", route_class=KeyedRoute, dependencies=[Depends(documented_key)])


def offered(role: str, level: str, without: Collection[Told] = ()) -> Select[Any]:
    """The one oldest unlocked task for an agent of this role and level that is none of ``without``.

    qa is offered whatever is ``dev_done``; everybody else their own role's ``created`` tasks up to their
    level. Each part is one index seek, so that the number of tasks does not matter.
    """
    free = select(tasks.c.id, tasks.c.created_at).where(tasks.c.locked_by.is_(None))
    if without:
        free = free.where(tuple_(tasks.c.id, tasks.c.created_at).not_in(without))
    oldest = (tasks.c.created_at, tasks.c.id)
    if role == AgentRole.QA:
        seeks = [free.where(tasks.c.status == TaskStatus.DEV_DONE)]
    else:
        seeks = [
            free.where(
                tasks.c.status == status, tasks.c.target_role == role, tasks.c.difficulty == difficulty
            )
            for status in (TaskStatus.CREATED, TaskStatus.APPROVED)
            for difficulty in LEVELS[: LEVELS.index(DifficultyLevel(level)) + 1]
        ]
    firsts = union_all(*(select(seek.order_by(*oldest).limit(1).subquery()) for seek in seeks)).subquery()
    first = select(firsts.c.id).order_by(firsts.c.created_at, firsts.c.id).limit(1)
    return TASKS.where(tasks.c.id == first.scalar_subquery())


def look(desk: Desk, role: str, level: str, without: Collection[Told] = ()) -> dict[str, Any] | None:
    """Clear stale locks, then find the task offered; claims nothing."""
    clear_stale_locks(desk)
    with desk.database.read() as connection:
        found = tasks_of(connection, offered(role, level, without))
    return found[0] if found else None


def clear_stale_locks(desk: Desk) -> None:
    """Free every task whose holder was last seen more than 30 minutes ago; its status stays."""
    silent = (agents.c.agent_id == tasks.c.locked_by) & (agents.c.last_seen < desk.clock.now() - STALE_AFTER)
    stale = select(tasks.c.id).join(agents, silent).where(tasks.c.locked_by.is_not(None))
    with desk.database.read() as connection:
        if connection.execute(stale.limit(1)).first() is None:
            return
    with desk.database.write() as connection:
        freed = update(tasks).where(tasks.c.id.in_(stale)).values(locked_by=None, locked_at=None)
        connection.execute(freed)
    desk.wakeups.announce()


async def wait(
    desk: Desk,
    request: Request,
    role: str,
    level: str,
    seconds: float,
    *,
    look_again: float = LOOK_AGAIN,
    left_after: float = LEFT_AFTER,
) -> dict[str, Any] | None:
    """Look until there is a task, the time is up, the caller has gone or the server ends; holds no thread.

    A task that one who waits was told of is told to no other who does for ``left_after`` seconds: of many
    who wait each is told of another one. Who does not wait sees what there is, and keeps it from nobody.
    """
    if seconds <= 0:
        return await run_in_threadpool(look, desk, role, level)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + min(seconds, LONGEST_WAIT)
    with desk.wakeups.line((role, level)) as turn:
        while True:
            turn.clear()
            task = await run_in_threadpool(look, desk, role, level, desk.wakeups.told())
            if await request.is_disconnected():
                turn.set()  # and so hand it on
                return None
            if task is not None:
                key = (task["id"], task["created_at"])
                if key in desk.wakeups.told():  # to another, while we looked
                    continue
                desk.wakeups.tell(key, left_after)
                return task
            left = deadline - loop.time()
            if left <= 0 or desk.wakeups.closed:
                return None
            try:
                await asyncio.wait_for(turn.wait(), min(left, look_again))
            except TimeoutError:
                continue


def poll(desk: Desk, role: str, level: str, seconds: float) -> dict[str, Any] | None:
    """The real server's wait: this worker thread sleeps between looks, whether or not the caller is still there."""
    deadline = time.monotonic() + seconds
    while True:
        task = look(desk, role, level)
        left = deadline - time.monotonic()
        if task is not None or left <= 0 or desk.ended.wait(min(left, UPSTREAM_STEP)):
            return task


@router.get(
    "/tasks/next",
    response_model=TaskResponse | None,
    summary="Get next available task",
    description="Get the next task based on agent's role and skill level. Waits up to 3 minutes if no tasks are "
    "available, returns null if none found. Both 'role' and 'level' query parameters are required. Use "
    "'simulate=true' to skip waiting for testing. Use 'timeout' to override wait duration (in seconds).",
)
async def get_next_task(
    request: Request,
    desk: DeskDep,
    role: AgentRole | SkipJsonSchema[None] = None,
    level: DifficultyLevel | SkipJsonSchema[None] = None,
    *,
    simulate: bool = False,
    timeout: Annotated[int | None, Query()] = None,  # noqa: ASYNC109  the API's name
) -> dict[str, Any] | None:
    if role is None:
        raise HTTPException(400, _missing("role", "frontend_dev"))
    if level is None:
        raise HTTPException(400, _missing("level", "senior"))
    seconds = 0 if simulate else DEFAULT_WAIT if timeout is None else max(0, min(timeout, LONGEST_WAIT))
    if desk.behaviour.polls_hold_threads:
        return await run_in_threadpool(poll, desk, role, level, seconds)
    return await wait(desk, request, role, level, seconds)


def _missing(name: str, example: str) -> str:
    return f"Missing required parameter '{name}'. Please provide a valid {name} (e.g., ?{name}={example})"
