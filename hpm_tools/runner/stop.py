"""How a runner is told to stop: the first signal asks, the second insists.

The handlers only set a flag and write to a pipe (neither locks nor allocates in a signal handler);
whoever waits, waits on that pipe, so that an idle runner is gone at once and not after its pause.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hpm_tools.errors import SIGNAL_BASE, Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """A request to stop, made by signals; ``reason()`` is None until the first one."""

    def __init__(self) -> None:
        self._signal: int | None = None
        self._raising = False
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._signal is not None:
            self._exit_at_once(number)
        self._signal = number
        try:
            os.write(self._writer, b"!")
        except BlockingIOError:
            pass
        if self._raising:
            raise Interrupted(number)

    def _exit_at_once(self, number: int) -> None:
        from hpm_tools.process.supervise import kill_all

        kill_all()
        os._exit(SIGNAL_BASE + number)

    @property
    def signal_number(self) -> int | None:
        return self._signal

    def reason(self) -> str | None:
        """Why to stop, in the form that ``supervise(should_stop=…)`` takes."""
        return None if self._signal is None else signal.Signals(self._signal).name

    def check(self) -> None:
        """Raise Interrupted if a signal asked to stop."""
        if self._signal is not None:
            raise Interrupted(self._signal)

    def wait(self, seconds: float) -> bool:
        """Pause for ``seconds`` or until a signal asks to stop; True if one did."""
        deadline = time.monotonic() + seconds
        while self._signal is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            select.select([self._reader], [], [], left)
        return True

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let the first signal break a blocking call that holds nothing (an idle look at the board)."""
        self._raising = True
        try:
            self.check()
            yield
        finally:
            self._raising = False

    @contextmanager
    def installed(self) -> Iterator[Stop]:
        """Handle INT, TERM and HUP until the block ends. Only the main thread may do this.

        A signal that was ignored at the start stays ignored: nohup means it.
        """
        heeded = [number for number in HANDLED if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._on_signal) for number in heeded}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
