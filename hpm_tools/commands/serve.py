"""The command that serves a board."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpm_tools.errors import UsageError
from hpm_tools.registry import Arg, command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hpm_tools.board.server import Settings
    from hpm_tools.ui import TerminalUI

DEFAULT_PORT = 6969
KEY_VARIABLES = ("HEADLESS_PM_API_KEY", "API_KEY_HEADLESS_PM", "API_KEY")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@command(
    "pm.serve",
    example="hpm pm.serve --port 0 --db /tmp/board.sqlite",
    streams=True,
    args={
        "port": Arg("the port to listen on; 0 takes a free one", metavar="N"),
        "db": Arg("the SQLite file that keeps the board, made if absent", metavar="FILE"),
        "host": Arg("the address to listen on; the traffic is not encrypted", metavar="ADDRESS"),
        "key": Arg("the key that clients send; others on this machine can read it in ps", metavar="KEY"),
        "key_env": Arg("the environment variable that holds the key", metavar="NAME"),
        "upstream": Arg("reproduce the real server's faults, for testing clients"),
        "lock_delay": Arg("with --upstream: milliseconds between a lock's check and its write", metavar="MS"),
        "clock_offset_file": Arg(
            "a file with seconds to add to the board's clock, for tests", metavar="FILE"
        ),
    },
)
def serve(
    ui: TerminalUI,
    *,
    port: int = DEFAULT_PORT,
    db: str | None = None,
    host: str = "127.0.0.1",
    key: str | None = None,
    key_env: str | None = None,
    upstream: bool = False,
    lock_delay: int = 0,
    clock_offset_file: str | None = None,
) -> None:
    """Serve a Headless PM board; prints its URL.

    Serves until it is interrupted. The URL is printed once the board answers. The board is kept in the state
    directory unless --db names a file. Keys are taken from --key, --key-env, or HEADLESS_PM_API_KEY,
    API_KEY_HEADLESS_PM and API_KEY; without any a key is made and shown on stderr.
    """
    import secrets

    from hpm_tools.board.server import Settings, require_extra

    if key:
        ui.conceal([key])
    require_extra()
    if not 0 <= port <= 65535:
        raise UsageError(f"--port {port} is no port", "choose one from 1 to 65535, or 0 for a free one")
    if lock_delay < 0:
        raise UsageError("--lock-delay cannot be negative", "give milliseconds, e.g. 50")
    if host not in LOOPBACK:
        ui.warn(f"listening on {host}: whoever reaches it and has the key rules the board, unencrypted")
    keys = _given_keys(key, key_env, os.environ)
    made_key = None if keys else secrets.token_urlsafe(24)
    settings = Settings(
        db=os.path.abspath(db) if db else _default_db(),
        keys=keys or (str(made_key),),
        host=host,
        port=port,
        upstream=upstream,
        lock_delay=lock_delay / 1000,
        clock_offset_file=clock_offset_file,
    )
    from hpm_tools.board.server.serving import serve as serve_board

    serve_board(settings, lambda url: _ready(ui, url, settings, made_key))


def _ready(ui: TerminalUI, url: str, settings: Settings, made_key: str | None) -> None:
    if ui.json:
        ui.event("serving", url, url=url, db=settings.db, upstream=settings.upstream)
    else:
        ui.line(url)
    if made_key is not None:
        ui.note(f"no key is set, so this one was made: export HEADLESS_PM_API_KEY={made_key}")
    ui.note(f"serving {settings.db}; Ctrl-C ends it")


def _given_keys(key: str | None, key_env: str | None, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The keys to accept; none if the caller named none."""
    if key is not None and key_env is not None:
        raise UsageError("--key and --key-env exclude each other", "--key-env keeps the key out of ps")
    if key_env is not None:
        key = environ.get(key_env, "")
        if not key:
            raise UsageError(
                f"the variable {key_env} that --key-env names is empty or not set", "set it, or name another"
            )
    if key is not None:
        if not key.strip():
            raise UsageError("an empty --key would let everybody in", "leave it out to have one made")
        return (key,)
    return tuple(dict.fromkeys(environ[name] for name in KEY_VARIABLES if environ.get(name)))


def _default_db() -> str:
    from hpm_tools.state.paths import StateDir

    state = StateDir()
    state.prepare(state.home)
    return os.path.join(state.home, "board.sqlite")
