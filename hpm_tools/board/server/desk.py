"""Shared state of the board server: database, clock, settings."""

import hmac
import threading
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from anyio import CapacityLimiter
from fastapi import Depends, Header, HTTPException, Request, Response
from fastapi.routing import APIRoute

from hpm_tools.board.server.clock import Clock
from hpm_tools.board.server.database import Database
from hpm_tools.board.server.settings import Settings
from hpm_tools.board.server.wakeups import Wakeups


class Desk:
    """One server's database, clock, settings and waiting agents."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.behaviour = settings.behaviour
        self.database = Database(settings.db)
        self.clock = Clock(settings.clock_offset_file)
        self.wakeups = Wakeups()
        self.ended = threading.Event()
        """Set when the process must go at once, sleeping worker threads included."""
        self.health_thread = CapacityLimiter(1)
        """A worker thread of its own: forty requests waiting for a held database must not hide that."""
        self._keys = [key.encode() for key in (*settings.keys, *self.behaviour.development_keys)]

    def knows(self, key: str | None) -> bool:
        given = (key or "").encode("utf-8", "surrogateescape")
        return any(hmac.compare_digest(given, known) for known in self._keys)

    def end(self) -> None:
        self.ended.set()
        self.wakeups.close()


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


DeskDep = Annotated[Desk, Depends(desk_of)]


def documented_key(x_api_key: Annotated[str | None, Header()] = None) -> None:
    """Puts the header into the API's description; KeyedRoute is what checks it."""


class KeyedRoute(APIRoute):
    """A route that answers 401 before anything of the request is read or validated."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            if not desk_of(request).knows(request.headers.get("x-api-key")):
                raise HTTPException(401, "Invalid API key")
            return await handle(request)

        return checked
