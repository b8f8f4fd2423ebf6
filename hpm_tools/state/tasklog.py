"""What is known of a task beyond the record's life: attempts, cost, sessions, why it is skipped, salvage."""

from __future__ import annotations

import os
import time

from hpm_tools import failpoints
from hpm_tools.errors import BadData, HpmError
from hpm_tools.state import files, guard, quarantine, quickjson
from hpm_tools.state.paths import GUARD_SUFFIX, task_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hpm_tools.state.paths import StateDir

SUFFIX = ".json"
READ_LIMIT = 1 << 20
_HUGE = 1e15
_LONGEST_SKIP = 3600.0
"""Seconds. A time further ahead was written by a clock that has been set back since."""
_KEPT = 200
"""Entries kept of each list and of ``session_costs``; the oldest go first."""


class TaskLog:
    """The log of one task, which (board, id, created_at) names: the board gives ids again after a delete.

    Attributes read the file afresh; a missing file reads as nothing done yet. Fields that are not named
    here are kept and read as attributes too, None when absent.
    """

    def __init__(self, state: StateDir, board: str, task_id: int, created_at: str) -> None:
        self._state = state
        self._identity = {"board": board, "task_id": task_id, "created_at": created_at}
        self.path = os.path.join(state.tasks, task_name(board, task_id, created_at) + SUFFIX)

    @property
    def attempts(self) -> int:
        """Agent runs started, on this host."""
        return int(_number(self.facts.get("attempts")))

    @property
    def failures(self) -> int:
        """Agent runs that counted as an attempt that failed."""
        return int(_number(self.facts.get("failures")))

    @property
    def cost_usd(self) -> float:
        return _number(self.facts.get("cost_usd"))

    @property
    def sessions(self) -> list[Any]:
        """The agents' sessions, oldest first."""
        return _list(self.facts.get("sessions"))

    @property
    def session_costs(self) -> dict[str, float]:
        """USD by session id, as the CLI last stated each session's total."""
        return {name: _number(cost) for name, cost in _dict(self.facts.get("session_costs")).items()}

    @property
    def skip(self) -> dict[str, Any] | None:
        """Why no runner here takes it: ``reason``, and ``updated_at`` or ``until`` that end the skipping."""
        return _dict(self.facts.get("skip")) or None

    @property
    def salvage(self) -> list[str]:
        """Refs that keep what was left uncommitted."""
        return [ref for ref in _list(self.facts.get("salvage")) if isinstance(ref, str)]

    @property
    def facts(self) -> dict[str, Any]:
        """All that is recorded; empty when there is no log, or it is damaged."""
        try:
            data = files.read_capped(self.path, READ_LIMIT)
        except BadData:
            return {}
        return (self._parse(data) if data else None) or {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.facts.get(name)

    def update(self, **fields: Any) -> dict[str, Any]:
        """Set ``fields``, atomically; returns all that is recorded then."""
        return self._change(lambda facts: {**facts, **fields})

    def add(self, **amounts: float) -> dict[str, Any]:
        """Add to counters (``attempts=1``, ``cost_usd=0.42``), atomically."""
        return self._change(
            lambda facts: {**facts, **{k: _number(facts.get(k)) + v for k, v in amounts.items()}}
        )

    def note(self, **entries: Any) -> dict[str, Any]:
        """Append one entry to each named list (``salvage=ref``, ``sessions={…}``), unless it is its last already."""

        def change(facts: dict[str, Any]) -> dict[str, Any]:
            changed = dict(facts)
            for name, entry in entries.items():
                before = _list(facts.get(name))
                changed[name] = before if before[-1:] == [entry] else [*before, entry]
            return changed

        return self._change(change)

    def skipped(self, updated_at: str, now: float | None = None) -> str | None:
        """Why the task is to be left alone, while it is as it was (its ``updated_at``) and ``until`` is ahead."""
        skip = self.skip
        if skip is None:
            return None
        if skip.get("updated_at") not in (None, updated_at):
            return None
        until = skip.get("until")
        if (
            isinstance(until, int | float)
            and not 0 < until - (time.time() if now is None else now) < _LONGEST_SKIP
        ):
            return None
        return str(skip.get("reason") or "skipped")

    def _change(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        self._state.prepare(self._state.tasks)
        with files.Exclusive(self.path, create=True) as file:
            facts = self._read_locked(file)
            if facts is None:
                facts = {"damaged": quarantine.set_aside(self.path)}
            facts = {**_bounded(change(facts)), **self._identity}
            files.atomic_write(self.path, _dump(facts))
        return facts

    def _read_locked(self, file: files.Exclusive) -> dict[str, Any] | None:
        try:
            data = file.read(READ_LIMIT)
        except files.TooLarge:
            return None
        return self._parse(data) if data else {}

    def _parse(self, data: bytes) -> dict[str, Any] | None:
        """None for a damaged log, or another task's."""
        try:
            facts = quickjson.loads(data)
        except ValueError:
            return None
        if not isinstance(facts, dict) or any(facts.get(k) != v for k, v in self._identity.items()):
            return None
        return facts


def ended_runs(state: StateDir) -> set[str]:
    """The runs of this host that were wound up: nothing of them may be at work any more."""
    found: set[str] = set()
    try:
        names = [name for name in os.listdir(state.tasks) if name.endswith(SUFFIX)]
    except FileNotFoundError:
        return found
    for name in names:
        try:
            facts = quickjson.loads(files.read_capped(os.path.join(state.tasks, name), READ_LIMIT) or b"{}")
        except (ValueError, HpmError):
            continue
        found |= {run for run in _list(_dict(facts).get("ended_runs")) if isinstance(run, str)}
    return found


def _dump(facts: dict[str, Any]) -> bytes:
    try:
        return quickjson.dumps(facts)
    except ValueError as error:
        raise BadData(f"the task's log cannot be written as JSON: {error}") from error


def _number(value: Any) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool) and -_HUGE < value < _HUGE
    return value if known else 0


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _bounded(facts: dict[str, Any]) -> dict[str, Any]:
    bounded = dict(facts)
    for name, value in facts.items():
        if isinstance(value, list):
            bounded[name] = value[-_KEPT:]
        elif name == "session_costs" and isinstance(value, dict):
            bounded[name] = dict(list(value.items())[-_KEPT:])
    return bounded


def prune(state: StateDir, days: float = 90.0) -> list[str]:
    """Remove logs, and guards that nobody holds, of tasks untouched for ``days``; returns their paths."""
    before = time.time() - days * 86400.0
    try:
        found = sorted(os.listdir(state.tasks))
    except FileNotFoundError:
        return []
    paths = [os.path.join(state.tasks, name) for name in found]
    return [path for path in paths if _prune_one(path, before)]


def _prune_one(path: str, before: float) -> bool:
    try:
        if os.stat(path, follow_symlinks=False).st_mtime >= before:
            return False
        if path.endswith(GUARD_SUFFIX):
            return guard.remove_if_free(path)
        with files.Exclusive(path, wait=0.0) as file:
            if file.exists:
                with failpoints.around("state"):
                    os.unlink(path)
            return file.exists
    except (OSError, HpmError):
        return False
