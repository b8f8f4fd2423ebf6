"""The moments that people name on a command line."""

from __future__ import annotations

import re
from datetime import datetime

from hpm_tools.errors import UsageError
from hpm_tools.local_time import beginning_of_day, unix_time
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
    if word in ("today", "yesterday"):
        return beginning_of_day(now, int(word == "yesterday"))
    try:
        named = datetime.fromisoformat(text.strip())
        return named.timestamp() if named.tzinfo is not None else unix_time(named)
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"invalid time {shown(text)}", FORMS) from None
