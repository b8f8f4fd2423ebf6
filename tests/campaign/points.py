"""Every failpoint of the package, found in its source, so that a new one cannot be forgotten."""

from __future__ import annotations

import ast
from pathlib import Path

from hpm_tools.runner.steps import STEPS

PACKAGE = Path(__file__).resolve().parents[2] / "hpm_tools"
OUTSIDE = ("locking",)
"""Steps that the machine never drives: taking does this one, with points of its own."""


def all_points(package: Path = PACKAGE) -> dict[str, list[str]]:
    """Name → where it stands (``runner/taking.py:106``), for every failpoint below ``package``.

    The name given to ``reach`` is a literal, or an f-string of the variable ``step`` and a literal end, which
    stands for every step; that given to ``around`` is a literal, and makes two points. Any other argument
    raises AssertionError: nobody could tell what it reaches.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "failpoints." not in text:  # most files: parsing them all takes a second
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and (kind := failpoint(node)):
                where = f"{path.relative_to(package)}:{node.lineno}"
                for name in _names(node.args[0], where):
                    for point in (name,) if kind == "reach" else (f"{name}.before", f"{name}.after"):
                        found.setdefault(point, []).append(where)
    return found


def failpoint(call: ast.Call) -> str | None:
    """``reach`` or ``around`` if the call is one of those, else None."""
    match call.func:
        case ast.Attribute(value=ast.Name(id="failpoints"), attr="reach" | "around" as kind):
            return kind
    return None


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
