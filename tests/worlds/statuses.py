"""Whether the board tells the truth, once: statuses, locks, and what the changelog says of the way there."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.worlds.play import Story

PARKED = re.compile(r"^.*\bparked by (\S+?): .*$", re.MULTILINE)
NEXT = {
    "created": {"under_work"},
    "approved": {"under_work"},
    "dev_done": {"under_work"},
    # A lapsed lock is taken again, and a task that a person or the board set back is put to work once more.
    "under_work": {"under_work", "created", "approved", "dev_done", "qa_done", "pending"},
    "pending": {"under_work"},
    "qa_done": set[str](),
}
"""What a runner may make of a status."""


def true_statuses(story: Story) -> Iterator[str]:
    """Every task is offered, done or parked and held by nobody, or a command names it as needing a person."""
    for row in story.rows:
        number, status, holder = row["id"], row["status"], row["locked_by"]
        naming = re.compile(rf"\btask[-_ ]?{number}\b|'task_id': {number}\b")
        lines = [line for line in story.health if naming.search(line)]
        if status == "under_work" and not lines:
            yield f"task {number} is under_work, held by {holder}, and health does not name it"
        if holder in story.agents and not any(str(holder) in line for line in lines):
            yield f"task {number} ({status}) is still locked by {holder}"
        if status == "pending" and not PARKED.search(row["said"]) and is_ours(story, number, "pending"):
            yield f"task {number} is pending without a word of why"


def is_ours(story: Story, number: int, status: str) -> bool:
    """Whether the last who set the status was a runner of this world."""
    found = [row for row in changes(story, number) if row[1] == status]
    return bool(found) and found[-1][2] in story.agents


def changes(story: Story, number: int) -> list[tuple[str, str, str]]:
    """(old status, new status, by whom) of a task, oldest first."""
    words = "SELECT old_status, new_status, changed_by FROM changelog WHERE task_id = ? ORDER BY id"
    return [(str(old), str(new), str(who)) for old, new, who in story.site.board.sql(words, number)]


def told_once(story: Story) -> Iterator[str]:
    """No step of a task is told twice, and none that cannot be."""
    for row in story.rows:
        number = row["id"]
        told = changes(story, number)
        for old, new, who in told:
            if who in story.agents and new not in NEXT.get(old, {new}):
                yield f"task {number} was set from {old} to {new} by {who}"
        taken = sum(new == "under_work" and who in story.agents for _, new, who in told)
        for final in ("dev_done", "qa_done", "pending"):
            times = sum(new == final and old != final and who in story.agents for old, new, who in told)
            if times > taken:
                yield f"task {number} was taken {taken} times and set to {final} {times} times"
        parked = sum(new == "pending" and who in story.agents for _, new, who in told)
        comments = Counter(line.strip() for line in found_lines(row["said"]))
        for line, times in comments.items():
            if times > max(parked, 1):
                yield f"task {number} was parked {parked} times, and {times} comments say {line[:120]!r}"


def found_lines(text: str) -> Iterator[str]:
    """The lines by which somebody parked a task."""
    yield from (found[0] for found in PARKED.finditer(text))
