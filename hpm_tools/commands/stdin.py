"""Long input comes on standard input: read whole, as UTF-8, up to a bound."""

from __future__ import annotations

import sys

from hpm_tools.errors import BadData, UsageError

LIMIT = 8 << 20
"""Bytes."""


def read_stdin(what: str) -> str:
    """All of standard input as text; invalid bytes become U+FFFD.

    UsageError on a terminal (the person would wait for us and we for them) and where stdin is closed;
    BadData beyond LIMIT. ``what`` names the input in the message.
    """
    stream = sys.stdin
    if stream is None or stream.closed:
        raise UsageError(f"standard input is closed; it should carry {what}")
    if stream.isatty():
        raise UsageError(f"standard input is a terminal; it should carry {what}", "pipe it in, or use a file")
    data = stream.buffer.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise BadData(f"{what} on standard input is larger than {LIMIT >> 20} MiB")
    return data.decode("utf-8", errors="replace")
