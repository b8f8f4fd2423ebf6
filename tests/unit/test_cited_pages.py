"""What code and pages refer to exists: the page, and the heading in it."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.support.frontends import PROJECT
from tests.support.project_files import project_files

if TYPE_CHECKING:
    from pathlib import Path

CITED = re.compile(r"docs/([\w-]+\.md)(?:, ([A-Z][\w'/ -]*\w))?")
"""docs/claude-cli.md, Sandbox: a page and, if a capital letter follows the comma, a heading of it."""
OF_ANOTHER_PROJECT = {"tests/support/night.py", "tests/unit/test_role_filter.py"}
"""What is told there of made-up repositories, which have documents of their own."""
BY_NUMBER = re.compile(r"[\w./-]+ § ?\d+")
SOURCES = (".py", ".sh", ".js", ".html", ".toml", ".yaml")
LINK = re.compile(r"\]\(([^)\s]+)\)")
PAGES = [PROJECT / "README.md", PROJECT / "CHANGELOG.md", *sorted((PROJECT / "docs").glob("*.md"))]


@cache
def headings(page: Path) -> frozenset[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return frozenset(line.lstrip("#").strip() for line in text.splitlines() if line.startswith("#"))


def anchors(page: Path) -> set[str]:
    """The ids that GitHub gives to the page's headings."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(page)}


@cache
def code() -> tuple[tuple[str, str], ...]:
    """Each file that is not a page, with its text in one line: a citation may go over two lines of a comment."""
    names = [name for name in project_files() if name.endswith(SOURCES) and name not in OF_ANOTHER_PROJECT]
    texts = [(PROJECT / name).read_text(encoding="utf-8") for name in names]
    return tuple((name, re.sub(r"\s*\n\s*#?\s*", " ", text)) for name, text in zip(names, texts, strict=True))


def test_what_the_code_cites_exists() -> None:
    missing = [
        f"{name} cites {page}, {heading}" if heading else f"{name} cites {page}"
        for name, text in code()
        for page, heading in CITED.findall(text)
        if not (PROJECT / "docs" / page).is_file()
        or (heading and heading not in headings(PROJECT / "docs" / page))
    ]
    assert missing == []


def test_the_code_cites_by_heading_and_not_by_number() -> None:
    """Numbers of sections change with the next section that is put in."""
    assert [(name, found) for name, text in code() for found in BY_NUMBER.findall(text)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        file, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / file) if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
