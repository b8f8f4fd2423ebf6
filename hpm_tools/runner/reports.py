"""What the board is told, in words: notes, comments and commit messages."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hpm_tools.text import one_line

if TYPE_CHECKING:
    from hpm_tools.runner.ending import Ending
    from hpm_tools.state.record import Record

LONGEST_TEXT = 8000


def commit_message(record: Record, *, finished: bool) -> str:
    """The runner's own commit of what the agent left uncommitted."""
    title = one_line(record.task_title or "", 60)
    prefix = f"task {record.task_id}" if finished else f"task {record.task_id}, unfinished"
    return f"{prefix}: {title}\n\nLeft uncommitted by the agent {record.agent_id}; committed by its runner.\n"


def where(record: Record) -> str:
    """The lines by which qa, and the next maker, find the work."""
    lines = []
    if record.branch_name:
        lines.append(f"branch: {record.branch_name}")
    if record.commit:
        lines.append(f"commit: {record.commit}")
    if record.salvage:
        lines.append(f"salvage: {record.salvage}")
    return "\n".join(lines)


def notes(record: Record, ending: Ending) -> str:
    """The notes of a done or rejected task: where the work is, what was done, what was found."""
    verdict = record.verdict or {}
    parts = [where(record), ending.reason]
    findings = verdict.get("findings") or []
    if findings:
        parts.append("\n".join(f"- {finding}" for finding in findings))
    denials = verdict.get("denials") or []
    if denials:
        parts.append("tool calls that the permissions refused: " + "; ".join(denials))
    if record.tampering:
        parts.append("changed by the agent in git's own files, not acted on: " + "; ".join(record.tampering))
    return _cut("\n\n".join(part for part in parts if part))


def parked_comment(agent_id: str, record: Record, ending: Ending) -> str:
    """Why the task was parked, where its work is, and which status resumes it."""
    parts = [
        f"parked by {agent_id}: {ending.reason}",
        str((record.verdict or {}).get("detail") or ""),
        where(record),
        f"set it to {record.board_status_before} to have it taken up again",
    ]
    return _cut("\n".join(part for part in parts if part))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 2] + " …"


def seconds_since_taken(record: Record) -> float:
    """Wall seconds from taking to now, for display and history; never negative."""
    return max(0.0, round(time.time() - float(record.taken_at or time.time()), 3))
