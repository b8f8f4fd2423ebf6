"""Running the server in this process: bind, answer, say so, serve, end promptly."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn

from hpm_tools.board.server.app import create_app
from hpm_tools.board.server.desk import Desk
from hpm_tools.board.server.settings import Settings
from hpm_tools.crowd import ACCEPTED_AT_ONCE, PatientProtocol, log_rarely
from hpm_tools.listening import BACKLOG, listen

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

LAST_REQUESTS_SECONDS = 5
"""How long running requests may take to finish once the server is told to end."""
CLOSING_SECONDS = 1.0
"""How long the database may take to close once the server is told to end at once."""


def serve(settings: Settings, on_ready: Callable[[str], None], lifeline: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT, or until the file descriptor ``lifeline`` reaches its end.

    ``on_ready`` gets the URL once the server answers. A second signal ends at once, whatever is running.
    Raises CannotCreate when the address or the database cannot be had, BadData when the file is no database.
    """
    listener = listen(settings.host, settings.port)
    with listener:
        desk = Desk(settings)
        upstream = settings.upstream
        config = uvicorn.Config(
            create_app(desk),
            loop="asyncio",
            http="h11" if upstream else PatientProtocol,
            backlog=ACCEPTED_AT_ONCE,
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,
            # Upstream keeps uvicorn's defaults, faults included: it waits for running polls when it ends.
            timeout_keep_alive=5 if upstream else 75,
            timeout_graceful_shutdown=None if upstream else LAST_REQUESTS_SECONDS,
        )
        log_rarely()
        _Server(config, desk, lambda: on_ready(_url(listener)), lifeline).run(sockets=[listener])


def serve_child() -> None:
    """The child's side of process.start: settings as one line on stdin, the URL on stdout, stdin as lifeline."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)  # unbuffered: what follows the line belongs to the lifeline
        if not byte:
            return
        line += byte
    serve(Settings.from_json(bytes(line)), lambda url: print(url, flush=True), lifeline=0)


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, desk: Desk, ready: Callable[[], None], lifeline: int | None
    ) -> None:
        super().__init__(config)
        self._desk = desk
        self._ready = ready
        self._lifeline = lifeline

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)  # asyncio has set its own number
        if self._lifeline is not None:
            asyncio.get_running_loop().add_reader(self._lifeline, self._lifeline_readable, self._lifeline)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self.force_exit:
            # uvicorn leaves that out, and the application then ends with the traceback of a cancelled wait.
            with suppress(TimeoutError):
                await asyncio.wait_for(self.lifespan.shutdown(), CLOSING_SECONDS)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """End; the signal is what was asked for and is not raised again, so the exit code is 0."""
        self._end(at_once=self.should_exit)

    def _lifeline_readable(self, lifeline: int) -> None:
        if not os.read(lifeline, 4096):
            asyncio.get_running_loop().remove_reader(lifeline)
            self._end(at_once=True)

    def _end(self, *, at_once: bool) -> None:
        self.should_exit = True
        self._desk.wakeups.close()
        if at_once:
            self.force_exit = True
            self._desk.ended.set()


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
