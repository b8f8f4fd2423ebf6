"""The lines in a task's notes by which qa, the next maker and people find its work: written and read here alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hpm_tools.executor.verdict import QA
from hpm_tools.names import is_branch
from hpm_tools.runner.ending import EndingKind, says_no_change
from hpm_tools.runner.whereabouts import of_record

if TYPE_CHECKING:
    from hpm_tools.state.record import Record

OURS = re.compile(
    r"^(?=[ \t]*(?:branch|commit|salvage|no[ \t]+change|seen[ \t]+at)[ \t]*:)", re.MULTILINE | re.IGNORECASE
)
"""Where a line of somebody else's begins that would read as one of ours."""
BRANCH_LINE = re.compile(r"^branch:\s*(\S+)\s*$", re.MULTILINE)
COMMIT_LINE = re.compile(r"^(commit|seen at):\s*([0-9a-f]{7,64})\s*$", re.MULTILINE)
NO_CHANGE = "no change"


class ReportedWork(NamedTuple):
    """What a report in the notes names; ``no_change``: a commit that was only looked at, and is nobody's work."""

    branch: str | None
    commit: str | None
    no_change: bool = False


def read(notes: str | None) -> ReportedWork:
    """What the notes name; the last lines count."""
    branches = [name for name in BRANCH_LINE.findall(notes or "") if is_branch(name)]
    commits = COMMIT_LINE.findall(notes or "") or [("", None)]
    word, commit = commits[-1]
    seen = word == "seen at"
    return ReportedWork(branches[-1] if branches and not seen else None, commit, seen)


def write(record: Record) -> str:
    """The lines that name where the work of ``record`` is, or that nothing was changed, and at which commit."""
    earlier = read(record.task_data.get("notes"))
    unchanged = says_no_change(record)
    if unchanged and (earlier.commit is None or earlier.no_change or earlier.branch != record.branch_name):
        return _lines(("no change", "nothing had to be changed"), ("seen at", record.commit))
    if record.role == QA and earlier.no_change:
        return _lines(
            ("no change", "there is only the commit that the maker saw"), ("seen at", record.commit)
        )
    branch, commit = record.branch_name, record.commit
    work = of_record(record)
    if work is not None and (record.ending or {}).get("kind") != EndingKind.REPORTED and work.judged is None:
        branch, commit = work.branch, work.commit
    return _lines(
        ("branch", branch),
        ("commit", commit),
        ("salvage", record.salvage),
        ("no change", "nothing more than what was reported before" if unchanged else None),
    )


def _lines(*named: tuple[str, str | None]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in named if value)
