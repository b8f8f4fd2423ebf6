"""What the board is told, in words: notes, comments and commit messages.

An agent's words become part of what the next agent and its runner read, so they are quoted: cleaned of
secrets and control characters, and unable to pass for the lines by which the runner names branch and commit.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hpm_tools.board.lease import PARKED_BY
from hpm_tools.board.unheld import retry_command
from hpm_tools.executor.verdict import VerdictKind
from hpm_tools.redaction import redact
from hpm_tools.runner import money, policy, report_lines, whereabouts
from hpm_tools.runner.noted import OUTSIDE, TAMPERING
from hpm_tools.text import for_terminal, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpm_tools.runner.ending import Ending
    from hpm_tools.state.record import Record

LONGEST_TEXT = 8000
LONGEST_REASON = 3000


def quoted(text: str, secrets: Iterable[str]) -> str:
    """Somebody else's ``text`` as it may stand on the board."""
    return report_lines.OURS.sub("> ", redact(for_terminal(text), secrets))


def commit_message(record: Record, *, finished: bool, secrets: Iterable[str]) -> str:
    """The runner's own commit of what the agent left uncommitted."""
    title = one_line(redact(record.task_title or "", secrets), 60)
    prefix = f"task {record.task_id}" if finished else f"task {record.task_id}, unfinished"
    return f"{prefix}: {title}\n\nLeft uncommitted by the agent {record.agent_id}; committed by its runner.\n"


def notes(record: Record, ending: Ending, secrets: Iterable[str]) -> str:
    """The notes of a done or rejected task: where the work is, what was done, what was found."""
    verdict = record.verdict or {}
    said = [
        ending.reason,
        whereabouts.left_in(record.stays) if record.stays else "",
        "\n".join(f"- {finding}" for finding in verdict.get("findings") or []),
        _listed("tool calls that the permissions refused:", verdict.get("denials") or []),
        _outside(record),
        _interference(record),
    ]
    return _cut(
        "\n\n".join(
            part for part in (report_lines.write(record), *(quoted(x, secrets) for x in said)) if part
        )
    )


def parked_comment(agent_id: str, record: Record, ending: Ending, secrets: Iterable[str]) -> str:
    """Why the task was parked, where its work is, and which status resumes it."""
    verdict = record.verdict or {}
    parts = [
        f"{PARKED_BY}{agent_id}: {_cut(quoted(ending.reason, secrets), LONGEST_REASON)}",
        report_lines.write(record),
        quoted(whereabouts.words(record), secrets),
        _way_back(record),
        quoted("\n".join(f"- {finding}" for finding in verdict.get("findings") or []), secrets),
        quoted(str(verdict.get("detail") or ""), secrets),
        quoted(_outside(record), secrets),
        quoted(_interference(record), secrets),
    ]
    return _cut("\n".join(part for part in parts if part))


def given_back_comment(agent_id: str, record: Record, ending: Ending, secrets: Iterable[str]) -> str:
    """Why the task was given back although an agent worked on it, and where what it left is."""
    reason = f"given back by {agent_id}: {_cut(quoted(ending.reason, secrets), LONGEST_REASON)}"
    return "\n".join(part for part in (reason, report_lines.write(record)) if part)


def _way_back(record: Record) -> str:
    """The status that resumes a parked task: what qa rejected goes to a maker, all else to where it was."""
    kind = (record.verdict or {}).get("kind")
    status = policy.REOPENED if kind == VerdictKind.REJECTED else record.board_status_before
    first = f"{money.MORE}; " if kind == VerdictKind.BUDGET else ""
    when = f" {money.TOMORROW}" if kind == VerdictKind.DAY_BUDGET else ""
    session = f"; its session {record.session_id} is gone on with then" if money.resumes(record) else ""
    return f"{first}set it to {status} to have it taken up again{when} ({_retry(record)}){session}"


def offered_again_by(record: Record) -> str:
    """What a person does to have a parked task taken up again, for who has no board before him."""
    first = f"{money.MORE}; " if (record.verdict or {}).get("kind") == VerdictKind.BUDGET else ""
    return f"{first}{_retry(record)} offers it again"


def _retry(record: Record) -> str:
    rejected = (record.verdict or {}).get("kind") == VerdictKind.REJECTED
    return retry_command(int(record.task_id), policy.REOPENED if rejected else None)


def _interference(record: Record) -> str:
    heading = "noticed in git's own files and branches while the agent worked (nothing of it was run, or undone unless it says so):"
    return _listed(heading, TAMPERING.of(record))


def _outside(record: Record) -> str:
    heading = (
        "made outside the task's place while the agent worked (worktrees are removed once all in them is kept, the rest "
        "stays; hpm worktree.restore --ref REF brings back what is kept):"
    )
    return _listed(heading, OUTSIDE.of(record))


def _listed(heading: str, items: Iterable[str]) -> str:
    lines = [f"- {item}" for item in items]
    return "\n".join([heading, *lines]) if lines else ""


def _cut(text: str, longest: int = LONGEST_TEXT) -> str:
    return text if len(text) <= longest else text[: longest - 2] + " …"


def seconds_since_taken(record: Record) -> float:
    """Wall seconds from taking to now, for display and history; never negative."""
    return max(0.0, round(time.time() - float(record.taken_at or time.time()), 3))
