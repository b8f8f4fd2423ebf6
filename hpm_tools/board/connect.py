"""The board that the configuration names: a server at a URL, or one of our own for as long as it is used."""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING

from hpm_tools.board.client import Board
from hpm_tools.board.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpm_tools.board.twins import SeenLog
    from hpm_tools.config import Configuration

EMBEDDED = "embedded"
DATABASE = "board.sqlite"


def connect(
    config: Configuration, home: str, on_warning: Callable[[str], None], seen: SeenLog | None = None
) -> Board:
    """A client of the configured board; ``on_warning`` is told of rows that had to be left out.

    ``seen``: see `Board`.

    For ``embedded`` a server is started on ``home``/board.sqlite, which every embedded board of that
    state directory shares; it ends with this process.
    """
    if config.api_url != EMBEDDED:
        return Board(
            config.api_url,
            config.api_key,
            insecure=config.insecure_http,
            on_warning=on_warning,
            seen=seen,
            sources=Sources(config.place_of("api_url"), config.place_of("api_key")),
        )
    from hpm_tools.board.embedded import EmbeddedBoard

    # no failpoint: an empty directory says nothing; it is made, or removed, again
    os.makedirs(home, mode=0o700, exist_ok=True)
    server = EmbeddedBoard(os.path.join(home, DATABASE))
    server.__enter__()
    atexit.register(server.__exit__, None, None, None)
    return Board(server.url, server.key, on_warning=on_warning, seen=seen)
