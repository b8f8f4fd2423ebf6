"""Services that agents run and tell each other about."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query
from sqlalchemy import Connection, RowMapping, delete, update
from sqlalchemy.dialects.sqlite import insert as upsert

from hpm_tools.board.server.desk import DeskDep, KeyedRoute, documented_key
from hpm_tools.board.server.rows import saw
from hpm_tools.board.server.schemas import ServiceRegisterRequest, ServiceResponse, ServiceStatus
from hpm_tools.board.server.tables import services

router = APIRouter(
    prefix="/api/v1/services",
    tags=["Services"],
    route_class=KeyedRoute,
    dependencies=[Depends(documented_key)],
)


@router.post(
    "/register",
    response_model=ServiceResponse,
    summary="Register or update service",
    description="Register a new service or update existing service status",
)
def register_service(
    desk: DeskDep,
    request: ServiceRegisterRequest,
    agent_id: Annotated[str, Query(description="Agent ID of the service owner")],
) -> RowMapping:
    now = desk.clock.now()
    values = {**request.model_dump(), "owner_agent_id": agent_id, "last_heartbeat": now, "updated_at": now}
    values["port"] = None if request.port is None else str(request.port)
    new = upsert(services).values(values)
    with desk.database.write() as connection:
        saw(desk, connection, agent_id)
        connection.execute(new.on_conflict_do_update(index_elements=[services.c.service_name], set_=values))
        row = services.select().where(services.c.service_name == request.service_name)
        return connection.execute(row).mappings().one()


@router.get(
    "",
    response_model=list[ServiceResponse],
    summary="List all services",
    description="Get list of all registered services",
)
def list_services(desk: DeskDep) -> Sequence[RowMapping]:
    with desk.database.read() as connection:
        return connection.execute(services.select().order_by(services.c.service_name)).mappings().all()


@router.post(
    "/{service_name}/heartbeat",
    response_model=ServiceResponse,
    summary="Send heartbeat",
    description="Update service heartbeat to keep it alive",
)
def service_heartbeat(
    desk: DeskDep,
    service_name: str,
    agent_id: Annotated[str, Query(description="Agent ID sending the heartbeat")],
) -> RowMapping:
    now = desk.clock.now()
    alive = {"last_heartbeat": now, "updated_at": now, "status": ServiceStatus.UP}
    with desk.database.write() as connection:
        service = _owned(connection, service_name, agent_id, "send heartbeat")
        saw(desk, connection, agent_id)
        connection.execute(update(services).where(services.c.id == service["id"]).values(alive))
        return _owned(connection, service_name, agent_id, "send heartbeat")


@router.delete(
    "/{service_name}",
    response_model=None,
    summary="Unregister service",
    description="Remove a service from the registry",
)
def unregister_service(
    desk: DeskDep,
    service_name: str,
    agent_id: Annotated[str, Query(description="Agent ID requesting deletion")],
) -> dict[str, str]:
    with desk.database.write() as connection:
        service = _owned(connection, service_name, agent_id, "unregister service")
        connection.execute(delete(services).where(services.c.id == service["id"]))
    return {"message": f"Service {service_name} unregistered successfully"}


def _owned(connection: Connection, name: str, agent_id: str, act: str) -> RowMapping:
    row = connection.execute(services.select().where(services.c.service_name == name)).mappings().first()
    if row is None:
        raise HTTPException(404, "Service not found")
    if row["owner_agent_id"] != agent_id:
        raise HTTPException(403, f"Only service owner can {act}")
    return row
