"""Finding and shaping rows that several routes need."""

from collections.abc import Mapping
from typing import Any

from fastapi import HTTPException
from sqlalchemy import Connection, RowMapping, Select, Table, insert, select, update

from hpm_tools.board.server.database import rowid
from hpm_tools.board.server.desk import Desk
from hpm_tools.board.server.tables import agents, features, tasks

TASKS = select(tasks, features.c.epic_id).join(features, tasks.c.feature_id == features.c.id)


def as_task(row: RowMapping) -> dict[str, Any]:
    """A row of TASKS as the API shows it: the last status's notes, then every comment."""
    task = dict(row)
    texts = [text for text in (task["notes"], task.pop("comments")) if text is not None]
    task["notes"] = "\n\n".join(texts) if texts else None
    return task


def tasks_of(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    return [as_task(row) for row in connection.execute(query).mappings()]


def add(connection: Connection, table: Table, values: Mapping[str, Any]) -> int:
    """Insert one row; returns its id."""
    row = connection.execute(insert(table).values(values).returning(table.c.id))
    new_id: int = row.scalar_one()
    return new_id


def find_task(connection: Connection, task_id: int) -> dict[str, Any]:
    """The task as the API shows it; 404 without one."""
    found = tasks_of(connection, TASKS.where(tasks.c.id == rowid(task_id)))
    if not found:
        raise HTTPException(404, f"Task with ID {task_id} not found. Please verify the task ID exists.")
    return found[0]


def find_agent(connection: Connection, agent_id: str) -> RowMapping:
    """The agent's row; 404 without one."""
    row = connection.execute(select(agents).where(agents.c.agent_id == agent_id)).mappings().first()
    if row is None:
        raise HTTPException(
            404,
            f"Agent '{agent_id}' not found. Please ensure the agent is registered using POST "
            "/api/v1/register before attempting this operation.",
        )
    return row


def require_role(connection: Connection, agent_id: str, *roles: str) -> None:
    """404 for an unknown agent, 403 for one of another role."""
    if find_agent(connection, agent_id)["role"] not in roles:
        raise HTTPException(403, f"Only {', '.join(roles)} agents can perform this operation")


def saw(desk: Desk, connection: Connection, agent_id: str) -> None:
    """The agent has just called: its locks are not stale."""
    if not desk.behaviour.seen_by_register_only:
        seen = update(agents).where(agents.c.agent_id == agent_id).values(last_seen=desk.clock.now())
        connection.execute(seen)
