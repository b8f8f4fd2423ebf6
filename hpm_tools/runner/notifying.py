"""Has people told of events, in a thread: nothing that happens to a message stops or slows a run."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from hpm_tools.background import Background
from hpm_tools.errors import HpmError, Misconfigured
from hpm_tools.notify import courier, notices
from hpm_tools.notify.notices import Notice
from hpm_tools.state.outbox import Claim, Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hpm_tools.notify.courier import Delivery
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.paths import StateDir

MOST_WAITING = 200
IDLE = 10.0
"""Seconds without anything to send after which the thread ends."""
PAUSE = 5.0
"""Seconds after which an outbox that cannot be written is tried again."""
LONGEST_SLEEP = 60.0
AT_END = 20.0
"""Seconds that the end of a runner waits for its last message at most."""


def notifier_for(tools: Toolbox) -> Notifier | None:
    """What tells people as ``tools`` is configured; None, and a warning, where apprise is missing."""
    settings = tools.config.notify
    try:
        courier.require_extra()
    except Misconfigured as error:
        tools.ui.warn(f"{error.message} ({error.hint})")
        return None
    warned = False

    def told(outcomes: Sequence[Delivery], count: int, problem: str) -> None:
        """Keep what became of a message; say a failure once, for the next ones would say the same."""
        nonlocal warned
        services = {one.service: one.ok for one in outcomes}
        tools.note_event("notified", count=count, services=services, problem=problem)
        if problem and not warned:
            tools.ui.warn(f"notification failed: {problem} (hpm notify.test tries each service)")
        warned = warned or bool(problem)

    return Notifier(
        tools.state,
        urls=settings.urls,
        kinds=settings.on,
        window=settings.window,
        hourly=settings.hourly,
        clean=tools.clean,
        told=told,
    )


class Notifier:
    """Turns events into notices and sees them sent, together with those of other runners of this host.

    ``told`` is called, in the notifier's thread, with the outcome at each service, the number of notices and
    what else went wrong, after every message. ``clean`` takes secrets out of a text.
    """

    def __init__(
        self,
        state: StateDir,
        *,
        urls: Sequence[str],
        kinds: Sequence[str],
        window: float,
        hourly: int,
        clean: Callable[[str], str],
        told: Callable[[Sequence[Delivery], int, str], None],
        limit: float = courier.LIMIT,
    ) -> None:
        self._outbox = Outbox(state, window=window, hourly=hourly)
        self._urls = tuple(urls)
        self._kinds = frozenset(kinds)
        self._clean = clean
        self._told = told
        self._limit = limit
        self._aside = Background("notices", self._go_on, self.close)
        self._waiting: deque[Notice | str] = deque(maxlen=MOST_WAITING)
        self._flushed = False
        """Whether a turn has begun since the end was asked for."""

    def consider(self, event: str, text: str, data: Mapping[str, Any], *, agent: str, where: str) -> None:
        """Have somebody told of ``event`` if it is of a kind that they want to know. Never raises, never waits."""
        ended = notices.ENDS.get(event)
        if ended is not None:
            self._put(ended)
        kind = notices.kind_of(event, data)
        if kind in self._kinds and kind is not None:
            words = notices.words_of(kind, text, data)
            self._put(Notice(kind, time.time(), agent, where, self._clean(words)))

    def resume(self) -> None:
        """Send what an earlier runner left."""
        try:
            left = self._outbox.waiting()
        except HpmError:
            return
        if left:
            with self._aside.changed:
                self._aside.begin()

    def close(self, limit: float = AT_END) -> None:
        """Send what waits, now, for at most ``limit`` seconds; the rest stays for the next runner here."""
        self._aside.close(limit)

    def _put(self, what: Notice | str) -> None:
        with self._aside.changed:
            self._waiting.append(what)
            self._aside.begin()

    def _go_on(self) -> None:
        idle_since = time.monotonic()
        while True:
            pause = self._turn()
            with self._aside.changed:
                if pause is not None:
                    idle_since = time.monotonic()
                if not self._aside.closing:
                    wait = min(LONGEST_SLEEP, IDLE if pause is None else pause)
                    self._aside.changed.wait_for(lambda: self._waiting or self._aside.closing, wait)
                idle = pause is None and not self._waiting and time.monotonic() >= idle_since + IDLE
                if idle or (self._aside.closing and self._flushed and not self._waiting):
                    self._aside.ended()
                    return

    def _turn(self) -> float | None:
        """Put into the outbox what came, and send what is due; seconds until more may be, None if nothing waits."""
        closing = self._aside.closing
        try:
            while True:
                while self._waiting:
                    self._file(self._waiting[0])
                    self._waiting.popleft()
                claim = self._outbox.claim(at_once=self._aside.closing)
                if not isinstance(claim, Claim):
                    return claim
                self._send(claim)
        except HpmError as error:
            self._report([], 0, error.message)
        except Exception as error:  # notices are worth no run, whatever is wrong with them
            self._report([], 0, f"{type(error).__name__}: {error}")
        finally:
            self._flushed = closing
        if closing:
            self._waiting.clear()
        return PAUSE

    def _file(self, what: Notice | str) -> None:
        if isinstance(what, str):
            self._outbox.forget(what)
        else:
            self._outbox.add(what.to_json(), what.key)

    def _send(self, claim: Claim) -> None:
        told = [notice for row in claim.notices if (notice := Notice.from_json(row)) is not None]
        outcomes: Sequence[Delivery] = []
        problem = ""
        if told:
            try:
                outcomes = courier.deliver(self._urls, notices.compose(told, claim.lost), self._limit)
                problem = courier.failures(outcomes)
            except HpmError as error:
                problem = error.message
        problem = self._clean(problem)
        self._outbox.settle(claim, sent=not told or any(one.ok for one in outcomes), problem=problem)
        self._report(outcomes, len(told), problem)

    def _report(self, outcomes: Sequence[Delivery], count: int, problem: str) -> None:
        try:
            self._told(outcomes, count, problem)
        except Exception:  # noqa: S110  # whoever is told of a failed message is worth no run either
            pass
