"""A thread beside the work: begun by the first thing there is for it, ended when nothing is left, never waited for long."""

from __future__ import annotations

import atexit
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Background:
    """Runs ``work`` in a daemon thread called ``name``.

    ``changed`` guards what the thread and its user share. ``work`` returns, holding ``changed``, after it has
    called ``ended``; ``closing`` asks it to finish what is left and do so. ``at_exit`` is called when the
    interpreter ends while the thread lives.
    """

    def __init__(self, name: str, work: Callable[[], None], at_exit: Callable[[], None]) -> None:
        self.changed = threading.Condition()
        self.closing = False
        self._name = name
        self._work = work
        self._at_exit = at_exit
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """See that the thread is at work and knows that something changed; the caller holds ``changed``."""
        if self._thread is None:
            thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is ending, or there is no thread left to be had
                return
            self._thread = thread
            atexit.register(self._at_exit)
        self.changed.notify_all()

    def ended(self) -> None:
        """The thread is about to return; the next ``begin`` starts another."""
        self._thread = None

    def close(self, limit: float) -> None:
        """Ask for the end and wait ``limit`` seconds for it; safe to call twice."""
        with self.changed:
            thread = self._thread
            self.closing = True
            self.changed.notify_all()
        if thread is not None:
            thread.join(limit)
            atexit.unregister(self._at_exit)
        self.closing = False
