"""Local times: as people are told them, and as Unix time, in zones too where daylight saving skips some.

In Chile, Cuba or Egypt that is a midnight each year.
"""

# ruff: noqa: DTZ001, DTZ006  # what this module is about: times without a zone, as people name them

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


def when(moment: float) -> str:
    """A Unix time for a person, to the minute: ``14:30``, with its day unless that is today."""
    return _local(moment, "%H:%M")


def at(text: str | None) -> str:
    """The same, to the second, for a time that the board wrote (UTC where it names no zone).

    The text itself if it is no time.
    """
    if not text:
        return "an unknown time"
    try:
        moment = datetime.fromisoformat(text)
        return _local((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), "%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return text


def _local(moment: float, clock: str) -> str:
    then = time.localtime(moment)
    return time.strftime(clock if then[:3] == time.localtime()[:3] else f"%Y-%m-%d {clock}", then)


def unix_time(local: datetime) -> float:
    """The Unix time of ``local``, which has no time zone; where clocks skip it, of the first instant after it.

    Of a local time that comes twice it is the first. Raises OverflowError, OSError or ValueError for years that
    have no Unix time. Python itself takes a skipped midnight for 23:00 of the day before (PEP 495).
    """
    early, late = sorted(local.replace(fold=fold).timestamp() for fold in (0, 1))
    if datetime.fromtimestamp(early) == local:
        return early
    while late - early > 1:
        middle = (early + late) // 2
        if datetime.fromtimestamp(middle) >= local:
            late = middle
        else:
            early = middle
    return late


def beginning_of_day(moment: float, days_before: int = 0) -> float:
    """When the local day of ``moment`` began, or one that many calendar days before: one of them may have 23 hours."""
    day = datetime.fromtimestamp(moment).date() - timedelta(days=days_before)
    return unix_time(datetime(day.year, day.month, day.day))
