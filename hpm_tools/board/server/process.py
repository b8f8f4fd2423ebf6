"""A board server as a child process that cannot outlive its parent."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

from hpm_tools.errors import CannotCreate, HpmError, Misconfigured, TimedOut
from hpm_tools.extras import install_command

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from hpm_tools.board.server.settings import Settings

START_SECONDS = 60.0
STOP_SECONDS = 10.0

PASSED_ON = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "PYTHONPATH", "DASHBOARD_PORT")


class BoardProcess:
    """A running server: ``url``, ``key`` and the ``process``. A context manager that stops it."""

    def __init__(self, url: str, key: str, process: subprocess.Popen[bytes]) -> None:
        self.url = url
        self.key = key
        self.process = process

    def stop(self, within: float = STOP_SECONDS) -> int:
        """SIGTERM, and SIGKILL when it is still there after ``within`` seconds; returns its exit code."""
        self.process.terminate()
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._close()
        return self.process.wait()

    def kill(self) -> None:
        """SIGKILL: what a crash leaves."""
        self.process.kill()
        self.process.wait()
        self._close()

    def _close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(settings: Settings, *, log: str = os.devnull, within: float = START_SECONDS) -> BoardProcess:
    """Start a server and return once it answers; its messages go to the end of the file ``log``.

    The settings, key included, go through the child's stdin and appear in no argument or environment. The
    child ends when that pipe closes: with ``stop``, or with this process however it dies. It runs in a
    session of its own, so that Ctrl-C reaches its parent first.

    Raises Misconfigured without the extra ``board``, CannotCreate with the child's own reason when it does
    not start, TimedOut after ``within`` seconds.
    """
    require_extra()
    with open(log, "ab", opener=_private) as messages:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "hpm_tools.board.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=messages,
            cwd="/",
            env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
            start_new_session=True,
        )
    board = BoardProcess("", settings.keys[0], process)
    try:
        _send(process, settings.to_json() + b"\n")
        board.url = _first_line(process, time.monotonic() + within, log)
    except BaseException:
        board.kill()
        raise
    return board


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def require_extra() -> None:
    """Misconfigured unless the packages of the extra ``board`` are there."""
    missing = [name for name in ("fastapi", "sqlalchemy", "uvicorn") if find_spec(name) is None]
    if missing:
        raise Misconfigured(
            f"the embedded board needs {', '.join(missing)}, which this installation lacks",
            install_command("hpm-tools[board]"),
        )


def _send(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None  # noqa: S101  opened with PIPE
    try:
        process.stdin.write(line)
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it died while starting; reading its output says so


def _first_line(process: subprocess.Popen[bytes], deadline: float, log: str) -> str:
    assert process.stdout is not None  # noqa: S101  opened with PIPE
    stdout = process.stdout.fileno()
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimedOut("the embedded board did not start in time", f"see {log}")
        part = os.read(stdout, 4096)
        if not part:
            raise _failed(process.wait(), log)
        line += part
    return line.decode().strip()


def _failed(code: int, log: str) -> HpmError:
    message = f"the embedded board did not start (exit code {code})"
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            lines = file.read()[-4000:].strip().splitlines()
    except OSError:
        lines = []
    if lines:
        message += f": {lines[-1]}"
    return CannotCreate(message, f"see {log}" if lines else "")
