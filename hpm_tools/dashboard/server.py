"""The dashboard's routes, and serving them until somebody ends it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from hpm_tools.crowd import ACCEPTED_AT_ONCE, PatientProtocol, log_rarely
from hpm_tools.dashboard.guard import Guard, read_form
from hpm_tools.dashboard.page import DEFAULT_PERIOD, PERIODS, Page
from hpm_tools.dashboard.watch import Watch
from hpm_tools.errors import HpmError, NotFound
from hpm_tools.listening import BACKLOG

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    from starlette.requests import Request
    from starlette.responses import Response

    from hpm_tools.dashboard.access import Access
    from hpm_tools.dashboard.picture import Picture

STATIC = os.path.join(os.path.dirname(__file__), "static")
LAST_REQUESTS_SECONDS = 2


class Dashboard:
    """The application: ``picture`` is what is shown, ``access`` who may see it."""

    def __init__(self, picture: Picture, access: Access) -> None:
        self.picture = picture
        self.access = access
        self.page = Page(picture, form=access.form)
        self.watch = Watch(picture.changed, self.page.live_parts)
        routes = [
            Route("/", self.index),
            Route("/live", self.live),
            Route("/answer", self.answer, methods=["POST"]),
            Route("/run/{run}", self.run),
            Route("/metrics", self.metrics),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
        self.app = Guard(Starlette(routes=routes), access, self.page)

    async def index(self, request: Request) -> Response:
        period = _period(request)
        said = request.query_params.get("said", "")
        return HTMLResponse(await run_in_threadpool(self.page.whole, period, said))

    async def live(self, request: Request) -> Response:
        return StreamingResponse(self.watch.follow(_period(request)), media_type="text/event-stream")

    async def answer(self, request: Request) -> Response:
        form = await read_form(request)
        if not self.access.right_form(form.get("form", "")):
            return PlainTextResponse("this form is of an older page: reload it\n", 403)
        said = await run_in_threadpool(
            self.picture.answer, form.get("agent", ""), form.get("prompt", ""), form.get("choice", "")
        )
        return RedirectResponse(f"/?said={said}", 303)

    async def run(self, request: Request) -> Response:
        try:
            return HTMLResponse(await run_in_threadpool(self.page.run, request.path_params["run"]))
        except NotFound as error:
            return PlainTextResponse(error.message + "\n", 404)

    async def metrics(self, _request: Request) -> Response:
        try:
            text = await run_in_threadpool(self.picture.prometheus)
        except HpmError as error:
            return PlainTextResponse(error.message + "\n", 503)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


def _period(request: Request) -> str:
    period = request.query_params.get("period", DEFAULT_PERIOD)
    return period if period in PERIODS else DEFAULT_PERIOD


def serve(dashboard: Dashboard, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; ``on_ready`` is called once the page answers."""
    config = uvicorn.Config(
        dashboard.app,
        loop="asyncio",
        http=PatientProtocol,
        backlog=ACCEPTED_AT_ONCE,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=LAST_REQUESTS_SECONDS,
    )
    log_rarely()
    _Server(config, dashboard.watch, on_ready).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, watch: Watch, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._watch = watch
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)  # asyncio has set its own number
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._watch.close()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """End; the signal is what was asked for and is not raised again, so the exit code is 0."""
        self.force_exit = self.should_exit
        self.should_exit = True
