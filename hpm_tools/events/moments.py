"""The moments that people name on a command line."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from hpm_tools.errors import UsageError
from hpm_tools.names import shown

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
AGO = re.compile(r"(\d{1,6})([smhdw])")
FORMS = "use 90m, 24h, 7d, today, yesterday or 2026-11-25T09:00"


def moment(text: str, now: float) -> float:
    """Unix seconds of ``text``, seen from ``now``: a span ago, the beginning of a day, or a local time.

    UsageError if it is none of these.
    """
    word = text.strip().lower()
    if word == "now":
        return now
    if found := AGO.fullmatch(word):
        return now - int(found[1]) * SECONDS[found[2]]
    midnight = datetime.fromtimestamp(now).astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    if word in ("today", "yesterday"):
        # Counted in calendar days: one of them may have 23 hours.
        day = midnight.date() - timedelta(days=word == "yesterday")
        return datetime(day.year, day.month, day.day).astimezone().timestamp()
    try:
        return datetime.fromisoformat(text.strip()).astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"invalid time {shown(text)}", FORMS) from None
