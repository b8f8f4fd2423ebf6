"""Starts `hpm` for tests by forking a process that has imported it: imports are most of what a short command costs.

``start`` and ``run`` take an argv, as subprocess does. A fork server, one per profile and pytest process, forks
a child that becomes what the argv would have been: its own arguments, variables, directory, descriptors,
streams, limits and session. The same code runs to the same end, in a process of its own.

What a real start has and this has not: pytest as its parent (it is the fork server, pytest's child), its
variables in /proc/PID/environ, and a memory without the modules that it does not need. Whatever else cannot be
reproduced is started for real (``_profile``); tests of start-up, imports and process trees ask for that.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO

PROJECT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PYTHON = [sys.executable, "-m"]
STARTS = {
    "hpm": ([str(BIN / "hpm")], [*PYTHON, "hpm_tools.cli.hpm"], [*PYTHON, "forked_probe"]),
    "invoke": ([str(BIN / "invoke")],),
}
"""Profile → how the command lines begin that its server can stand in for."""

ROOM = 16_384
"""Bytes of the server's own argument list, which each child overwrites with its own."""
LIMITS = sorted(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))
HEEDED = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD)
ALWAYS_REAL = bool(os.environ.get("HPM_TESTS_START_FOR_REAL"))
"""Set that variable to see whether a failing test fails with real starts, too."""
NUMBER = struct.Struct("i")


