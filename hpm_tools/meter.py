"""How quickly the board answers: counted call by call, told in sums."""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import TypedDict

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds up to which each count of ``Calls.within`` goes; the last count is of what took longer."""


class CallCounts(TypedDict):
    """``count`` calls, ``failed`` of them without a usable answer, ``seconds`` long together."""

    count: int
    failed: int
    seconds: float
    slowest: float
    within: list[int]


class Meter:
    """Counts calls since it was last read. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = _nothing()

    def count(self, seconds: float, *, failed: bool) -> None:
        with self._lock:
            counts = self._counts
            counts["count"] += 1
            counts["failed"] += failed
            counts["seconds"] += seconds
            counts["slowest"] = max(counts["slowest"], seconds)
            counts["within"][bisect_left(BOUNDS, seconds)] += 1

    def take(self) -> CallCounts | None:
        """The counts so far, which begin again at nothing; None if there was no call."""
        with self._lock:
            counts, self._counts = self._counts, _nothing()
        return counts if counts["count"] else None


def _nothing() -> CallCounts:
    return {"count": 0, "failed": 0, "seconds": 0.0, "slowest": 0.0, "within": [0] * (len(BOUNDS) + 1)}
