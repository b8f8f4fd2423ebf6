"""Moving a child's stdin, stdout and stderr in one thread, never blocking on any of them.

``communicate()`` is not used: it waits for the pipes to close, and a grandchild that inherited one keeps
it open for as long as it likes (bpo-37424).
"""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING

from hpm_tools import signals
from hpm_tools.process import launch

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Sink = Callable[[bytes], None]

_CHUNK = 64 * 1024
_BLIND_WAIT = 0.1
"""How often to look for the child's exit where the kernel cannot tell (no pidfd), in seconds."""


class Pump:
    """Feeds and reads one child. ``turn`` does what can be done now; ``exited`` and ``drained`` say how far it is.

    The child's exit is noticed without reaping it: as a zombie it keeps its number, its group's and its
    session's, so that they can still be signalled without hitting anybody else. ``waited`` is how many
    seconds of its timeout the last turn waited for the child.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        stdin: bytes,
        on_stdout: Sink,
        on_stderr: Sink,
        wake: int | None = None,
    ) -> None:
        self.exited = False
        self.woken = False
        self.waited = 0.0
        self._process = process
        self._unsent = memoryview(stdin)
        self._poll = select.poll()
        self._actions: dict[int, Callable[[int], None]] = {}
        self._sinks: dict[int, Sink] = {}
        self._pidfd = _pidfd(process.pid)
        if self._pidfd is not None:
            self._watch(self._pidfd, select.POLLIN, self._note_exit)
        for descriptor, action in ((wake, self._note_wake), (signals.wake(), self._note_signal)):
            if descriptor is not None:
                self._watch(descriptor, select.POLLIN, action)
        for pipe, sink in ((process.stdout, on_stdout), (process.stderr, on_stderr)):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                self._sinks[pipe.fileno()] = sink
                self._watch(pipe.fileno(), select.POLLIN, self._read)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            self._watch(process.stdin.fileno(), select.POLLOUT, self._write)

    @property
    def drained(self) -> bool:
        """Whether both outputs have reached their end."""
        return not self._sinks

    def turn(self, timeout: float) -> None:
        """Wait at most ``timeout`` seconds for something to happen, and do at most one read or write per pipe."""
        timeout = max(0.0, timeout)
        if self._pidfd is None and not self.exited:
            timeout = min(timeout, _BLIND_WAIT)
        begun = time.monotonic()
        events: list[tuple[int, int]] = []
        if self._actions:
            events = self._poll.poll(timeout * 1000)
        else:
            time.sleep(timeout)
        self.waited = min(time.monotonic() - begun, timeout)
        for fd, _event in events:
            action = self._actions.get(fd)
            if action is not None:
                action(fd)
        if self._pidfd is None and not self.exited:
            self.exited = launch.has_exited(self._process.pid)

    def close(self) -> None:
        """Let go of everything, whoever else still holds the pipes."""
        self._actions.clear()
        self._sinks.clear()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def _watch(self, fd: int, events: int, action: Callable[[int], None]) -> None:
        self._poll.register(fd, events)
        self._actions[fd] = action

    def _forget(self, fd: int) -> None:
        self._poll.unregister(fd)
        del self._actions[fd]

    def _note_exit(self, fd: int) -> None:
        self.exited = True
        self._forget(fd)

    def _note_wake(self, fd: int) -> None:
        self.woken = True
        self._forget(fd)  # who wakes us never takes the byte back, so it would wake us for ever

    def _note_signal(self, _fd: int) -> None:
        signals.drain()  # it may be one that asks for nothing: the next must wake us, too

    def _read(self, fd: int) -> None:
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._sinks[fd](data)
        else:
            self._forget(fd)
            del self._sinks[fd]

    def _write(self, fd: int) -> None:
        try:
            sent = os.write(fd, self._unsent[:_CHUNK])
        except BlockingIOError:
            return
        except OSError:
            sent = len(self._unsent)  # it closed its stdin unread (EPIPE), which is its right
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._forget(fd)
            if self._process.stdin is not None:
                self._process.stdin.close()


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
