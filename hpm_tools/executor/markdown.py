"""Markdown as a flat list of blocks, as far as role instructions need it.

Linear in the size of the text whatever it holds: agents can write role files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpm_tools.text import for_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BOLD_LEVEL = 7
"""The level of a bold line that serves as a heading: below every real one."""

_ATX = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_HTML_HEADING = re.compile(r"\s*<h([1-6])\b[^>]*>(.*?)</h\1>\s*", re.IGNORECASE)
_BOLD_LINE = re.compile(r" {0,3}(\*\*|__)(?=\S)([^*_]{2,80})(?<![\s.!?])\1:?[ \t]*")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")
_FENCE = re.compile(r"[ \t>]*+(`{3,}|~{3,})(.*)")
_ITEM = re.compile(r"[ \t>]*+(?:[-*+]|\d{1,9}[.)])(?:[ \t]+|$)(?:\[[ xX]\][ \t]+)?")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]*_`]*+(?:\s++-+)?\s+")


@dataclass(frozen=True, slots=True)
class Block:
    """A heading (``level`` 1 to 7), closed fenced code or a table row (``whole``: cannot lose a part), a
    list item, a paragraph or one blank line."""

    lines: Sequence[str]
    level: int = 0
    title: str = ""
    whole: bool = False


def readable(text: str) -> str:
    """Foreign text as an agent may read it: no control or invisible characters, lines ended by newlines."""
    return for_terminal(re.sub(r"\r\n?", "\n", text))


def blocks_of(lines: Sequence[str]) -> list[Block]:
    """The blocks whose lines, joined, are ``lines``."""
    return list(_Parser(lines).blocks())


def item_marker(line: str) -> str:
    """The bullet or number that begins a list item, with the space around it; empty if there is none."""
    match = _ITEM.match(line)
    return match[0] if match else ""


def sentences_of(text: str) -> Iterator[str]:
    """Pieces that give ``text`` when joined, each one sentence with the white space after it."""
    start = 0
    for end in _SENTENCE_END.finditer(text):
        yield text[start : end.end()]
        start = end.end()
    yield text[start:]


class _Parser:
    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines
        self.unclosed: dict[str, int] = {}

    def blocks(self) -> Iterator[Block]:
        index = 0
        while index < len(self.lines):
            block = self.fenced(index) or self.heading(index) or self.prose(index)
            yield block
            index += len(block.lines)

    def fenced(self, start: int) -> Block | None:
        """A closed fence. Text after a fence left open must not pass for code, where headings do not count."""
        opening = _FENCE.fullmatch(self.lines[start])
        if opening is None:
            return None
        mark, length = opening[1][0], len(opening[1])
        if "`" in opening[2] or length >= self.unclosed.get(mark, length + 1):
            return None
        for end in range(start + 1, len(self.lines)):
            closing = _FENCE.fullmatch(self.lines[end])
            if closing and closing[1][0] == mark and len(closing[1]) >= length and not closing[2].strip():
                return Block(self.lines[start : end + 1], whole=True)
        self.unclosed[mark] = length
        return None

    def heading(self, index: int) -> Block | None:
        line = self.lines[index]
        if match := _ATX.match(line):
            return Block([line], len(match[1]), line[match.end() :].strip().rstrip("#").rstrip())
        if match := _HTML_HEADING.fullmatch(line):
            return Block([line], int(match[1]), re.sub(r"<[^>]*>", "", match[2]))
        if match := _BOLD_LINE.fullmatch(line):
            return Block([line], BOLD_LEVEL, match[2])
        underline = index + 1 < len(self.lines) and _UNDERLINE.fullmatch(self.lines[index + 1])
        if underline and line.strip() and not _ITEM.match(line) and line.lstrip()[0] not in ">|<":
            return Block([line, self.lines[index + 1]], 1 if underline[1][0] == "=" else 2, line.strip())
        return None

    def prose(self, start: int) -> Block:
        first = self.lines[start].strip()
        if not first:
            return Block([""])
        if first[0] == "|":
            return Block([self.lines[start]], whole=True)
        end = start + 1
        while end < len(self.lines) and self._continues(first[0], end):
            end += 1
        return Block(self.lines[start:end])

    def _continues(self, opened_by: str, index: int) -> bool:
        line = self.lines[index]
        begins = line.lstrip()[:1]
        if not begins or begins in "|<" or (begins == ">" and opened_by != ">"):
            return False
        return not (_ITEM.match(line) or self.fenced(index) or self.heading(index))
