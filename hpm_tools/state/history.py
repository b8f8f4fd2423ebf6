"""``history.jsonl``: one line per task and hook, for ``health`` and for people. Bounded; never worth a failure."""

from __future__ import annotations

import os
import time

from hpm_tools import failpoints
from hpm_tools.errors import HpmError
from hpm_tools.state import files, quickjson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hpm_tools.state.paths import StateDir

ROTATE_AT = 4 << 20
"""Bytes at which the file becomes ``history.jsonl.1`` and a new one begins; two are kept."""
OLDER = ".1"
_LONGEST_TEXT = 2000
_LOCK_WAIT = 2.0
_YEAR = 366 * 86400.0


class HookRate:
    """How often a hook was run and how it went; seconds are medians, None without a run."""

    __slots__ = ("failed", "median_seconds", "succeeded")

    def __init__(self) -> None:
        self.succeeded = 0
        self.failed = 0
        self.median_seconds: float | None = None


class TaskTimes:
    """How many tasks ended, how (``endings``: count by name), and how long they took from lock to unlock."""

    __slots__ = ("count", "endings", "median_seconds", "p95_seconds")

    def __init__(self) -> None:
        self.count = 0
        self.endings: dict[str, int] = {}
        self.median_seconds: float | None = None
        self.p95_seconds: float | None = None


class Summary:
    """``hooks`` by name, and ``tasks``."""

    __slots__ = ("hooks", "tasks")

    def __init__(self) -> None:
        self.hooks: dict[str, HookRate] = {}
        self.tasks = TaskTimes()


def append(state: StateDir, kind: str, **facts: Any) -> bool:
    """Add one line: ``ts`` (Unix time), ``kind`` and the facts, long texts cut.

    False, and nothing raised, when it cannot be written: a full disk costs the line, not the task.
    What JSON does not know is written as text.
    """
    try:
        line = _line({"ts": round(time.time(), 3), "kind": kind, **facts})
        state.prepare()
        with files.Exclusive(state.history, create=True, wait=_LOCK_WAIT):
            if _size(state.history) + len(line) > ROTATE_AT:
                with failpoints.around("state"):
                    os.replace(state.history, state.history + OLDER)
            with failpoints.around("history"):
                _append(state.history, line)
    except (OSError, ValueError, HpmError):
        return False
    return True


def _line(facts: dict[str, Any]) -> bytes:
    return quickjson.line({name: _short(value) for name, value in facts.items()})


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value[:_LONGEST_TEXT]
    return value if value is None or isinstance(value, int | float | list | dict) else str(value)


def _size(path: str) -> int:
    return os.stat(path).st_size


def _append(path: str, line: bytes) -> None:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, 0o600)
    try:
        size = os.fstat(fd).st_size
        # A writer that was killed, or met a full disk, may have left half a line; it must not swallow this one.
        if size and os.pread(fd, 1, size - 1) != b"\n":
            line = b"\n" + line
        os.write(fd, line)
    finally:
        os.close(fd)


def read(state: StateDir, limit: int = 1000, kind: str | None = None) -> list[dict[str, Any]]:
    """The newest ``limit`` entries (of one ``kind``), oldest first; lines that cannot be read are left out."""
    found: list[dict[str, Any]] = []
    for path in (state.history, state.history + OLDER):
        try:
            data = files.read_capped(path, 2 * ROTATE_AT)
        except HpmError:
            continue
        for line in reversed((data or b"").split(b"\n")):
            entry = _entry(line)
            if entry is not None and kind in (None, entry["kind"]):
                found.append(entry)
                if len(found) >= limit:
                    return found[::-1]
    return found[::-1]


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = quickjson.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
        return None
    return entry if isinstance(entry.get("ts"), int | float) else None


def summarise(state: StateDir, limit: int = 5000) -> Summary:
    """Hook success rates and task completion times over the newest ``limit`` entries.

    A ``hook`` entry has ``name``, ``ok`` and ``seconds``, a ``task`` entry ``ending`` and ``seconds``.
    """
    summary = Summary()
    hook_seconds: dict[str, list[float]] = {}
    task_seconds: list[float] = []
    for entry in read(state, limit):
        seconds = entry.get("seconds")
        timed = [float(seconds)] if isinstance(seconds, int | float) and 0 <= seconds < _YEAR else []
        if entry["kind"] == "hook" and isinstance(entry.get("name"), str):
            rate = summary.hooks.setdefault(entry["name"], HookRate())
            rate.succeeded += entry.get("ok") is True
            rate.failed += entry.get("ok") is not True
            hook_seconds.setdefault(entry["name"], []).extend(timed)
        elif entry["kind"] == "task":
            ending = str(entry.get("ending"))
            summary.tasks.count += 1
            summary.tasks.endings[ending] = summary.tasks.endings.get(ending, 0) + 1
            task_seconds.extend(timed)
    for name, rate in summary.hooks.items():
        rate.median_seconds = _quantile(hook_seconds[name], 0.5)
    summary.tasks.median_seconds = _quantile(task_seconds, 0.5)
    summary.tasks.p95_seconds = _quantile(task_seconds, 0.95)
    return summary


def _quantile(values: list[float], share: float) -> float | None:
    """The smallest value that at least ``share`` of the values do not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]
