"""Making, listing, commenting on and deleting tasks."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query
from sqlalchemy import case, update

from hpm_tools.board.server.database import rowid
from hpm_tools.board.server.desk import DeskDep, KeyedRoute, documented_key
from hpm_tools.board.server.mentions import mention
from hpm_tools.board.server.planning import delete_row
from hpm_tools.board.server.rows import TASKS, add, find_task, saw, tasks_of
from hpm_tools.board.server.schemas import (
    AgentRole,
    TaskCommentRequest,
    TaskCreateRequest,
    TaskResponse,
    TaskStatus,
)
from hpm_tools.board.server.tables import agents, changelog, features, tasks

router = APIRouter(prefix="/api/v1", route_class=KeyedRoute, dependencies=[Depends(documented_key)])


@router.post(
    "/tasks/create",
    response_model=TaskResponse,
    summary="Create a new task",
    description="Any agent can create a task for any role",
)
def create_task_endpoint(desk: DeskDep, request: TaskCreateRequest, agent_id: str) -> dict[str, Any]:
    now = desk.clock.now()
    new = {"status": TaskStatus.PENDING, "created_by": agent_id, "created_at": now, "updated_at": now}
    made = {
        "old_status": TaskStatus.PENDING,
        "new_status": TaskStatus.PENDING,
        "changed_by": agent_id,
        "notes": "Task created (pending)",
        "changed_at": now,
    }
    with desk.database.write() as connection:
        if not connection.execute(agents.select().where(agents.c.agent_id == agent_id)).first():
            raise HTTPException(404, "Creator agent not found")
        if not connection.execute(
            features.select().where(features.c.id == rowid(request.feature_id))
        ).first():
            raise HTTPException(404, "Feature not found")
        saw(desk, connection, agent_id)
        task_id = add(connection, tasks, request.model_dump() | new)
        add(connection, changelog, made | {"task_id": task_id})
        return find_task(connection, task_id)


@router.get(
    "/tasks",
    response_model=list[TaskResponse],
    summary="List all tasks",
    description="Get all tasks with optional filtering by status and role",
)
def list_tasks_endpoint(
    desk: DeskDep,
    status: TaskStatus | None = None,
    role: AgentRole | None = None,
    task_id: Annotated[int | None, Query(description="only this task, if it is among them")] = None,
) -> list[dict[str, Any]]:
    query = TASKS.order_by(tasks.c.created_at.desc(), tasks.c.id.desc())
    if task_id is not None and not desk.behaviour.lists_by_status_and_role_alone:
        query = query.where(tasks.c.id == rowid(task_id))
    if status is not None:
        query = query.where(tasks.c.status == status)
    if role is not None:
        query = query.where(tasks.c.target_role == role)
    with desk.database.read() as connection:
        return tasks_of(connection, query)


@router.post(
    "/tasks/{task_id}/comment",
    response_model=None,
    summary="Add comment to task",
    description="Add a comment during evaluation phase with @mention detection",
)
def add_comment_endpoint(
    desk: DeskDep, task_id: int, request: TaskCommentRequest, agent_id: str
) -> dict[str, str]:
    now = desk.clock.now()
    comment = f"{agent_id}: {request.comment}"
    appended = case((tasks.c.comments.is_(None), comment), else_=tasks.c.comments + "\n\n" + comment)
    with desk.database.write() as connection:
        find_task(connection, task_id)
        saw(desk, connection, agent_id)
        changed = update(tasks).where(tasks.c.id == task_id).values(comments=appended, updated_at=now)
        connection.execute(changed)
        mention(connection, request.comment, agent_id, now, task_id=task_id)
    return {"message": "Comment added successfully"}


@router.delete(
    "/tasks/{task_id}",
    response_model=None,
    summary="Delete a task (PM only)",
    description="Delete a task. Only PM agents can perform this action.",
)
def delete_task_endpoint(desk: DeskDep, task_id: int, agent_id: str) -> dict[str, str]:
    return delete_row(desk, tasks, "Task", task_id, agent_id)
