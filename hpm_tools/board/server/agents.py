"""Registering, listing and deleting agents."""

import time
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Depends, HTTPException
from sqlalchemy import RowMapping, delete, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from hpm_tools.board.server.desk import Desk, DeskDep, KeyedRoute, documented_key
from hpm_tools.board.server.errors import UpstreamError
from hpm_tools.board.server.mentions import MENTIONS
from hpm_tools.board.server.offers import look
from hpm_tools.board.server.rows import add, find_agent, require_role, saw
from hpm_tools.board.server.schemas import (
    AgentRegisterRequest,
    AgentRegistrationResponse,
    AgentResponse,
    AgentRole,
)
from hpm_tools.board.server.tables import agents, mentions, tasks

MENTIONS_AT_REGISTRATION = 10

router = APIRouter(prefix="/api/v1", route_class=KeyedRoute, dependencies=[Depends(documented_key)])


@router.post(
    "/register",
    response_model=AgentRegistrationResponse,
    summary="Register an agent",
    description="Register a new agent or update existing agent's last seen timestamp. Returns agent info, next "
    "available task, and any unread mentions.",
)
def register_agent(desk: DeskDep, request: AgentRegisterRequest) -> dict[str, Any]:
    """A known agent keeps its role and level; the answer says which they are."""
    register = _racy_registration if desk.behaviour.racy_lock else _registration
    agent = register(desk, request)
    unread = MENTIONS.where(
        mentions.c.mentioned_agent_id == request.agent_id, mentions.c.is_read.is_(False)
    ).limit(MENTIONS_AT_REGISTRATION)
    next_task = look(desk, agent["role"], agent["level"])
    with desk.database.read() as connection:
        return {
            "agent": agent,
            "next_task": next_task,
            "mentions": connection.execute(unread).mappings().all(),
        }


def _registration(desk: Desk, request: AgentRegisterRequest) -> RowMapping:
    known = {"agent_id": request.agent_id, "role": request.role, "level": request.level}
    with desk.database.write() as connection:
        # Read in its turn: of two registrations of one id the later one must have the later time (board/twins.py).
        seen = {"connection_type": request.connection_type, "last_seen": desk.clock.now()}
        new = upsert(agents).values(**known, **seen)
        connection.execute(new.on_conflict_do_update(index_elements=[agents.c.agent_id], set_=seen))
        return find_agent(connection, request.agent_id)


def _racy_registration(desk: Desk, request: AgentRegisterRequest) -> RowMapping:
    seen = {"connection_type": request.connection_type, "last_seen": desk.clock.now()}
    with desk.database.read() as connection:
        known = connection.execute(agents.select().where(agents.c.agent_id == request.agent_id)).first()
    time.sleep(desk.settings.lock_delay)
    with desk.database.write() as connection:
        if known is None:
            new = {"agent_id": request.agent_id, "role": request.role, "level": request.level, **seen}
            add(connection, agents, new)
        else:
            connection.execute(update(agents).where(agents.c.agent_id == request.agent_id).values(seen))
        return find_agent(connection, request.agent_id)


@router.get(
    "/agents",
    response_model=list[AgentResponse],
    summary="List all agents",
    description="Get a list of all registered agents",
)
def list_agents(desk: DeskDep) -> Sequence[RowMapping]:
    with desk.database.read() as connection:
        return connection.execute(agents.select().order_by(agents.c.last_seen.desc())).mappings().all()


@router.delete(
    "/agents/{agent_id}",
    response_model=None,
    summary="Delete an agent (PM only)",
    description="Delete an agent record. Only PM agents can perform this action.",
)
def delete_agent_endpoint(desk: DeskDep, agent_id: str, requester_agent_id: str) -> dict[str, str]:
    with desk.database.write() as connection:
        require_role(connection, requester_agent_id, AgentRole.PM)
        if agent_id == requester_agent_id:
            raise HTTPException(400, "Cannot delete your own agent record")
        if not connection.execute(agents.select().where(agents.c.agent_id == agent_id)).first():
            raise HTTPException(404, "Agent not found")
        made = connection.execute(select(tasks.c.id).where(tasks.c.created_by == agent_id).limit(1)).first()
        if made is not None and desk.behaviour.creators_undeletable:
            raise UpstreamError("NOT NULL constraint failed: task.created_by_id")
        saw(desk, connection, requester_agent_id)
        held = tasks.c.locked_by == agent_id
        connection.execute(update(tasks).where(held).values(locked_by=None, locked_at=None))
        connection.execute(delete(agents).where(agents.c.agent_id == agent_id))
    desk.wakeups.announce()
    return {"message": f"Agent {agent_id} deleted successfully"}
