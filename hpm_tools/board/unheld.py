"""Putting back what the board offers to nobody: tasks under work that nobody holds, and tasks parked by mistake.

A host that died leaves the former once the board has cleared its lock (docs/headless-pm.md, Locks that expire).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.board import history, lease, repeats
from hpm_tools.board.models import moment

if TYPE_CHECKING:
    from hpm_tools.board.client import Board
    from hpm_tools.board.models import Task

READ_BACK = (50, 500, 5000)
"""Rows of the changelog to look through, ever more of them: all of it may be too large to read."""


def unheld(board: Board) -> list[Task]:
    """The tasks under work that nobody holds, those longest unchanged first."""
    found = [task for task in board.tasks(status=lease.UNDER_WORK) if task.locked_by is None]
    return sorted(found, key=lambda task: moment(task.updated_at))


def status_when_taken(board: Board, task: Task) -> str | None:
    """The status that ``task`` had before it was last set to under_work; None if the changelog's newest 5,000
    rows do not tell."""
    made = moment(task.created_at)
    for limit in READ_BACK:
        rows = board.changelog(limit=limit)
        for row in rows:
            if row.task_id != task.id or moment(row.changed_at) < made:
                continue  # an earlier task's row: the real board uses ids again
            if row.new_status == lease.UNDER_WORK and row.old_status != lease.UNDER_WORK:
                return row.old_status
        if len(rows) < limit or moment(rows[-1].changed_at) < made:
            return None
    return None


def put_back(board: Board, task: Task, status: str, *, agent_id: str, role: str, level: str) -> str:
    """Set an unheld task to ``status``; returns the status it has now. May be repeated.

    Its lock is taken for that, so that nobody can take the task between the look and the act. Raises Held,
    LockLost and TaskMoved as `lease.take` does.
    """
    held = lease.take(board, task, agent_id, lease.UNDER_WORK, role=role, level=level)
    return lease.give_back(board, held, status)


def retry_command(task_id: int, status: str | None = None) -> str:
    """The command by which a person offers a task again; ``status`` where it is not the one it was taken with."""
    return f"hpm retry {task_id}" + (f" --status {status}" if status else "")


def offer_again(board: Board, task: Task, status: str, *, agent_id: str, why: str = "") -> str:
    """Set a parked task to ``status`` and say so below the comment that says "parked"; returns its status now.

    May be repeated. A parked task is offered to nobody, so no lock is needed. The comment comes first: after the
    status the next agent may read the notes already.
    """
    text = f"{lease.OFFERED_AGAIN}{agent_id}, as {status}{f': {why}' if why else ''}"
    told = repeats.has_comment(task, agent_id, text, since=lease.PARKED_BY)
    if lease.PARKED_BY in (task.notes or "") and not told:
        board.comment(task.id, agent_id, text)
    now: str = board.set_status(task.id, agent_id, status).status
    return now


def undo_parking(
    board: Board, task: Task, status: str, *, parked_by: str, agent_id: str, why: str
) -> str | None:
    """Offer a task again that ``parked_by`` parked; returns the status it has now. May be repeated.

    None, and nothing is done, if it is not parked any more or somebody else has set it to that since.
    """
    if task.status != lease.PARKED or task.locked_by is not None:
        return None
    made = moment(task.created_at)
    rows = (row for row in history.changes(board, task.created_at).rows if row.task_id == task.id)
    newest = next((row for row in rows if moment(row.changed_at) >= made), None)
    if newest is None or (newest.new_status, newest.changed_by) != (lease.PARKED, parked_by):
        return None
    return offer_again(board, task, status, agent_id=agent_id, why=why)
