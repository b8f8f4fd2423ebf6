"""Writes the tables of docs/reliability.md between its markers; the prose around them is written by hand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.faults.catalogue import PROJECT, marks, tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.faults.catalogue import Row, Shown, Table

PAGE = PROJECT / "docs" / "reliability.md"
PLACE = re.compile(r"^<!-- (rows|not yet): ([^\n]+) -->\n.*?^<!-- end -->$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"[A-Z]\d+[a-z]?")
"""Ids that people use, too; the others are for marks alone."""


def page() -> str:
    """The page as it has to be."""
    return filled(PAGE.read_text(encoding="utf-8"), tables(), marks())


def filled(text: str, known: Sequence[Table], marked: Mapping[str, Sequence[Shown]]) -> str:
    """``text`` with what stands between its markers written anew; KeyError for a table that there is not."""
    by_title = {table.title: table for table in known}

    def fill(place: re.Match[str]) -> str:
        kind, title = place.groups()
        table = by_title[title]
        columns = [*table.columns, "shown by"] if kind == "rows" else list(table.columns)
        lines = [
            _line(
                [
                    *_cells(row),
                    *([" ".join(f"`{test}`" for test in marked.get(row.id, ()))] if kind == "rows" else []),
                ]
            )
            for row in table.rows
            if row.is_open == (kind == "not yet")
        ]
        head = [_line(columns), "|" + "---|" * len(columns)]
        return "\n".join([f"<!-- {kind}: {title} -->", *(head if lines else []), *lines, "<!-- end -->"])

    return PLACE.sub(fill, text)


def _cells(row: Row) -> list[str]:
    named = f"{row.id} " if NAMED.fullmatch(row.id) else ""
    return [named + row.situation, row.happens]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
