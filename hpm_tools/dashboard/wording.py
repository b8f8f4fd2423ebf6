"""Numbers and words as the page and the report show them: short, and of one width in a column."""

from __future__ import annotations

import time


def usd(amount: float) -> str:
    """$0.042, $3.10, $1,204: cents matter where there are few dollars."""
    if amount >= 1000:
        return f"${amount:,.0f}"
    return f"${amount:.3f}" if 0 < amount < 0.1 else f"${amount:.2f}"


def short_usd(amount: float) -> str:
    """For an axis: $50, $0.25."""
    return f"${amount:,.0f}" if amount == int(amount) else f"${amount:g}"


def whole(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) else f"{number:.1f}"


def percent(share: float) -> str:
    return f"{share * 100:.0f}%"


def short_duration(seconds: float) -> str:
    """One unit, for an axis: 45 s, 12 min, 3.5 h."""
    if seconds < 60:
        return f"{seconds:g} s" if seconds == round(seconds, 1) else f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def clock(moment: float) -> str:
    """A time of this machine: Wed 25 Nov 14:30:05."""
    return time.strftime("%a %d %b %H:%M:%S", time.localtime(moment))


def day_and_time(moment: float) -> str:
    """The same in a table: Wed 14:30."""
    return time.strftime("%a %H:%M", time.localtime(moment))


def words(name: str) -> str:
    return name.replace("_", " ")