def _read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    """The variables that a process heeds when it starts only, but for those which forkserver_main.py heeds again."""
    names = [name for name in env if name.startswith(("PYTHON", "LD_", "MALLOC_"))]
    return {name: env[name] for name in names if name not in ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")}


READ_AT_START = _read_at_start(os.environ)
"""What the servers have of them."""


class Forked:
    """A running command, used as a subprocess.Popen without pipes: the process is real, and a zombie until polled."""

    def __init__(self, args: Sequence[str], pid: int, connection: socket.socket) -> None:
        self.args = args
        self.pid = pid
        self.returncode: int | None = None
        self._connection = connection
        self._turn = threading.Lock()

    def poll(self) -> int | None:
        return self._collect(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._collect(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _collect(self, timeout: float | None) -> int | None:
        """The exit code (negative: the signal) if it ends in time; the server reaps the process only now."""
        with self._turn:
            if self.returncode is None:
                self._connection.settimeout(timeout)
                try:
                    status = self._connection.recv(NUMBER.size)
                except (TimeoutError, BlockingIOError):
                    return None
                if not status:
                    self._connection.close()
                    raise RuntimeError(f"the fork server died: nobody knows how {self.args} ended")
                (self.returncode,) = NUMBER.unpack(status)
                self._connection.settimeout(None)
                self._connection.shutdown(socket.SHUT_WR)
                self._connection.recv(1)
                self._connection.close()
            return self.returncode


Process = Forked | subprocess.Popen[bytes]


class Server:
    """The fork server of one profile, as its pytest process sees it.

    ``package``: a directory that holds another hpm_tools to be run instead of this one, as first on PYTHONPATH.
    """

    def __init__(self, profile: str, package: str = "") -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = {"PYTHONPATH": os.pathsep.join([package, str(PROJECT)])} if package else {}
        with theirs:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    *(["-P"] if package else []),  # else the directory that it is started in comes first
                    "-m",
                    "tests.support.forkserver_main",
                    profile,
                    str(theirs.fileno()),
                    "-" * ROOM,
                ],
                cwd=PROJECT,
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **READ_AT_START, **path},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self.close, os.getpid())

    def start(self, request: Mapping[str, Any], streams: Sequence[int]) -> Forked:
        """Fork a child that becomes ``request`` with ``streams`` as its standard descriptors."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [b"."], [theirs.fileno(), *streams])
        with ours.makefile("wb") as file:
            file.write(json.dumps(request).encode() + b"\n")
        answer = ours.recv(NUMBER.size)
        if not answer:
            raise RuntimeError("the fork server died")
        return Forked(request["argv"], NUMBER.unpack(answer)[0], ours)

    def close(self, owner: int) -> None:
        """End the server, not its children; done by who started it, not by a fork of that."""
        if os.getpid() == owner:
            self._control.close()
            self.process.wait()


_servers: dict[tuple[str, str], Server] = {}
_starting = threading.Lock()


def _server(profile: str, package: str) -> Server:
    with _starting:
        server = _servers.get((profile, package))
        if server is None or server.process.poll() is not None:
            server = _servers[profile, package] = Server(profile, package)
        return server


def forget(package: Path) -> None:
    """End the servers of another hpm_tools, once nothing that they started runs any more."""
    with _starting:
        for key in [key for key in _servers if key[1] == str(package)]:
            _servers.pop(key).close(os.getpid())


def _package(env: Mapping[str, str]) -> str:
    """The directory of another hpm_tools that PYTHONPATH names, "" if it names none."""
    path = env.get("PYTHONPATH", "")
    return path if path and os.path.isdir(os.path.join(path, "hpm_tools")) else ""


def _profile(argv: Sequence[str], env: Mapping[str, str]) -> str:
    """The server that can stand in for this start; "" if only a real start is like itself."""
    if _package(env):
        env = {name: value for name, value in env.items() if name != "PYTHONPATH"}
    charset = env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or "C"
    if (
        ALWAYS_REAL
        or not hasattr(os, "pidfd_open")
        or _read_at_start(env) != READ_AT_START
        or not (charset == "C.UTF-8" or (charset == "C" and "LC_ALL" not in env))
        or any(signal.getsignal(number) == signal.SIG_IGN for number in HEEDED)
        or len(b"".join(os.fsencode(word) + b" " for word in argv)) > ROOM
    ):
        return ""
    return next(
        (name for name, starts in STARTS.items() for start in starts if list(argv[: len(start)]) == start), ""
    )


def start(
    argv: Sequence[str],
    *,
    cwd: str | os.PathLike[str],
    env: Mapping[str, str],
    streams: tuple[int | None, int | None, int | None],
    new_session: bool = False,
    terminal: bool = False,
    real: bool = False,
) -> Process:
    """Start ``argv`` with ``streams`` as its standard descriptors (None: closed); for real, if asked or needed.

    ``terminal``: its standard input is a terminal, which becomes that of its new session.
    """
    profile = "" if real else _profile(argv, env)
    if not profile:
        return _start_real(argv, cwd, env, streams, new_session=new_session, terminal=terminal)
    mask = os.umask(0o077)
    os.umask(mask)
    request = {
        "argv": list(argv),
        "cwd": os.fspath(cwd),
        "env": dict(env),
        "umask": mask,
        "limits": [[number, *resource.getrlimit(number)] for number in LIMITS],
        "session": new_session or terminal,
        "terminal": terminal,
        "streams": [number for number, stream in enumerate(streams) if stream is not None],
    }
    return _server(profile, _package(env)).start(
        request, [stream for stream in streams if stream is not None]
    )


def _start_real(
    argv: Sequence[str],
    cwd: str | os.PathLike[str],
    env: Mapping[str, str],
    streams: tuple[int | None, int | None, int | None],
    *,
    new_session: bool,
    terminal: bool,
) -> Process:
    closing = " ".join(f"{number}>&-" for number, stream in enumerate(streams) if stream is None)
    stdin, stdout, stderr = (subprocess.DEVNULL if stream is None else stream for stream in streams)
    return subprocess.Popen(
        ["sh", "-c", f'exec "$@" {closing}', "sh", *argv] if closing else argv,
        cwd=cwd,
        env=env,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=new_session or terminal,
        preexec_fn=take_terminal if terminal else None,  # noqa: PLW1509  # one system call
    )


def take_terminal() -> None:
    """Make standard input the terminal of this process's session, which it leads (TIOCSCTTY, ioctl_tty(2))."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def run(
    argv: Sequence[str],
    *,
    cwd: str | os.PathLike[str],
    env: Mapping[str, str],
    text: str = "",
    timeout: float = 600.0,
    real: bool = False,
    redirected: Mapping[int, int | None] | None = None,
) -> subprocess.CompletedProcess[str]:
    """``argv`` run to its end with ``text`` on stdin; raises subprocess.TimeoutExpired, having killed it.

    ``redirected`` names the standard descriptors that are something else than a pipe from or to here, or closed.
    """
    pipes = [os.pipe() for _ in range(3)]
    theirs = (pipes[0][0], pipes[1][1], pipes[2][1])
    stdin, stdout, stderr = (
        os.fdopen(pipes[0][1], "wb"),
        os.fdopen(pipes[1][0], "rb"),
        os.fdopen(pipes[2][0], "rb"),
    )
    streams: dict[int, int | None] = {**dict(enumerate(theirs)), **(redirected or {})}
    try:
        process = start(argv, cwd=cwd, env=env, streams=(streams[0], streams[1], streams[2]), real=real)
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    output, errors = bytearray(), bytearray()
    helpers = [
        threading.Thread(target=work, args=arguments, daemon=True)
        for work, arguments in (
            (_feed, (stdin, text)),
            (_drain, (stdout, output)),
            (_drain, (stderr, errors)),
        )
    ]
    deadline = time.monotonic() + timeout
    for helper in helpers:
        helper.start()
    for helper in helpers:
        helper.join(max(0.0, deadline - time.monotonic()))
    try:
        if any(helper.is_alive() for helper in helpers):
            raise subprocess.TimeoutExpired(list(argv), timeout, bytes(output), bytes(errors))
        code = process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    return subprocess.CompletedProcess(list(argv), code, output.decode(), errors.decode())


def _feed(file: BinaryIO, text: str) -> None:
    with suppress(BrokenPipeError), file:
        file.write(text.encode())


def _drain(file: BinaryIO, into: bytearray) -> None:
    with file:
        while part := file.read1(1 << 16):  # type: ignore[attr-defined]
            into += part
