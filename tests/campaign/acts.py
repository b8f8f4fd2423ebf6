"""Every call in the source that changes something outside the process, and whether failpoints stand around it.

What can be told from the source is told: a call counts as guarded inside ``with failpoints.around(…)``, or
where its function reaches one failpoint before it and another after it. Doors that others go through (git,
the board, hooks, the record's files) are guarded once, inside.

Where an act needs no failpoints the source itself says why, so that the reason moves with the code: a line
``# no failpoint: why`` above a statement or a function speaks for all of it, a line ``# no failpoints in this
module: why`` (``package`` in an ``__init__.py``) for the whole file or directory.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.campaign.edits import Function, qualified
from tests.campaign.points import PACKAGE, failpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXCUSE = re.compile(r"^ *# no failpoint: \S")
MODULE_EXCUSE = re.compile(r"^# no failpoints in this (module|package): \S", re.MULTILINE)
OS = frozenset(
    [
        "chmod",
        "fchmod",
        "ftruncate",
        "link",
        "makedirs",
        "mkdir",
        "mkfifo",
        "pwrite",
        "remove",
        "removedirs",
        "rename",
        "replace",
        "rmdir",
        "symlink",
        "truncate",
        "unlink",
        "write",
    ]
)
SHUTIL = frozenset(["copy", "copy2", "copyfile", "copytree", "move", "rmtree"])
TEMPFILE = frozenset(["mkdtemp", "mkstemp", "NamedTemporaryFile", "TemporaryDirectory"])
PATHS = frozenset(
    [
        "chmod",
        "hardlink_to",
        "mkdir",
        "rename",
        "rmdir",
        "symlink_to",
        "touch",
        "unlink",
        "write_bytes",
        "write_text",
    ]
)
"""Methods of pathlib's paths that no other class here has; ``replace`` is told by its one argument."""

FUNCTIONS = frozenset({"delete_tree", "supervise"})
CREATING = frozenset({"O_CREAT", "O_TRUNC"})


@dataclass(frozen=True, slots=True)
class Act:
    """A call that changes something; ``where`` is for people: ``worktree/removal.py:120 in discard``."""

    where: str
    what: str
    guarded: bool
    excused: bool


@dataclass(frozen=True, slots=True)
class Acts:
    """``idle``: where excuses stand that excuse nothing."""

    found: list[Act]
    idle: list[str]


def all_acts(package: Path = PACKAGE) -> Acts:
    """Every act below ``package`` but in modules and packages that need no failpoints."""
    acts = Acts([], [])
    apart: list[Path] = []
    for path in sorted(package.rglob("*.py"), key=lambda path: (path.parent, path.name != "__init__.py")):
        source = path.read_text(encoding="utf-8")
        excused = MODULE_EXCUSE.search(source)
        if excused:
            apart.append(path.parent if excused[1] == "package" else path)
        if not any(path.is_relative_to(place) for place in apart):
            _look_into(source, str(path.relative_to(package)), acts)
    return acts


def _look_into(source: str, name: str, acts: Acts) -> None:
    tree = ast.parse(source)
    excuses = {number for number, line in enumerate(source.splitlines(), 1) if EXCUSE.match(line)}
    spoken_for = [
        (first - 1, first, node.end_lineno or first)
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and (first := _first_line(node)) - 1 in excuses
    ]
    used: set[int] = set()
    for line, what, function, guarded in sorted(_acts_in(tree)):
        by = {excuse for excuse, first, last in spoken_for if first <= line <= last}
        if not guarded:
            used |= by
        acts.found.append(Act(f"{name}:{line} in {function}", what, guarded, bool(by)))
    acts.idle.extend(f"{name}:{line}" for line in sorted(excuses - used))


def _first_line(node: ast.stmt) -> int:
    """The line on which a statement begins, with its decorators."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _acts_in(tree: ast.Module) -> Iterator[tuple[int, str, str, bool]]:
    """(line, what, function, whether failpoints stand on both sides) of each act."""
    for name, function in qualified(tree):
        inner = list(_own_nodes(function))
        points = [node.lineno for node in inner if isinstance(node, ast.Call) and failpoint(node) == "reach"]
        spans = [
            (node.lineno, node.end_lineno or node.lineno)
            for node in inner
            if isinstance(node, ast.With) and any(_is_around(item.context_expr) for item in node.items)
        ]
        creating = any(isinstance(node, ast.Attribute) and node.attr in CREATING for node in inner)
        for node in inner:
            if isinstance(node, ast.Call) and (what := act(node, creating=creating)):
                inside = any(first <= node.lineno <= last for first, last in spans)
                between = any(line < node.lineno for line in points) and any(
                    line > node.lineno for line in points
                )
                yield node.lineno, what, name, inside or between


def _is_around(expression: ast.expr) -> bool:
    return isinstance(expression, ast.Call) and failpoint(expression) == "around"


def _own_nodes(function: Function) -> Iterator[ast.AST]:
    """The nodes of a function without those of the functions in it."""
    waiting: list[ast.AST] = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if not isinstance(node, Function):
            yield node
            waiting += ast.iter_child_nodes(node)


def act(call: ast.Call, *, creating: bool) -> str | None:
    """What the call changes, as written; None if it changes nothing that can be told.

    ``creating``: the function names a flag of `os.open` that makes a file.
    """
    match call.func:
        case ast.Attribute(value=ast.Name(id="os"), attr="open"):
            return "os.open" if creating else None
        case ast.Name(id="open_in_place"):
            return "open_in_place" if creating else None
        case ast.Name(id="open") | ast.Attribute(value=ast.Name(id="os"), attr="fdopen"):
            return "open" if _writes(call) else None
        case ast.Attribute(value=ast.Name(id=module), attr=attr) if module in ("os", "shutil", "tempfile"):
            known = {"os": OS, "shutil": SHUTIL, "tempfile": TEMPFILE}[module]
            return f"{module}.{attr}" if attr in known else None
        case ast.Name(id=name) if name in FUNCTIONS:
            return name
        case ast.Attribute(attr=attr) if attr in PATHS or (
            attr == "replace" and len(call.args) == 1 and not call.keywords
        ):
            return f".{attr}"
    return None


def _writes(call: ast.Call) -> bool:
    mode = call.args[1] if len(call.args) > 1 else None
    mode = next((keyword.value for keyword in call.keywords if keyword.arg == "mode"), mode)
    return isinstance(mode, ast.Constant) and bool(set(str(mode.value)) & set("wax+"))
