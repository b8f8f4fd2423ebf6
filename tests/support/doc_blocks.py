"""The fenced blocks of a Markdown page, and what a comment that readers do not see says about running them.

    <!-- block: shown: WHY -->                 not run, its syntax is checked all the same
    <!-- block: file ~/some/path -->           the block is that file's content, and is written there
    <!-- block: until a task is reported -->   it does not end by itself: it is ended once that is so
    <!-- block: exits N: WHY -->               it ends with that exit code

A shell block without a comment is run and has to succeed, and so is a Python block: what a comment behind a print
says is what it has to print.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHELLS = ("sh", "bash", "zsh", "fish", "crontab")
FILES = ("yaml", "ini", "json", "toml", "python")
NEITHER = ("", "text", "mermaid")
RUN = (*SHELLS, "python")

_MARKER = re.compile(
    r"<!-- block: (?P<kind>shown|file|until|exits)(?::| (?P<what>[^:]+):?)? ?(?P<why>.*?) -->"
)
_PRINTED = re.compile(r"^ *print\(.*\)  # (.+)$", re.MULTILINE)
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\S*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """``kind`` is "" for a block that is simply run (shells, Python) or checked (other files)."""

    where: str
    language: str
    text: str
    kind: str = ""
    what: str = ""
    why: str = ""

    @property
    def printed(self) -> list[str]:
        """The lines that a Python block says it prints."""
        return _PRINTED.findall(self.text) if self.language == "python" else []


def blocks(page: Path) -> Iterator[Block]:
    """The page's blocks in order; ValueError for a comment or a language that means nothing."""
    content = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(content):
        where = f"{page.name}:{content.count(chr(10), 0, found.start()) + 1}"
        language = found["language"]
        if language not in (*SHELLS, *FILES, *NEITHER):
            raise ValueError(f"{where}: nothing is known of blocks in {language!r}")
        before = content[: found.start()].rstrip("\n").rpartition("\n")[2].strip()
        marker = _MARKER.fullmatch(before)
        if marker is None and before.startswith("<!-- block"):
            raise ValueError(f"{where}: {before} means nothing")
        told = {name: text or "" for name, text in marker.groupdict().items()} if marker else {}
        yield Block(where, language, found["text"], **told)
