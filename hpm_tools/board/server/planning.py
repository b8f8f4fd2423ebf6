"""Epics and their features."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Depends, HTTPException
from sqlalchemy import RowMapping, Table, delete, func, select, text

from hpm_tools.board.server.database import rowid
from hpm_tools.board.server.desk import Desk, DeskDep, KeyedRoute, documented_key
from hpm_tools.board.server.rows import add, require_role, saw
from hpm_tools.board.server.schemas import (
    AgentRole,
    EpicCreateRequest,
    EpicResponse,
    FeatureCreateRequest,
    FeatureResponse,
    TaskStatus,
)
from hpm_tools.board.server.tables import epics, features, tasks

IN_PROGRESS = (TaskStatus.UNDER_WORK, TaskStatus.DEV_DONE, TaskStatus.QA_DONE, TaskStatus.DOCUMENTATION_DONE)

router = APIRouter(prefix="/api/v1", route_class=KeyedRoute, dependencies=[Depends(documented_key)])


@router.post(
    "/epics",
    response_model=EpicResponse,
    summary="Create a new epic",
    description="PMs and architects can create epics",
)
def create_epic_endpoint(desk: DeskDep, request: EpicCreateRequest, agent_id: str) -> dict[str, Any]:
    new = {**request.model_dump(), "created_at": desk.clock.now()}
    with desk.database.write() as connection:
        require_role(connection, agent_id, AgentRole.PM, AgentRole.ARCHITECT)
        saw(desk, connection, agent_id)
        return new | {"id": add(connection, epics, new)}


@router.get(
    "/epics",
    response_model=list[EpicResponse],
    summary="List all epics",
    description="Get all epics with task progress information",
)
def list_epics_endpoint(desk: DeskDep) -> Sequence[RowMapping]:
    query = (
        select(
            epics,
            func.count(tasks.c.id).label("task_count"),
            func.count(tasks.c.id)
            .filter(tasks.c.status == TaskStatus.COMMITTED)
            .label("completed_task_count"),
            func.count(tasks.c.id).filter(tasks.c.status.in_(IN_PROGRESS)).label("in_progress_task_count"),
        )
        .outerjoin(features, features.c.epic_id == epics.c.id)
        .outerjoin(tasks, tasks.c.feature_id == features.c.id)
        .group_by(epics.c.id)
        .order_by(epics.c.id)
    )
    with desk.database.read() as connection:
        return connection.execute(query).mappings().all()


@router.delete(
    "/epics/{epic_id}",
    response_model=None,
    summary="Delete an epic (PM only)",
    description="Delete an epic and all its features and tasks. Only PM agents can perform this action.",
)
def delete_epic_endpoint(desk: DeskDep, epic_id: int, agent_id: str) -> dict[str, str]:
    return delete_row(desk, epics, "Epic", epic_id, agent_id)


@router.post(
    "/features",
    response_model=FeatureResponse,
    summary="Create a new feature",
    description="PMs and architects can create features within epics",
)
def create_feature_endpoint(desk: DeskDep, request: FeatureCreateRequest, agent_id: str) -> dict[str, Any]:
    new = request.model_dump()
    with desk.database.write() as connection:
        require_role(connection, agent_id, AgentRole.PM, AgentRole.ARCHITECT)
        if not connection.execute(epics.select().where(epics.c.id == rowid(request.epic_id))).first():
            raise HTTPException(404, "Epic not found")
        saw(desk, connection, agent_id)
        return new | {"id": add(connection, features, new)}


@router.get(
    "/features/{epic_id}",
    response_model=list[FeatureResponse],
    summary="List features for an epic",
    description="Get all features belonging to a specific epic",
)
def list_features_endpoint(desk: DeskDep, epic_id: int) -> Sequence[RowMapping]:
    query = features.select().where(features.c.epic_id == rowid(epic_id)).order_by(features.c.id)
    with desk.database.read() as connection:
        return connection.execute(query).mappings().all()


@router.delete(
    "/features/{feature_id}",
    response_model=None,
    summary="Delete a feature (PM only)",
    description="Delete a feature and all its tasks. Only PM agents can perform this action.",
)
def delete_feature_endpoint(desk: DeskDep, feature_id: int, agent_id: str) -> dict[str, str]:
    return delete_row(desk, features, "Feature", feature_id, agent_id)


def delete_row(desk: Desk, table: Table, what: str, row_id: int, agent_id: str) -> dict[str, str]:
    """Delete one row and, by the foreign keys, all that hangs on it. PM only: 403; 404 without the row."""
    with desk.database.write() as connection:
        require_role(connection, agent_id, AgentRole.PM)
        saw(desk, connection, agent_id)
        if not connection.execute(delete(table).where(table.c.id == rowid(row_id))).rowcount:
            raise HTTPException(404, f"{what} not found")
        if desk.behaviour.reuses_ids:
            # Without its remembered maximum, AUTOINCREMENT counts on from the highest id still there.
            connection.execute(text("DELETE FROM sqlite_sequence"))
    return {"message": f"{what} {row_id} deleted successfully"}
