"""Starting a program in a session of its own, and saying plainly why it could not be started."""

from __future__ import annotations

import atexit
import errno
import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hpm_tools import signals
from hpm_tools.errors import Misconfigured, TryLater
from hpm_tools.process.identity import start_time
from hpm_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_EXHAUSTED = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
_BUSY_TRIES = 20
_REAP = 5.0

_starting = threading.RLock()  # a signal handler may come while its own thread holds it
_started: set[int] = set()


class CannotStart(Misconfigured):
    """The program is missing, not executable, or no program; nothing was started."""


def start(
    argv: Sequence[str],
    *,
    cwd: str | os.PathLike[str] | None,
    env: Mapping[str, str] | None,
    stdin: bool,
) -> subprocess.Popen[bytes]:
    """Start ``argv`` as leader of a new session with pipes for stdout, stderr and, if asked, stdin.

    Without ``stdin`` it reads /dev/null. Raises CannotStart, or TryLater when the machine is out of
    processes, memory or file descriptors. The caller must end it with ``reap``; ``running`` does so by itself.
    """
    if not argv or not argv[0]:
        raise CannotStart("cannot start an empty command")
    _heed_children()
    for attempt in range(_BUSY_TRIES):
        try:
            with _starting:
                process = subprocess.Popen(
                    argv,
                    cwd=cwd,
                    env=env,
                    stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                    bufsize=0,
                )
                _started.add(process.pid)
                return process
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno == errno.ETXTBSY and attempt + 1 < _BUSY_TRIES:
                time.sleep(0.05)  # another thread forked while the program was still being written
                continue
            raise _explained(error, argv, cwd, env) from error
    raise AssertionError("unreachable")


@contextmanager
def running(
    argv: Sequence[str],
    *,
    cwd: str | os.PathLike[str] | None,
    env: Mapping[str, str] | None,
    stdin: bool,
) -> Iterator[subprocess.Popen[bytes]]:
    """``start`` the program for the length of a block; what is left of its group then is killed and reaped.

    Raises signals.Terminated at the end of the block if a signal asked the command to end meanwhile.
    """
    with signals.AwaitingChild():
        process = start(argv, cwd=cwd, env=env, stdin=stdin)
        try:
            yield process
        finally:
            signal_group(process, signal.SIGKILL)
            reap(process, _REAP)
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


def signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Signal the program's process group: its number is ours until the leader is reaped, be it a zombie."""
    if process.returncode is None:
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            pass


def reap(process: subprocess.Popen[bytes], timeout: float) -> int | None:
    """Collect the exit status (negative: the signal), waiting at most ``timeout`` seconds; None if it lives on."""
    try:
        status = process.wait(timeout)
    except subprocess.TimeoutExpired:
        return None
    _started.discard(process.pid)
    return status


def started_here() -> frozenset[int]:
    """The unreaped processes that this module started: children by birth, not by adoption.

    Call it after looking at the process table: a start in progress is waited for.
    """
    with _starting:
        return frozenset(_started)


def _kill_all() -> None:
    """KILL the group of every program that was started here and is not reaped."""
    for pid in list(_started):
        try:
            os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


signals.at_once.append(_kill_all)
# A thread may still wait for its program when the interpreter ends: a ^C that interrupts Thread.join() makes it forget
# the thread (bpo-45274). A forked process has none of them.
atexit.register(_kill_all)
os.register_at_fork(after_in_child=_started.clear)


def has_exited(pid: int) -> bool:
    """Whether our child has exited, leaving it a zombie so that its number cannot be used again yet."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        return start_time(pid) is None
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _heed_children() -> None:
    """Undo an inherited ``SIGCHLD: ignore``, under which exit statuses vanish and failures look like success."""
    if signal.getsignal(signal.SIGCHLD) is not signal.SIG_IGN:
        return
    if threading.current_thread() is not threading.main_thread():
        raise CannotStart(
            "SIGCHLD is ignored in this process, so no exit status can be trusted",
            "restore it in the main thread: signal.signal(signal.SIGCHLD, signal.SIG_DFL)",
        )
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _explained(
    error: OSError | ValueError,
    argv: Sequence[str],
    cwd: str | os.PathLike[str] | None,
    env: Mapping[str, str] | None,
) -> CannotStart | TryLater:
    name = one_line(str(argv[0]), 200)
    number = error.errno if isinstance(error, OSError) else None
    if number in _EXHAUSTED:
        return TryLater(
            f"cannot start {name}: {os.strerror(number or 0)}", "this machine is short of processes or memory"
        )
    if cwd is not None and not os.path.isdir(cwd):
        return CannotStart(f"cannot start {name}: the directory {one_line(str(cwd))} does not exist")
    path = _located(str(argv[0]), cwd, env)
    if number == errno.ENOENT and path is None:
        return CannotStart(f"cannot start {name}: no such program", "install it, or give its full path")
    if number == errno.ENOENT and path is not None:
        return CannotStart(f"cannot start {name}: the interpreter it names is missing: {_first_line(path)}")
    if number == errno.EACCES:
        return CannotStart(f"cannot start {name}: permission denied", "is it executable? chmod +x")
    if number == errno.ENOEXEC:
        return CannotStart(
            f"cannot start {name}: not a program for this machine", "does its first line lack #!?"
        )
    reason = os.strerror(number) if number else str(error)
    return CannotStart(f"cannot start {name}: {one_line(reason)}")


def _located(program: str, cwd: str | os.PathLike[str] | None, env: Mapping[str, str] | None) -> str | None:
    if os.path.dirname(program):
        path = os.path.join(cwd or ".", program)
        return path if os.path.lexists(path) else None
    return shutil.which(program, path=(os.environ if env is None else env).get("PATH", os.defpath))


def _first_line(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return one_line(ascii(file.readline(200).rstrip(b"\n").decode("utf-8", "replace")), 120)
    except OSError:
        return "unreadable"
