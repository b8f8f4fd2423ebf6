"""The fields of a task record: which there are, and what each may hold."""

from __future__ import annotations

import os

from hpm_tools import names
from hpm_tools.errors import HpmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn, Protocol

    class Fault(Protocol):
        """Raises the caller's error for one field."""

        def __call__(self, field: str, why: str) -> NoReturn: ...


_TEXTS = frozenset(
    """
    agent_id base board board_locked_at board_status_before boot_id branch_name checkout commit created_at
    executor holder host level locked_at machine model pid_ns pid_start repo role run_id salvage session_id step
    step_at stays switch_back task_title token worktree_path
    """.split()  # noqa: SIM905  # one name a line would fill a screen
)
_NUMBERS = frozenset(
    """
    agent_runs agent_seconds attempt checkout_at cost_before cost_usd outages taken_at
    """.split()  # noqa: SIM905  # one name a line would fill a screen
)
_LARGEST = 1e11
"""Beyond any time, count or sum that a runner writes: as Unix time it is the year 5138."""
_TRUTHS = frozenset(("in_place", "progressed", "rebuilt", "started"))
_OBJECTS = frozenset(
    ("around", "child", "ending", "entries", "report", "snapshot", "task_data", "verdict", "work")
)
_LISTS = frozenset(("strays", "tampering"))

STEPS = frozenset(
    """
    locking pre_hook workspace starting working committing detaching reporting post_hook cleaning unlocking
    """.split()  # noqa: SIM905  # one name a line would fill a screen
)
"""Where a task can be; the runner has a function for each (runner/steps.py)."""
ENDINGS = frozenset(("reported", "parked", "given_back", "lost"))
VERDICTS = frozenset(
    """
    done rejected limit overloaded network crashed stalled timed_out stopped blocked failed denied nothing_done
    misplaced budget day_budget auth misconfigured no_outcome
    """.split()  # noqa: SIM905  # one name a line would fill a screen
)
_CHOICES = {"step": STEPS, "role": frozenset((*names.ROLES, "")), "level": frozenset((*names.LEVELS, ""))}
_KINDS = {"ending": ENDINGS, "verdict": VERDICTS}

_FREE_TEXT = "task_title"
_FILE_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_MAX_PID = 2**31 - 1


def complete(fields: dict[str, Any], agent_id: str | None) -> None:
    """Make the least that a record written by hand may say into what every record says."""
    task = fields.get("task_data")
    if fields.get("task_id") is None and isinstance(task, dict):
        fields["task_id"] = task.get("id")
    if isinstance(fields.get("task_id"), str):
        try:
            fields["task_id"] = names.task_id(fields["task_id"])
        except HpmError:
            pass  # validate() says what is wrong with it
    if fields.get("agent_id") is None and agent_id is not None:
        fields["agent_id"] = agent_id


def validate(fields: Mapping[str, Any], fault: Fault) -> None:
    """Call ``fault`` for the first field that does not hold what it must; absent and null ones are fine.

    ``task_id`` and ``agent_id`` must be there. What is not known here may hold anything.
    """
    task_id = fields.get("task_id")
    if type(task_id) is not int or not 0 < task_id <= names.MAX_TASK_ID:
        fault("task_id", "is no task id")
    if fields.get("agent_id") is None:
        fault("agent_id", "is missing")
    for name, value in fields.items():
        if value is not None:
            _validate_kind(name, value, fault)
    try:
        names.agent_id(fields["agent_id"])
    except HpmError as error:
        fault("agent_id", f"is none: {error.message}")
    run_id = fields.get("run_id")
    if run_id is not None and not (0 < len(run_id) <= 128 and _FILE_NAME.issuperset(run_id)):
        fault("run_id", "is no run id")
    # The holder is only looked at, and may be a container's first process; the child is signalled.
    _validate_process(fields, fault, least=1)
    _validate_process(fields.get("child") or {}, fault, least=2)
    _validate_task(fields, fault)


def _validate_task(fields: Mapping[str, Any], fault: Fault) -> None:
    """What names the task stands in the record twice; where the two differ, neither can be believed."""
    task = fields.get("task_data") or {}
    if task.get("id") not in (None, fields["task_id"], str(fields["task_id"])):
        fault("task_data", f"is that of another task than {fields['task_id']}")
    made = fields.get("created_at")
    if made and task.get("created_at") not in (None, made):
        fault("created_at", "is that of another task")


def _validate_kind(name: str, value: Any, fault: Fault) -> None:
    if name in _TEXTS:
        if not isinstance(value, str):
            fault(name, "is no text")
        if name != _FREE_TEXT and not _usable(value):
            fault(name, "has characters that no file name or argument may have")
        if name in _CHOICES and value not in _CHOICES[name]:
            fault(name, f"is none that is known: {names.shown(value, 40)}")
    elif name in _NUMBERS:
        if not isinstance(value, int | float) or isinstance(value, bool):
            fault(name, "is no number")
        if not -_LARGEST < value < _LARGEST:
            fault(name, "is larger than anything that is ever written")
    elif name in _TRUTHS:
        if not isinstance(value, bool):
            fault(name, "is neither true nor false")
    elif name in _LISTS:
        if not _is_texts(value):
            fault(name, "is no list of texts")
    elif name in _OBJECTS and not isinstance(value, dict):
        fault(name, "is no JSON object")
    elif name == "entries":
        if not all(isinstance(area, dict) and all(map(_is_texts, area.values())) for area in value.values()):
            fault(name, "holds something else than lists of names")
    elif name in _KINDS and value:
        _validate_judgement(name, value, fault)


def _validate_judgement(name: str, value: Mapping[str, Any], fault: Fault) -> None:
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS[name]:
        fault(name, "is of no kind that is known")
    for part in ("reason", "status", "summary"):
        if not isinstance(value.get(part), str | None):
            fault(name, f"has a {part} that is no text")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _usable(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _validate_process(fields: Mapping[str, Any], fault: Fault, *, least: int) -> None:
    for name in ("pid", "pgid"):
        # To signal 0, 1 or a negative number is to signal our own group, init, or everybody (kill(2)).
        pid = fields.get(name)
        if pid is not None and (type(pid) is not int or not least <= pid <= _MAX_PID):
            fault(name, "is no process id")
    for name in ("start", "cookie"):
        if not isinstance(fields.get(name), str | None):
            fault(name, "is no text")
