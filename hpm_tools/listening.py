"""The address at which the board or the dashboard is served."""

from __future__ import annotations

import socket

from hpm_tools.errors import CannotCreate

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on ``host``:``port``; CannotCreate if it cannot be had."""
    try:
        if not host.isascii():
            host.encode("idna")  # where this fails, create_server leaves its socket open
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:
        raise CannotCreate(
            f"cannot listen on {host}:{port}: {error}", "choose another --port, or 0 for a free one"
        ) from error
    # asyncio sets it on no connection of such a socket, and each answer's body then waits 40 ms until its
    # header is acknowledged.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
