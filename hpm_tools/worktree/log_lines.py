"""The lines of git's reflogs: what a ref named before and after, when, and why, as git or an agent says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hpm_tools.worktree.git import decode
from hpm_tools.worktree.place import read_part

if TYPE_CHECKING:
    from pathlib import Path


class LogLine(NamedTuple):
    """One entry of a reflog; ``time`` is seconds since 1970. What a line lacks is empty, a time -1."""

    old: str
    new: str
    time: int
    reason: str

    @property
    def complete(self) -> bool:
        """Whether git wrote it whole: the first one of a part that is read may be cut, and anybody can write others."""
        return len(self.old) >= 40 and self.new != "" and self.time >= 0


def log_lines(path: Path, start: int, most: int) -> list[LogLine]:
    """The lines in at most ``most`` bytes of a reflog from ``start`` (below zero: from its end) on, oldest first.

    Empty where there is no such file. Each line of the file is one of the list, whatever it says.
    """
    text = decode(read_part(path, start, most) or b"").removesuffix("\n")
    # Not splitlines: people's names may hold what it takes for the end of a line.
    return [_parse(line) for line in text.split("\n")] if text else []


def _parse(line: str) -> LogLine:
    facts, _, reason = line.partition("\t")
    old, new, *rest = [*facts.split(" "), ""]
    # "OLD NEW NAME <ADDRESS> TIME ZONE", with any number of words in NAME
    time = rest[-3] if len(rest) > 3 else ""
    return LogLine(old, new, int(time) if time.isdecimal() else -1, reason)
