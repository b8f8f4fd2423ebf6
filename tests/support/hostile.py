"""Hostile words, and a scripted agent's acts in Python: for tests of what nobody outside may achieve."""

from __future__ import annotations

import re
import sys
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWN_SEQUENCES = re.compile(r"\r\x1b\[2K|\x1b\[(?:3[0-7]|0|39)m|\r(?=\n)")
"""What our own live line and colours write to a terminal, and the pty's own line ends."""

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""What must never reach a terminal from somebody else's text."""

CRUEL = (
    "\x1b]0;owned\x07"  # the window's title
    "\x1b]52;c;ZWNobyBvd25lZA==\x07"  # the clipboard
    "\x1b[2J\x1b[1;1H\x1b[8m"  # clear, home, hidden
    "\x9b31m\x90q\x9c"  # C1: CSI and DCS in one byte
    "\x1bP+q544e\x1b\\"  # DCS: what terminal is this?
    "fix \u202ecod.exe\u2069 now\u200b\u2066!"  # reads the other way round
    "\x00\x07\x08\x7f\r"
)


def python(code: str) -> dict[str, Any]:
    """An act of the scripted agent: run ``code`` with this Python."""
    return {"run": [sys.executable, "-c", textwrap.dedent(code)]}


def sentence(text: str) -> str:
    """``text`` without what our own terminal output consists of."""
    return OWN_SEQUENCES.sub("", text)


def files_below(directory: Path) -> Iterator[tuple[Path, bytes]]:
    """Every regular file below ``directory`` with its content."""
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path, path.read_bytes()
