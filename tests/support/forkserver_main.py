"""The fork server's own side: ``python -m tests.support.forkserver_main PROFILE SOCKET ROOM``; see forkserver.py."""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import gc
import io
import json
import os
import pkgutil
import resource
import runpy
import select
import socket
import struct
import sys
import termios
import threading
import time
from importlib import import_module
from typing import Any

NUMBER = struct.Struct("i")
OF_INVOKE = tuple(
    f"hpm_tools.cli.{name}"
    for name in ("invoke_completion", "invoke_tasks", "namespaces", "python_calls", "stubs")
)
AFTERWARDS = ("hpm_tools.cli.hpm", *OF_INVOKE, "hpm_tools.tasks", "hpm_tools.board.server.")
"""Not imported beforehand: what runs as ``__main__``, what imports Invoke (`hpm run` asks whether that is
there), and the board's server, which few commands need."""
LATE = ("yaml", "psutil")
"""What commands import once they need it, and nearly all of them do: 20 ms of each."""


def preload(profile: str) -> None:
    """Import what the profile's commands need. None of it reads the environment or begins a thread when imported."""
    if profile == "invoke":
        import_module("invoke.main")
        for name in OF_INVOKE:
            import_module(name)
    for name in LATE:
        import_module(name)
    package = import_module("hpm_tools")
    for module in pkgutil.walk_packages(package.__path__, "hpm_tools."):
        if not module.name.startswith(AFTERWARDS) and not module.name.endswith("__main__"):
            import_module(module.name)


def serve(control: socket.socket) -> dict[str, Any]:
    """Fork a child for each request and tell how it ended; returns in the children, with their requests.

    A child that has ended stays a zombie until its starter has been told, as one of its own would.
    """
    running: dict[int, tuple[int, socket.socket]] = {}
    ended: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for ready in select.select([control.fileno(), *running, *ended], [], [])[0]:
            if ready in running:
                pid, connection = running.pop(ready)
                os.close(ready)
                tell_end(pid, connection)
                ended[connection.fileno()] = pid, connection
            elif ready in ended:
                pid, connection = ended.pop(ready)
                os.waitpid(pid, 0)
                connection.close()
            else:
                received = socket.recv_fds(control, 1, 4)[1]
                if not received:
                    sys.exit()
                connection = socket.socket(fileno=received[0])
                pid = os.fork()
                if not pid:
                    for pidfd in running:
                        os.close(pidfd)
                    for _, other in (*running.values(), *ended.values()):
                        other.close()
                    control.close()
                    return take_over(connection, received[1:])
                for stream in received[1:]:
                    os.close(stream)
                connection.send(NUMBER.pack(pid))
                running[os.pidfd_open(pid)] = pid, connection


def tell_end(pid: int, connection: socket.socket) -> None:
    end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert end is not None
    code = end.si_status if end.si_code == os.CLD_EXITED else -end.si_status
    try:
        connection.send(NUMBER.pack(code))
    except BrokenPipeError:
        pass  # nobody waits for it any more


def take_over(connection: socket.socket, streams: list[int]) -> dict[str, Any]:
    with connection, connection.makefile("rb") as file:
        request: dict[str, Any] = json.loads(file.readline())
    for number in (0, 1, 2):
        os.close(number)
    for number, stream in zip(request["streams"], streams, strict=True):
        os.dup2(stream, number)
        os.close(stream)
    return request


def become(request: dict[str, Any]) -> None:
    """Make this process what it would be had it been started as the request says."""
    if request["session"]:
        os.setsid()
    if request["terminal"]:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for number, soft, hard in request["limits"]:
        if resource.getrlimit(number) != (soft, hard):
            resource.setrlimit(number, (soft, hard))
    os.umask(request["umask"])
    os.chdir(request["cwd"])
    if settings := sys.modules.get("hpm_tools.cli.invoke_settings"):
        settings.STARTED_IN = os.getcwd()  # type: ignore[attr-defined]
    os.environ.clear()
    os.environ.update(request["env"])
    if not any(os.environ.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG")):
        os.environ["LC_CTYPE"] = "C.UTF-8"  # as Python does, PEP 538
    time.tzset()
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    sys.orig_argv[:] = request["argv"]
    show_arguments(request["argv"])
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        made = stream(number, name, mode)
        setattr(sys, name, made)
        setattr(sys, f"__{name}__", made)


def show_arguments(argv: list[str]) -> None:
    """Write ``argv`` where /proc/PID/cmdline reads it: proc(5), arg_start and arg_end of /proc/PID/stat."""
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    ctypes.memset(start, 0, end - start)
    data = b"\0".join(map(os.fsencode, argv))
    ctypes.memmove(start, data, len(data))


def stream(descriptor: int, name: str, mode: str) -> io.TextIOWrapper | None:
    """A standard stream as Python makes it when it starts (create_stdio in Python/pylifecycle.c)."""
    try:
        os.fstat(descriptor)
    except OSError:
        return None
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    buffering = 0 if unbuffered and mode == "w" else -1
    buffer: Any = os.fdopen(descriptor, mode + "b", buffering, closefd=False)
    raw = buffer.raw if buffering else buffer
    raw.name = f"<{name}>"
    text = io.TextIOWrapper(
        buffer,
        "utf-8",
        "backslashreplace" if name == "stderr" else "surrogateescape",
        "\n",
        line_buffering=not unbuffered and (name == "stderr" or raw.isatty()),
        write_through=unbuffered,
    )
    text.mode = mode  # type: ignore[misc]
    return text


def run(argv: list[str]) -> None:
    """Run what the interpreter would have run: ``-m MODULE`` or a script."""
    if argv[0] == sys.executable:
        sys.argv = argv[2:]
        sys.path[0] = os.getcwd()
        runpy.run_module(argv[2], run_name="__main__", alter_sys=True)
    else:
        sys.argv = argv
        sys.path[0] = os.path.dirname(os.path.realpath(argv[0]))
        runpy.run_path(argv[0], run_name="__main__")


def end(code: int) -> None:
    """End as Python does, but for taking the modules' memory apart, which would cost more than a fork saves."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        for output in (sys.stdout, sys.stderr):
            if output is not None and not output.closed:
                output.flush()
    except OSError:
        sys.exit(code)  # Python's own end complains and makes it 120
    os._exit(code & 0xFF)


if __name__ == "__main__":
    preload(sys.argv[1])
    gc.collect()
    gc.freeze()
    request = serve(socket.socket(fileno=int(sys.argv[2])))
    become(request)
    try:
        run(request["argv"])
    except SystemExit as exit_:
        if exit_.code is not None and not isinstance(exit_.code, int):
            raise
        end(exit_.code or 0)
    end(0)
