"""docs/reliability.md names tests, and they exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs" / "reliability.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(test_\w+\.py)::(\w+)`")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| fault |")]


@cache
def functions_of(file: str) -> frozenset[str]:
    """The test functions of ``file``, in classes too."""
    (path,) = (PROJECT / "tests").rglob(file)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return frozenset(name for name in functions if name.startswith("test_"))


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED.findall(PAGE)}))
def test_every_test_that_the_page_names_exists(file: str) -> None:
    named = {name for found, name in NAMED.findall(PAGE) if found == file}
    assert named - functions_of(file) == set()


def test_every_row_names_a_test() -> None:
    bare = [row for row in ROWS if not row.startswith("| promise |") and not NAMED.search(row)]
    assert bare == []
    assert len(ROWS) > 50


def test_every_promise_has_a_row() -> None:
    assert [row.split()[1] for row in ROWS if re.match(r"\| P\d", row)] == [f"P{n}" for n in range(1, 11)]
