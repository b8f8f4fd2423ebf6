"""Every call in the source that changes something outside the process, and whether failpoints stand around it.

What can be told from the source is told: a call counts as guarded inside ``with failpoints.around(…)``, or
where its function reaches one failpoint before it and another after it. Doors that others go through (git,
the board, hooks, the record's files) are guarded once, inside.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.campaign.points import PACKAGE, failpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OUTSIDE = (
    "board/server/",  # a program of its own, whose acts are transactions
    "cli/",
    "demo/",
    "failpoints.py",
    "process/",  # pipes, signals and logs: nothing that a step's journal speaks of
    "trees.py",  # guarded by whoever has a tree deleted
)
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
    """``where`` is ``worktree/removal.py:discard``: a line would change too often to be written down."""

    where: str
    line: int
    what: str
    guarded: bool


def all_acts(package: Path = PACKAGE) -> list[Act]:
    """Every act below ``package`` but in what is OUTSIDE."""
    found: list[Act] = []
    for path in sorted(package.rglob("*.py")):
        name = str(path.relative_to(package))
        if not name.startswith(OUTSIDE):
            found += _acts_in(ast.parse(path.read_text(encoding="utf-8")), name)
    return found


def _acts_in(tree: ast.Module, name: str) -> Iterator[Act]:
    for function, qualified in _functions(tree, name):
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
                yield Act(qualified, node.lineno, what, inside or between)


def _is_around(expression: ast.expr) -> bool:
    return isinstance(expression, ast.Call) and failpoint(expression) == "around"


Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(tree: ast.Module, name: str) -> Iterator[tuple[Function, str]]:
    def below(node: ast.AST, prefix: str) -> Iterator[tuple[Function, str]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                yield child, f"{prefix}{child.name}"
                yield from below(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.ClassDef):
                yield from below(child, f"{prefix}{child.name}.")
            else:
                yield from below(child, prefix)

    yield from below(tree, f"{name}:")


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


TEMPORARY = "a file of its own name that is nothing before it is renamed, and is swept or written anew"
EMPTY = "an empty directory says nothing and is made, or removed, again"
EVENT = "a kill costs the event alone; test_event_store kills writers"
UNGUARDED = {
    "board/connect.py:connect": EMPTY,
    "board/embedded.py:EmbeddedBoard.__enter__": "a database for one process, with its clean-up",
    "board/embedded.py:EmbeddedBoard._clean_up": "a database for one process, with its clean-up",
    "commands/dashboard.py:_write": "a page that was asked for, and can be asked for again",
    "commands/demo.py:_directory": "a throwaway place of one command",
    "commands/demo.py:demo": "a throwaway place of one command",
    "commands/project.py:_write": TEMPORARY,
    "commands/project.py:init": TEMPORARY,
    "events/damage.py:_move": "a kill leaves nothing that the next writer does not move; test_event_damage has it",
    "events/damage.py:report": "half of it names no file, and the next reader writes it again",
    "events/damage.py:set_aside": "a report of a file that is gone says nothing",
    "events/spool.py:append": EVENT,
    "events/spool.py:take": EVENT,
    "events/database.py:_make_private": EVENT,
    "executor/claude.py:ClaudeExecutor._invoke": "between agent.starting and agent.ended",
    "executor/command.py:CommandExecutor._environment": "in the run's own temporary directory",
    "executor/command.py:CommandExecutor.run": "between agent.starting and agent.ended",
    "executor/sandbox.py:remove_placeholders": EMPTY,
    "runner/notice.py:Notice._run": "in a thread of its own, which reaches no failpoints",
    "runner/stop.py:Stop._on_signal": "a pipe of this process",
    "state/files.py:_move": "between file.written and file.replaced",
    "state/files.py:_open": "an empty file that is locked before it is used",
    "state/files.py:_sweep_one": TEMPORARY,
    "state/files.py:_unlink": TEMPORARY,
    "state/files.py:_write_once": TEMPORARY,
    "state/guard.py:_show_holder": "for people to read; the lock on the file is what counts",
    "worktree/archive.py:write": TEMPORARY,
    "worktree/files.py:descend": EMPTY,
    "worktree/files.py:drop_empty": EMPTY,
    "worktree/files.py:drop_half": TEMPORARY,
    "worktree/files.py:put": TEMPORARY,
    "worktree/locks.py:RepositoryGuard._open": "an empty file whose lock is what counts",
    "worktree/mending.py:replace_text": TEMPORARY,
    "worktree/preparing.py:_copy_open": "between setup.before and setup.after",
    "worktree/registration.py:write_mark": TEMPORARY,
    "worktree/removal.py:set_aside": EMPTY,
    "worktree/repository.py:Repository.exclude": EMPTY,
    "worktree/salvage.py:_own_index": TEMPORARY,
    "worktree/salvage.py:_sweep_indexes": TEMPORARY,
    "worktree/status.py:_remove_empty": EMPTY,
}
"""Functions whose acts need no failpoints of their own, and why."""
