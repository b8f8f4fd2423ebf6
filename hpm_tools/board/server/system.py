"""The routes that need no key: what this is, and how it is."""

import os
from datetime import timedelta
from typing import Any

from anyio import to_thread
from fastapi import APIRouter
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from hpm_tools.board.server.desk import Desk, DeskDep
from hpm_tools.board.server.schemas import ProjectContextResponse
from hpm_tools.board.server.tables import agents, documents, services, tasks

SERVICE = {"service": "headless-pm-api", "version": "1.0.0"}
ACTIVE = timedelta(minutes=5)

router = APIRouter()


@router.get(
    "/api/v1/context",
    tags=["Public"],
    response_model=ProjectContextResponse,
    summary="Get project context",
    description="Get project configuration and paths for documentation (no authentication required)",
)
def get_public_context() -> dict[str, str]:
    return {
        "project_name": os.environ.get("PROJECT_NAME", "Headless PM"),
        "shared_path": os.environ.get("SHARED_PATH", "./shared"),
        "instructions_path": os.environ.get("INSTRUCTIONS_PATH", "./agent_instructions"),
        "project_docs_path": os.environ.get("PROJECT_DOCS_PATH", "./docs"),
        "database_type": "sqlite",
    }


@router.get("/", tags=["Root"], response_model=None)
def read_root() -> dict[str, str]:
    return {"message": "Headless PM API", "docs": "/api/v1/docs", "health": "ok"}


@router.get(
    "/health",
    tags=["Health"],
    response_model=None,
    description="Enhanced health check endpoint with database and dashboard status",
)
async def health_check(desk: DeskDep) -> dict[str, Any]:
    """Always 200. ``exact_lock`` and ``cheap_wait`` are our additions; the real server has neither."""
    if desk.behaviour.polls_hold_threads:
        return await to_thread.run_sync(_health, desk)
    return await to_thread.run_sync(_health, desk, limiter=desk.health_thread)


def _health(desk: Desk) -> dict[str, Any]:
    try:
        with desk.database.read() as connection:
            connection.execute(select(agents.c.id).limit(1)).first()
        database = "healthy"
    except SQLAlchemyError as error:
        database = f"unhealthy: {error}"
    degraded = desk.behaviour.dashboard_degrades_health and bool(os.environ.get("DASHBOARD_PORT"))
    answer: dict[str, Any] = {
        "status": "healthy" if database == "healthy" and not degraded else "degraded",
        **SERVICE,
        "database": database,
        "dashboard": "stopped",
        "timestamp": desk.clock.now().isoformat(),
    }
    if not desk.behaviour.racy_lock:
        answer["exact_lock"] = True
    if not desk.behaviour.polls_hold_threads:
        answer["cheap_wait"] = True
    return answer


@router.get(
    "/status",
    tags=["Health"],
    response_model=None,
    description="Detailed status endpoint with system metrics",
)
def status_check(desk: DeskDep) -> dict[str, Any]:
    now = desk.clock.now()
    active = agents.c.last_seen > now - ACTIVE
    counts = {
        "total_agents": select(func.count()).select_from(agents),
        "active_agents": select(func.count()).select_from(agents).where(active),
        "total_tasks": select(func.count()).select_from(tasks),
        "total_documents": select(func.count()).select_from(documents),
        "total_services": select(func.count()).select_from(services),
    }
    with desk.database.read() as connection:
        metrics = {name: connection.execute(query).scalar_one() for name, query in counts.items()}
    return {**SERVICE, "metrics": metrics, "timestamp": now.isoformat()}
