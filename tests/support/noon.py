"""A time zone in which it is about noon: no day ends while a test counts what it costs."""

from __future__ import annotations

import time

HOURS_AHEAD = 12 - time.gmtime().tm_hour
NOON = f"NOON{-HOURS_AHEAD:+d}"
"""A value of TZ. POSIX counts the hours west of Greenwich."""
