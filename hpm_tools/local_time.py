"""Local times as Unix time, in zones too where daylight saving skips some: in Chile, Cuba or Egypt a midnight each year."""

# ruff: noqa: DTZ001, DTZ006  # what this module is about: times without a zone, as people name them

from __future__ import annotations

from datetime import datetime, timedelta


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
