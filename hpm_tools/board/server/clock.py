"""The board's clock: naive UTC, as the real server writes it, with an offset that tests can move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    def __init__(self, offset_file: str | None = None) -> None:
        self._offset_file = offset_file

    def now(self) -> datetime:
        return datetime.now(UTC).replace(tzinfo=None) + self._offset()

    def _offset(self) -> timedelta:
        if self._offset_file is None:
            return timedelta()
        try:
            with open(self._offset_file, encoding="ascii") as file:
                return timedelta(seconds=float(file.read() or 0))
        except FileNotFoundError:
            return timedelta()


def naive_utc(moment: datetime) -> datetime:
    """The same moment without a zone; one without a zone is UTC already.

    The first and last hours of the calendar cannot be shifted: there the zone is dropped.
    """
    if moment.tzinfo is None:
        return moment
    try:
        return moment.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        return moment.replace(tzinfo=None)
