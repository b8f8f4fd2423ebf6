"""One live line at the bottom of a terminal: what goes on, since when, and its latest detail."""

from __future__ import annotations

import threading
import time

from hpm_tools.question import in_foreground
from hpm_tools.text import duration, shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import RLock

TICK = 1.0
"""Seconds between two drawings: a line whose time stands still looks as if all stood still."""
ERASE = "\r\x1b[2K"


class StatusLine:
    """Drawn by a thread of its own while there is something to show; all drawing is done under ``lock``.

    Whoever writes something else to the terminal holds the lock and calls ``erase`` before, ``draw`` after.
    """

    def __init__(
        self, write: Callable[[str], None], width: Callable[[], int], lock: RLock, descriptor: int
    ) -> None:
        self._write = write
        self._width = width
        self._lock = lock
        self._descriptor = descriptor
        self._doing = self._detail = ""
        self._since = 0.0
        self._drawn = False
        self._thread: threading.Thread | None = None

    def show(self, doing: str, detail: str = "") -> None:
        """Say what goes on, timed from when it was first said; ``doing`` "" takes the line away."""
        with self._lock:
            if doing != self._doing:
                self._since = time.monotonic()
            self._doing, self._detail = doing, detail
            self.erase()
            self.draw()
            if doing and self._thread is None:
                self._thread = threading.Thread(target=self._tick, name="status-line", daemon=True)
                self._thread.start()

    def erase(self) -> None:
        if self._drawn:
            self._write(ERASE)
            self._drawn = False

    def draw(self) -> None:
        if self._doing and in_foreground(self._descriptor):
            parts = (self._doing, duration(time.monotonic() - self._since), self._detail)
            self._write(shorten(" · ".join(filter(None, parts)), self._width() - 1))
            self._drawn = True

    def _tick(self) -> None:
        while True:
            time.sleep(TICK)
            with self._lock:
                if not self._doing:
                    self._thread = None
                    return
                self.erase()
                self.draw()
