"""Invoke's own places for settings: its configuration files, and what a tasks.py sets with ``ns.configure``.

Both front ends read the files here, so that ``hpm`` and ``invoke`` work with the same settings. Only the ``hpm:``
section is ours; the rest of such a file is Invoke's.
"""

from __future__ import annotations

import os
from contextvars import ContextVar

from hpm_tools.config import files, locate
from hpm_tools.errors import Misconfigured, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

RUNTIME = "INVOKE_RUNTIME_CONFIG"
"""Invoke's variable for the file that ``-f FILE`` names."""

SUFFIXES = (".yaml", ".yml", ".json", ".py")
"""In this order Invoke looks for a file, and reads the first one that it finds."""

SYSTEM = "/etc/invoke"
USER = ".invoke"
PROJECT = "invoke"

LONGEST_REASON = 200


class Configured:
    """The ``hpm`` section that a tasks.py sets with ``ns.configure`` (None: it sets none), and that tasks.py's directory.

    ``trust_task`` says how `trust` is called with that tasks.py, which may have it under another name.
    """

    __slots__ = ("project", "section", "trust_task")

    def __init__(
        self, section: object, project: str, trust_task: Callable[[], str] = lambda: "invoke trust"
    ) -> None:
        self.section = section
        self.project = os.path.realpath(project)
        self.trust_task = trust_task

    def is_apart(self, repository: str | None) -> bool:
        """Whether the tasks.py belongs to another place than ``repository``.

        hpm-tools' own checkout counts as the repository's: anybody may call its tasks on a repository of his.
        """
        own = locate.find_repository(self.project)
        return own is None or not (own == repository or locate.is_own_checkout(own))

    @property
    def source(self) -> str:
        """How messages and ``health`` name it."""
        return f"{CONFIGURED} (tasks in {self.project})"

    def settings(self) -> dict[object, Any]:
        """The section as a mapping; Misconfigured if it is something else."""
        return files.section({files.SECTION: self.section}, self.source)

    def content(self) -> bytes:
        """The settings in a form that is the same for the same settings: what is approved."""
        import json

        return json.dumps(self.settings(), indent=2, default=repr, skipkeys=True).encode()


CONFIGURED = "ns.configure"

runtime: ContextVar[str | None] = ContextVar("runtime", default=None)
"""The file of ``-f`` for the command that runs in this thread; without it the variable counts."""

configured: ContextVar[Configured | None] = ContextVar("configured", default=None)
"""Of the task that runs in this thread; None under ``hpm``. cli/invoke_settings.py sets it for each task's time."""


def named_file(name: str, start: str = "") -> str:
    """The absolute path of the file that ``-f`` names, seen from ``start``. UsageError if Invoke would ignore or refuse it."""
    if not name:
        raise UsageError("-f needs the name of a file with settings")
    path = absolute(name, start)
    if os.path.splitext(path)[1] not in SUFFIXES:
        raise UsageError(f"-f {name}: the file's name must end in {', '.join(SUFFIXES)}")
    if not os.path.exists(path):
        raise UsageError(f"-f {name}: there is no such file")
    return path


def absolute(name: str, start: str = "") -> str:
    """The path that ``name`` is, seen from ``start`` (default: the current directory)."""
    return os.path.abspath(os.path.join(start, os.path.expanduser(name)))


def first_of(stem: str) -> tuple[str, bytes] | None:
    """The file that Invoke reads of those that begin with ``stem``, and its content."""
    for suffix in SUFFIXES:
        content = files.read_file(stem + suffix)
        if content is not None:
            return stem + suffix, content
    return None


def section(content: bytes, path: str) -> dict[object, Any]:
    """The ``hpm:`` section of a file. A Python file is executed, unless nothing in it is called hpm."""
    if files.SECTION.encode() not in content:
        return {}
    parse = {".json": _parse_json, ".py": _execute}.get(os.path.splitext(path)[1], files.parse_yaml)
    return files.section(parse(content, path), path)


def _parse_json(content: bytes, path: str) -> Mapping[object, Any]:
    import json

    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        why = type(error).__name__
        if isinstance(error, json.JSONDecodeError):
            why = f"{error.msg} (line {error.lineno}, column {error.colno})"
        raise Misconfigured(f"{path} is not valid JSON: {why}", "correct it there") from error
    if not isinstance(data, dict):
        raise Misconfigured(f"{path} must hold an object of settings, not {type(data).__name__}")
    return data


def _execute(content: bytes, path: str) -> Mapping[object, Any]:
    """The variables that a Python file sets, executed as Invoke does, which names its module ``mod``.

    What it prints goes to stderr: stdout is for a command's result. Whatever it raises is a problem to be told;
    the file is not ours.
    """
    import sys
    from contextlib import redirect_stdout

    variables: dict[object, Any] = {"__name__": "mod"}
    try:
        with redirect_stdout(sys.stderr):
            exec(compile(content, path, "exec"), variables)  # type: ignore[arg-type]  # noqa: S102  # the operator's own
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        why = f"{type(error).__name__}: {_first_line(error)}".removesuffix(": ")
        raise Misconfigured(
            f"{path} cannot be executed{_line(error, path)}: {why}", "correct it there"
        ) from error
    return variables


def _first_line(error: BaseException) -> str:
    try:
        return str(error).strip().partition("\n")[0][:LONGEST_REASON]
    except Exception:  # its text is the file's, too
        return ""


def _line(error: BaseException, path: str) -> str:
    """`` (line N)``: the last line of the file that was being executed, or that is no Python."""
    number = error.lineno if isinstance(error, SyntaxError) else None
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == path:
            number = traceback.tb_lineno
        traceback = traceback.tb_next
    return f" (line {number})" if number else ""
