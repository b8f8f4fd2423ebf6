#!/usr/bin/env python3
"""Logs a finished task as one JSON line in logs/task_completions.jsonl of the state directory.

A hook of hpm-tools that also runs alone: ``echo '{"task_id": 1}' | python hooks/post_task.py``. It reads
one JSON object on stdin and keeps the fields of LOGGED. The file belongs to the user alone (0600) and is
renamed to ``.1`` when it has grown to 10 MiB. A failure is reported by exit code 1 and stops no runner.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LOGGED = (
    "task_id",
    "task_title",
    "agent_id",
    "role",
    "target_role",
    "difficulty",
    "complexity",
    "success",
    "ending",
    "reason",
    "verdict",
    "status",
    "branch",
    "commit",
    "model",
    "attempts",
    "turns",
    "cost_usd",
    "seconds",
    "execution_time",
    "run_id",
    "repo",
)
TEXT_LIMIT = 500
LARGEST = 10 * 2**20


def line_for(data: dict[str, Any]) -> str:
    """The log line of one task: known fields, short values, the time in UTC."""
    entry = {key: _short(data[key]) for key in LOGGED if data.get(key) is not None}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"completed_at": now, **entry}) + "\n"


def _short(value: object) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"


def append(path: Path, line: str) -> None:
    """Add a line in one write: whole lines stay whole when several runners log at once."""
    for directory in (path.parent.parent, path.parent):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line.encode())
        if os.fstat(descriptor).st_size >= LARGEST:
            os.replace(path, path.with_name(path.name + ".1"))
    finally:
        os.close(descriptor)


def log_file() -> Path:
    named = os.environ.get("HEADLESS_PM_HOME")
    home = Path(named).expanduser() if named else Path.home() / ".headless-pm"
    return home / "logs" / "task_completions.jsonl"


def main() -> int:
    text = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()
    try:
        data = json.loads(text) if text.strip() else {}
        if not isinstance(data, dict):
            raise TypeError("it is not a JSON object")
    except (ValueError, TypeError) as error:
        sys.exit(f"stdin cannot be logged: {error}")
    if not data.get("task_id"):
        print("nothing to log: the data names no task_id")
        return 0
    path = log_file()
    try:
        append(path, line_for(data))
    except OSError as error:
        sys.exit(f"{path} cannot be written: {error.strerror}")
    print(f"task {data['task_id']} logged in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
