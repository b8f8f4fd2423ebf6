"""A time zone in which it is about noon: no day ends while a test counts what it costs."""

from __future__ import annotations

import time

NOON = f"NOON{time.gmtime().tm_hour - 12:+d}"
"""A value of TZ. POSIX counts the hours west of Greenwich."""
