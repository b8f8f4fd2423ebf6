"""What a terminal would act on, or would not show, taken out of a text: the rare work behind text.for_terminal."""

from __future__ import annotations

import re

_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x00-\x08\x0b-\x1f\x7f-\x9f]*+(?:\x07|\x9c|\x1b\\)"  # OSC, DCS, APC, PM, SOS
    r"|\x1b[ -/]*+[0-~]"  # other escapes: character sets, reset
)
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero-width, separators, bidirectional marks
    "\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")


def without_controls(text: str) -> str:
    """``text`` without control sequences, controls and invisible characters; see ``for_terminal``."""
    return _SURROGATE.sub("\ufffd", _INVISIBLE.sub("", _SEQUENCE.sub("", text)))
