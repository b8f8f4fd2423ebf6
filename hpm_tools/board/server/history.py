"""What happened: the log of status changes, and changes since a moment."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from sqlalchemy import RowMapping, select

from hpm_tools.board.server.clock import naive_utc
from hpm_tools.board.server.database import rowid
from hpm_tools.board.server.desk import DeskDep, KeyedRoute, documented_key
from hpm_tools.board.server.schemas import ChangelogResponse, ChangesResponse
from hpm_tools.board.server.tables import changelog, documents, tasks

TASK_FACTS = ("task_id", "title", "old_status", "new_status", "changed_by", "notes")
DOCUMENT_FACTS = ("document_id", "doc_type", "title", "author_id")

router = APIRouter(prefix="/api/v1", route_class=KeyedRoute, dependencies=[Depends(documented_key)])


@router.get(
    "/changelog",
    response_model=list[ChangelogResponse],
    summary="Get recent changes",
    description="Get recent task status changes across the project",
)
def get_changelog(desk: DeskDep, limit: int = 50) -> Sequence[RowMapping]:
    """Newest first; a negative limit means all."""
    query = changelog.select().order_by(changelog.c.changed_at.desc(), changelog.c.id.desc())
    with desk.database.read() as connection:
        return connection.execute(query.limit(rowid(limit))).mappings().all()


@router.get(
    "/changes",
    tags=["Changes"],
    response_model=ChangesResponse,
    summary="Poll for changes",
    description="Get all changes since a given timestamp for efficient polling",
)
def get_changes(
    desk: DeskDep,
    since: Annotated[datetime, Query(description="Get changes after this timestamp")],
    agent_id: Annotated[str, Query(description="Agent ID requesting changes")],  # noqa: ARG001  the API demands it
) -> dict[str, Any]:
    """``since`` is UTC without a zone, or carries one. Oldest change first."""
    if since.tzinfo is not None and desk.behaviour.zoned_since_is_empty:
        return {"changes": [], "last_timestamp": since}
    after = naive_utc(since)
    changes = sorted(
        _task_changes(desk, after) + _document_changes(desk, after), key=lambda it: it["timestamp"]
    )
    return {"changes": changes, "last_timestamp": changes[-1]["timestamp"] if changes else after}


def _task_changes(desk: DeskDep, after: datetime) -> list[dict[str, Any]]:
    query = select(changelog, tasks.c.title).join(tasks).where(changelog.c.changed_at > after)
    with desk.database.read() as connection:
        rows = connection.execute(query).mappings().all()
    return [_change("task_updated", row["changed_at"], row, TASK_FACTS) for row in rows]


def _document_changes(desk: DeskDep, after: datetime) -> list[dict[str, Any]]:
    columns = documents.c
    query = select(
        columns.id.label("document_id"),
        columns.doc_type,
        columns.title,
        columns.author_id,
        columns.created_at,
        columns.updated_at,
    )
    with desk.database.read() as connection:
        made = connection.execute(query.where(columns.created_at > after)).mappings().all()
        changed = query.where(columns.updated_at > after, columns.updated_at != columns.created_at)
        edited = connection.execute(changed).mappings().all()
    return [_change("document_created", row["created_at"], row, DOCUMENT_FACTS) for row in made] + [
        _change("document_updated", row["updated_at"], row, DOCUMENT_FACTS) for row in edited
    ]


def _change(kind: str, moment: datetime, row: RowMapping, facts: tuple[str, ...]) -> dict[str, Any]:
    return {"type": kind, "timestamp": moment, "data": {fact: row[fact] for fact in facts}}
