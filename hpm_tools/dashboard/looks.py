"""Looking at things that take their time (the board, git, this machine's health) without keeping the page waiting."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from hpm_tools.errors import HpmError

if TYPE_CHECKING:
    from collections.abc import Callable

Found = TypeVar("Found")
SHARE = 10
"""A look that takes long is taken less often: at most a tenth of the time is spent in it."""


class Look(Generic[Found]):
    """What ``look()`` found last; taken again in a thread of its own when ``every`` seconds have passed.

    ``problem`` is why the last one failed ("" if it did not); ``found`` stays what it was then, None
    before the first. ``count`` grows with each.
    """

    def __init__(self, look: Callable[[], Found], every: float) -> None:
        self.found: Found | None = None
        self.problem = ""
        self.count = 0
        self._look = look
        self._every = every
        self._due = 0.0
        self._looking = threading.Lock()

    def again(self) -> None:
        """Look in the background if it is time."""
        if time.monotonic() >= self._due and self._looking.acquire(blocking=False):
            threading.Thread(target=self._take, name="look", daemon=True).start()

    def now(self) -> None:
        """Look, and wait for it."""
        self._looking.acquire()
        self._take()

    def _take(self) -> None:
        began = time.monotonic()
        try:
            found = self._look()
        except HpmError as error:
            self.problem = error.message
        else:
            self.found, self.problem = found, ""
        finally:
            ended = time.monotonic()
            self._due = ended + max(self._every, SHARE * (ended - began))
            self.count += 1
            self._looking.release()
