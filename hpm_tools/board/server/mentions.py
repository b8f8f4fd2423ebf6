"""Mentions: ``@agent`` in comments and documents."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query
from sqlalchemy import Connection, RowMapping, Select, insert, select, update

from hpm_tools.board.server.database import rowid
from hpm_tools.board.server.desk import DeskDep, KeyedRoute, documented_key
from hpm_tools.board.server.schemas import MentionResponse
from hpm_tools.board.server.tables import agents, documents, mentions, tasks

MENTION = re.compile(r"@([A-Za-z0-9_]+)")
"""As the real server finds them: ``a@b.com`` mentions b, and ``@qa-1`` mentions qa."""

MENTIONS = (
    select(mentions, documents.c.title.label("document_title"), tasks.c.title.label("task_title"))
    .outerjoin(documents, documents.c.id == mentions.c.document_id)
    .outerjoin(tasks, tasks.c.id == mentions.c.task_id)
    .order_by(mentions.c.created_at.desc(), mentions.c.id.desc())
)

Unread = Annotated[bool, Query(description="Only show unread mentions (default: False - shows all mentions)")]
Limit = Annotated[int, Query(description="Maximum number of mentions to return")]

router = APIRouter(
    prefix="/api/v1/mentions",
    tags=["Mentions"],
    route_class=KeyedRoute,
    dependencies=[Depends(documented_key)],
)


def mention(connection: Connection, text: str, created_by: str, now: datetime, **place: int) -> list[str]:
    """Record whom ``text`` mentions; ``place`` is ``task_id`` or ``document_id``. Returns the agent ids."""
    names = sorted(set(MENTION.findall(text)))
    common = {"created_by": created_by, "created_at": now, "is_read": False, **place}
    if names:
        connection.execute(insert(mentions), [{"mentioned_agent_id": name, **common} for name in names])
    return names


@router.get(
    "",
    response_model=list[MentionResponse],
    summary="Get mentions",
    description="Get mentions for a specific agent or all agents if agent_id is not provided",
)
def get_mentions(
    desk: DeskDep,
    agent_id: Annotated[
        str | None,
        Query(description="Agent ID to get mentions for (optional - returns all mentions if not provided)"),
    ] = None,
    *,
    unread_only: Unread = False,
    limit: Limit = 50,
) -> Sequence[RowMapping]:
    query = MENTIONS
    if agent_id:
        query = query.where(mentions.c.mentioned_agent_id == agent_id)
    return _listed(desk, query, unread_only, limit)


@router.get(
    "/by-role",
    response_model=list[MentionResponse],
    summary="Get mentions by role",
    description="Get mentions for all agents of a specific role, or all mentions if no role specified",
)
def get_mentions_by_role(
    desk: DeskDep,
    role: Annotated[
        str | None,
        Query(
            description="Role to get mentions for (e.g., 'backend_dev', 'qa', etc.). If not provided, returns "
            "all mentions."
        ),
    ] = None,
    *,
    unread_only: Unread = False,
    limit: Limit = 50,
) -> Sequence[RowMapping]:
    query = MENTIONS
    if role:
        holders = select(agents.c.agent_id).where(agents.c.role == role)
        query = query.where(mentions.c.mentioned_agent_id.in_(holders))
    return _listed(desk, query, unread_only, limit)


def _listed(desk: DeskDep, query: Select[Any], unread_only: bool, limit: int) -> Sequence[RowMapping]:
    if unread_only:
        query = query.where(mentions.c.is_read.is_(False))
    with desk.database.read() as connection:
        return connection.execute(query.limit(rowid(limit))).mappings().all()


@router.put(
    "/{mention_id}/read",
    response_model=MentionResponse,
    summary="Mark mention as read",
    description="Mark a specific mention as read",
)
def mark_mention_read(
    desk: DeskDep,
    mention_id: int,
    agent_id: Annotated[str, Query(description="Agent ID marking the mention as read")],
) -> RowMapping:
    this = MENTIONS.where(mentions.c.id == rowid(mention_id))
    with desk.database.write() as connection:
        found = connection.execute(this).mappings().first()
        if found is None:
            raise HTTPException(404, "Mention not found")
        if found["mentioned_agent_id"] != agent_id:
            raise HTTPException(403, "Cannot mark mentions for other agents as read")
        connection.execute(update(mentions).where(mentions.c.id == mention_id).values(is_read=True))
        return connection.execute(this).mappings().one()
