"""Edits of a function's syntax tree, found by the function's name: they survive that it moves, and its rewording.

A function is named as Python does (``take_over``, ``CommandExecutor._environment``), without its module.
Where several have the name, the edit is made in the only one that it fits.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
T = TypeVar("T")


class Unfit(AssertionError):
    """What an edit is about is not there, or is there several times."""


class Change(Protocol):
    def __call__(self, function: Function) -> None:
        """Change the function in place; Unfit if it has not exactly one place to change."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One function changed: ``Edit("end_run", First("return []"))``."""

    function: str
    change: Change


@dataclass(frozen=True, slots=True)
class First:
    """The function begins with these statements."""

    statements: str

    def __call__(self, function: Function) -> None:
        function.body[:0] = ast.parse(self.statements).body


@dataclass(frozen=True, slots=True)
class Condition:
    """The test of an ``if`` (or ``a if test else b``) becomes ``becomes``.

    It is the one whose test mentions all of ``test`` and whose branch mentions all of ``branch``: names and
    attributes.
    """

    becomes: bool
    test: Sequence[str] = ()
    branch: Sequence[str] = ()

    def __call__(self, function: Function) -> None:
        found = [
            node
            for node in ast.walk(function)
            if isinstance(node, ast.If | ast.IfExp)
            and set(self.test) <= mentioned(node.test)
            and set(self.branch) <= mentioned(*(node.body if isinstance(node, ast.If) else [node.body]))
        ]
        _only(found, f"condition on {[*self.test, *self.branch]}").test = ast.Constant(self.becomes)


@dataclass(frozen=True, slots=True)
class Statement:
    """The statement that calls ``calls`` becomes these; ``...`` among them stands for the statement itself."""

    calls: str
    becomes: str = "pass"

    def __call__(self, function: Function) -> None:
        found = [
            (body, index)
            for body in _bodies(function)
            for index, statement in enumerate(body)
            if self.calls in {_called(call) for call in _own_calls(statement)}
        ]
        body, index = _only(found, f"statement that calls {self.calls}")
        new = ast.parse(self.becomes).body
        body[index : index + 1] = [body[index] if _is_ellipsis(statement) else statement for statement in new]


@dataclass(frozen=True, slots=True)
class Value:
    """The call of ``calls`` becomes another expression."""

    calls: str
    becomes: str

    def __call__(self, function: Function) -> None:
        found = [
            node
            for node in ast.walk(function)
            if isinstance(node, ast.Call)
            and _called(node) == self.calls
            and node not in function.decorator_list
        ]
        _Replaced(_only(found, f"call of {self.calls}"), ast.parse(self.becomes, mode="eval").body).visit(
            function
        )


class _Replaced(ast.NodeTransformer):
    def __init__(self, old: ast.expr, new: ast.expr) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else super().generic_visit(node)


def apply(edits: Sequence[Edit], package: Path) -> None:
    """Make the edits in the source below ``package``; Unfit names the one that cannot be made."""
    for edit in edits:
        fitting, reasons = [], []
        for path, tree, function in functions(package, edit.function):
            before = ast.unparse(function)
            try:
                edit.change(function)
            except Unfit as error:
                reasons.append(f"{path.relative_to(package)}: {error}")
                continue
            if ast.unparse(function) == before:
                reasons.append(f"{path.relative_to(package)}: the edit changes nothing")
                continue
            fitting.append((path, tree))
        if len(fitting) != 1:
            where = ", ".join(str(path.relative_to(package)) for path, _ in fitting)
            raise Unfit(
                f"{edit}: "
                + (
                    f"fits several functions of that name: {where}"
                    if fitting
                    else "fits no function of that name"
                )
                + f" ({'; '.join(reasons) or 'there is none'})"
            )
        ((path, tree),) = fitting
        source = ast.unparse(ast.fix_missing_locations(tree))
        compile(source, str(path), "exec")
        path.write_text(source, encoding="utf-8")


def functions(package: Path, name: str) -> Iterator[tuple[Path, ast.Module, Function]]:
    """The functions called ``name`` below ``package``, each in a tree of its own."""
    last = name.rpartition(".")[2]
    for path in sorted(package.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        # Reading is cheap, parsing is not.
        if f"def {last}(" not in source:
            continue
        for position in range(sum(found == name for found, _ in qualified(ast.parse(source)))):
            tree = ast.parse(source)
            yield path, tree, [function for found, function in qualified(tree) if found == name][position]


def qualified(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Every function below ``node`` with its qualified name: ``Class.method``, ``outer.inner``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield f"{prefix}{child.name}", child
            yield from qualified(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from qualified(child, f"{prefix}{child.name}.")
        else:
            yield from qualified(child, prefix)


def mentioned(*nodes: ast.AST) -> set[str]:
    """The names and attributes that stand in ``nodes``."""
    found = set()
    for node in nodes:
        for inner in ast.walk(node):
            match inner:
                case ast.Name(id=name) | ast.Attribute(attr=name):
                    found.add(name)
    return found


def _only(found: Sequence[T], what: str) -> T:
    if len(found) != 1:
        raise Unfit(f"it has {len(found)} times a {what}" if found else f"it has no {what}")
    return found[0]


def _bodies(function: Function) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(function):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                yield body


def _own_calls(statement: ast.stmt) -> Iterator[ast.Call]:
    """The calls in a statement but not in the statements below it."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call):
            yield node
        waiting += [
            child
            for child in ast.iter_child_nodes(node)
            if not isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case)
        ]


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _is_ellipsis(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and statement.value.value is ...
    )
