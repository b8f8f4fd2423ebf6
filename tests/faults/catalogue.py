"""Reads the catalogue, and the marks of the tests from their source: as quick as a linter."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROJECT = Path(__file__).resolve().parents[2]
CATALOGUE = Path(__file__).with_name("catalogue.toml")
TESTS = PROJECT / "tests"
MARK = "fault"
OPEN = "open"
REAL = re.compile(r"[A-F]\d+[a-z]?")
"""The ids of faults that were seen in real use: their tests failed before."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table of docs/reliability.md. ``is_open``: it is not mended yet."""

    id: str
    situation: str
    happens: str
    is_open: bool


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[str, str]
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True, order=True)
class Shown:
    """A marked test: ``test_locks.py`` in tests/unit, line 12, ``TestLocks::test_free``."""

    path: str
    line: int
    name: str

    @property
    def node_id(self) -> str:
        return f"{self.path}::{self.name}"

    def __str__(self) -> str:
        return f"{Path(self.path).name}::{self.name}"


Marks = dict[str, list[Shown]]
"""Id → the tests that have its mark, by file and line."""


def tables(path: Path = CATALOGUE) -> list[Table]:
    return read_tables(tomllib.loads(path.read_text(encoding="utf-8")))


def read_tables(catalogue: Mapping[str, Any]) -> list[Table]:
    """The tables of a catalogue, as TOML has them."""
    return [
        Table(
            table["title"],
            tuple(table["columns"]),
            [
                Row(name, situation, happens, is_open=rest == [OPEN])
                for name, (situation, happens, *rest) in table["rows"].items()
            ],
        )
        for table in catalogue["table"]
    ]


def rows() -> dict[str, Row]:
    """Every row by its id."""
    return {row.id: row for table in tables() for row in table.rows}


def marks(tests: Path = TESTS) -> Marks:
    """The marked tests below ``tests``, by the ids that they name.

    Raises ValueError for an id that is no literal, and for a mark elsewhere than on a test: nobody would run that case.
    """
    found: Marks = defaultdict(list)
    for path in sorted(tests.rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        if f"mark.{MARK}(" in source:
            tree = ast.parse(source)
            unseen = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_mark(node)}
            for name, node, decorators in _functions(tree):
                unseen -= {decorator.lineno for decorator in decorators}
                for given in _ids(decorators, f"{path.name}::{name}"):
                    found[given].append(Shown(str(path.relative_to(tests.parent)), node.lineno, name))
            if unseen:
                raise ValueError(
                    f"{path.name}, line {min(unseen)}: only a mark that decorates a test is seen; give the case a test of its own"
                )
    return {name: sorted(shown) for name, shown in found.items()}


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef, Sequence[ast.expr]]]:
    """(name, node, decorators) of each test, those in classes with the decorators of their class, too."""
    for node in tree.body:
        within = node.body if isinstance(node, ast.ClassDef) else [node]
        for function in within:
            if isinstance(function, ast.FunctionDef) and function.name.startswith("test_"):
                if isinstance(node, ast.ClassDef):
                    name = f"{node.name}::{function.name}"
                    yield name, function, [*node.decorator_list, *function.decorator_list]
                else:
                    yield function.name, function, function.decorator_list


def _ids(decorators: Sequence[ast.expr], where: str) -> Iterator[str]:
    for decorator in decorators:
        if isinstance(decorator, ast.Call) and _is_mark(decorator):
            for argument in decorator.args:
                if not isinstance(argument, ast.Constant):
                    raise ValueError(f"{where}: the id of a fault is a literal")  # noqa: TRY004
                yield str(argument.value)


def _is_mark(call: ast.Call) -> bool:
    return ast.unparse(call.func) == f"pytest.mark.{MARK}"


def problems(known: Sequence[Table], marked: Mapping[str, Sequence[Shown]]) -> list[str]:
    """What does not agree between the catalogue and the marks."""
    by_id = {row.id: row for table in known for row in table.rows}
    unknown = [
        f"{test}: the catalogue has no fault {name!r}"
        for name, tests in marked.items()
        if name not in by_id
        for test in tests
    ]
    bare = [
        f"{row.id}: no test is marked with it, and it is not {OPEN}"
        for row in by_id.values()
        if not row.is_open and row.id not in marked
    ]
    mended = [
        f"{row.id}: is {OPEN}, but {marked[name][0]} shows it"
        for name, row in by_id.items()
        if row.is_open and name in marked
    ]
    return [*unknown, *bare, *mended]
