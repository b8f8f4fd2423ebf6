"""Writing events down off the critical path: a disk or a database that fails costs events, never a task."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from dataclasses import asdict, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from hpm_tools.background import Background
from hpm_tools.errors import BadData, HpmError
from hpm_tools.events import spool
from hpm_tools.events.database import Damaged
from hpm_tools.events.store import Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hpm_tools.events.store import EventStore

MOST_WAITING = 10_000
"""Events kept while the database takes none; then the oldest go."""
BATCH = 200
IDLE = 10.0
"""Seconds without an event after which the thread ends and the file is closed."""
PAUSE = 1.0
PRUNED_EVERY = 3600.0
AT_EXIT = 2.0
LONGEST_TEXT = 2000
CLEANED = 64 << 10
"""Characters that are searched for secrets before a text is cut: cut first, half a secret would pass."""
MOST_ITEMS = 100
DEEPEST = 6


class Recorder:
    """Takes events at once and writes them in a thread of its own.

    ``clean`` takes secrets out of a text. ``keep_days`` and ``most`` bound what is kept. ``lost`` counts the
    events that were given up, ``problem`` says why the last attempt to write failed ("" if it did not).
    """

    def __init__(
        self,
        store: EventStore,
        *,
        clean: Callable[[str], str] = str,
        keep_days: float = 90.0,
        most: int = 500_000,
    ) -> None:
        self.lost = 0
        self.problem = ""
        self._store = store
        self._spool = store.path + spool.SUFFIX
        self._clean = clean
        self._keep = keep_days, most
        self._aside = Background("events", self._write_on, self.close)
        self._waiting: deque[Stored] = deque()
        self._lost_told = 0
        self._pruned_at: float | None = None

    def emit(self, event: Stored) -> None:
        """Have ``event`` written soon. Never raises and never waits for a disk."""
        with self._aside.changed:
            self._waiting.append(event)
            self._drop_excess()
            self._aside.begin()

    def close(self, limit: float = AT_EXIT) -> None:
        """Write what is left, for at most ``limit`` seconds, and close the file; safe to call twice."""
        self._aside.close(limit)

    def _write_on(self) -> None:
        while batch := self._next_batch():
            try:
                self._store.heed_report()
                self._write(batch)
                self._keep_house()
            except Damaged as error:
                # At once, but not again and again on a disk that spoils every file.
                self._put_back(batch, error.message, at_once=self._store.set_aside() and not self.problem)
            except BadData as error:
                self._give_up(batch, error.message)
            except HpmError as error:
                self._put_back(batch, error.message)
            except Exception as error:  # a thread that died of a bug would leave all later events unwritten
                self._give_up(batch, f"{type(error).__name__}: {error}")
        self._store.close()

    def _next_batch(self) -> list[Stored]:
        """What to write next; nothing when there is nothing left and the thread ends."""
        with self._aside.changed:
            self._aside.changed.wait_for(lambda: self._waiting or self._aside.closing, IDLE)
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            if not batch:
                self._aside.ended()
            return batch

    def _write(self, batch: list[Stored]) -> None:
        events = [self._tidied(event) for event in batch]
        lost = self.lost
        if lost > self._lost_told:
            events.append(replace(events[-1], event="events_lost", data={"count": lost - self._lost_told}))
        self._store.append(events)
        self._lost_told, self.problem = lost, ""
        batch.clear()

    def _keep_house(self) -> None:
        take_in(self._store)
        now = time.monotonic()
        if self._pruned_at is None or now - self._pruned_at > PRUNED_EVERY:
            self._pruned_at = now
            self._store.prune(*self._keep, now=time.time())

    def _give_up(self, batch: list[Stored], problem: str) -> None:
        self.problem = problem
        self.lost += len(batch)

    def _put_back(self, batch: list[Stored], problem: str, *, at_once: bool = False) -> None:
        """Have ``batch`` written later, or ``at_once``; what is left at the end goes to the spool."""
        self.problem = problem
        with self._aside.changed:
            if self._aside.closing and not at_once:
                left = [*batch, *self._waiting]
                self._waiting.clear()
                lines = b"".join(_line(self._tidied(event)) for event in left)
                self.lost += 0 if spool.append(self._spool, lines) else len(left)
                return
            self._waiting.extendleft(reversed(batch))
            self._drop_excess()
            if not at_once:
                self._aside.changed.wait_for(lambda: self._aside.closing, PAUSE)

    def _drop_excess(self) -> None:
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self.lost += 1

    def _tidied(self, event: Stored) -> Stored:
        return replace(event, data=_bounded(event.data, self._clean))


def _bounded(value: Any, clean: Callable[[str], str], depth: int = 0) -> Any:
    """``value`` in JSON types, without secrets, and no larger than an event should be."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict | list | tuple) and depth < DEEPEST:
        if isinstance(value, dict):
            pairs = islice(value.items(), MOST_ITEMS)
            return {str(name): _bounded(item, clean, depth + 1) for name, item in pairs}
        return [_bounded(item, clean, depth + 1) for item in value[:MOST_ITEMS]]
    return clean(str(value)[:CLEANED])[:LONGEST_TEXT]


def take_in(store: EventStore) -> None:
    """Move what quick commands left beside the file into it; what cannot be moved now is moved later."""
    try:
        spool.take(store.path + spool.SUFFIX, lambda lines: store.append(_events_in(lines)))
    except HpmError:
        return


def _line(event: Stored) -> bytes:
    return json.dumps(asdict(event), separators=(",", ":")).encode() + b"\n"


def _events_in(lines: bytes) -> Iterator[Stored]:
    """The events of a spool; a line that is none is left out."""
    import msgspec

    for line in lines.splitlines():
        try:
            yield msgspec.json.decode(line, type=Stored)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
