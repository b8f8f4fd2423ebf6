"""Every failpoint of the package, found in its source, so that a new one cannot be forgotten."""

from __future__ import annotations

import ast
from pathlib import Path

from hpm_tools.runner.steps import STEPS

PACKAGE = Path(__file__).resolve().parents[2] / "hpm_tools"
OUTSIDE = ("locking",)
"""Steps that the machine never drives: taking does this one, with points of its own."""


def all_points(package: Path = PACKAGE) -> dict[str, str]:
    """Name → where it stands (``runner/taking.py:106``), for every call of ``reach`` below ``package``.

    A name is a literal, or an f-string of the variable ``step`` and a literal end, which stands for every
    step. Any other argument raises AssertionError: nobody could tell what it reaches.
    """
    found: dict[str, str] = {}
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _is_reach(node.func):
                where = f"{path.relative_to(package)}:{node.lineno}"
                found |= dict.fromkeys(_names(node.args[0], where), where)
    return found


def _is_reach(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and function.attr == "reach"


def _names(argument: ast.expr, where: str) -> list[str]:
    match argument:
        case ast.Constant(value=str(name)):
            return [name]
        case ast.JoinedStr(
            values=[ast.FormattedValue(value=ast.Name(id="step")), ast.Constant(value=str(end))]
        ):
            return [f"{step}{end}" for step in ("working", *STEPS) if step not in OUTSIDE]
        case _:
            raise AssertionError(f"{where}: the name of a failpoint must be a literal")
