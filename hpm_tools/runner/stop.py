"""How a runner is told to stop: the first signal asks, the second insists.

The signals only set a flag (hpm_tools/signals.py); whoever waits is woken with it, so that an idle runner is
gone at once and not after its pause.
"""

from __future__ import annotations

import select
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hpm_tools import signals
from hpm_tools.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator


class Stop:
    """A request to stop, made by signals; ``reason()`` is None until the first one."""

    def __init__(self) -> None:
        self._flag = signals.Flag()

    @property
    def signal_number(self) -> int | None:
        return self._flag.number

    @property
    def descriptor(self) -> int | None:
        """Becomes readable with the first signal; None where none are handled.

        Also with any other signal that has a handler in Python. Whoever waits for it calls ``asked`` then.
        """
        return self._flag.descriptor

    def asked(self) -> bool:
        """Whether a signal asked to stop. Empties ``descriptor``: another signal's byte would end every wait at once."""
        self._flag.drain()  # first: what comes after the look must be in the pipe
        return self._flag.number is not None

    def reason(self) -> str | None:
        """Why to stop, in the form that ``supervise(should_stop=…)`` takes."""
        number = self._flag.number
        return None if number is None else signal.Signals(number).name

    def check(self) -> None:
        """Raise Interrupted if a signal asked to stop."""
        if self._flag.number is not None:
            raise Interrupted(self._flag.number)

    def wait(self, seconds: float) -> bool:
        """Pause for ``seconds`` or until a signal asks to stop; True if one did."""
        deadline = time.monotonic() + seconds
        watched = [] if self.descriptor is None else [self.descriptor]
        while not self.asked():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            select.select(watched, [], [], left)
        return True

    @contextmanager
    def installed(self) -> Iterator[Stop]:
        """Handle INT, TERM and HUP until the block ends; in another thread than the main one none are handled.

        A signal that was ignored at the start stays ignored: nohup means it.
        """
        if not signals.in_main_thread():
            yield self
            return
        self._flag.install(number for number in signals.ENDING if signal.getsignal(number) != signal.SIG_IGN)
        try:
            yield self
        finally:
            self._flag.restore()
