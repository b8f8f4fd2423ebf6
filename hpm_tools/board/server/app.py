"""The FastAPI application: the real server's API on our database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from hpm_tools.board.server import (
    agents,
    documents,
    errors,
    history,
    locks,
    mentions,
    offers,
    planning,
    services,
    system,
    tasks,
)
from hpm_tools.board.server.desk import Desk

PARTS = (system, agents, planning, offers, tasks, locks, history, documents, services, mentions)


def create_app(desk: Desk) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        desk.wakeups.bind(asyncio.get_running_loop())
        yield
        desk.database.close()

    app = FastAPI(
        title="Headless PM API",
        description="A lightweight project management API for LLM agent coordination",
        version="1.0.0",
        docs_url="/api/v1/docs",
        redoc_url="/api/v1/redoc",
        openapi_url="/api/v1/openapi.json",
        lifespan=lifespan,
    )
    app.state.desk = desk
    for part in PARTS:
        app.include_router(part.router)
    errors.install(app, desk.behaviour)
    if desk.behaviour.racy_lock:
        _hide_additions(app)
    return app


ADDITIONS = (
    ("/api/v1/tasks/{task_id}/status", "put", "expect_lock"),
    ("/api/v1/tasks", "get", "task_id"),
)
"""Query parameters that the real server ignores, as it ignores all that it does not know."""


def _hide_additions(app: FastAPI) -> None:
    """The real server's description knows none of them."""
    described: dict[str, Any] = app.openapi()
    for path, method, name in ADDITIONS:
        operation = described["paths"][path][method]
        operation["parameters"] = [it for it in operation["parameters"] if it["name"] != name]
