"""Holding a task on the board: taking it so that nobody else holds it too, and letting go truthfully.

The real board's lock answers 200 to several callers at once, refuses its own holder, has no unlock and
may be cleared behind one's back. So every act here reads the task first, compares who holds it, since
when, and which task it is, and every act may be repeated after a crash: what was already told to the
board is found in its changelog and not told again. Between that reading and the act one round trip
remains; `expect_lock` closes it on boards that understand it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hpm_tools import failpoints, names
from hpm_tools.board import history, twins
from hpm_tools.board.errors import BadAnswer, LockLost, TaskMoved
from hpm_tools.errors import BadData, Held, HpmError, NotFound
from hpm_tools.local_time import at

if TYPE_CHECKING:
    from hpm_tools.board.client import Board
    from hpm_tools.board.models import Change, Task

UNDER_WORK = names.UNDER_WORK
PARKED = names.PARKED
PARKED_BY = "parked by "
OFFERED_AGAIN = "offered again by "
"""How the comments begin that say that a task is parked, and that it is not any more."""
DEFAULT_BEFORE = "created"

SHORTEST_WAIT = 0.2
NOTICE_LOST = 75.0
"""Seconds within which a live worker's heartbeat has told it that the lock is gone, and it has stopped."""
SILENT_AFTER = timedelta(seconds=150)

NOT_TAKEN = (Held, NotFound)
"""What `take` raises when the task is certainly not ours and nothing of ours is left on the board."""

__all__ = [
    "NOT_TAKEN",
    "Lease",
    "LockLost",
    "TaskMoved",
    "begin_work",
    "confirm",
    "give_back",
    "of_record",
    "other_worker",
    "park",
    "report",
    "status_before",
    "take",
    "was_told",
]


@dataclass(frozen=True, slots=True)
class Lease:
    """A task that the board says is ours since ``locked_at`` (the board's text; "" in old records).

    ``status_before`` is the status to give it back to. ``exact``: the board's lock needed no waiting;
    ``lock_seconds``: how long the lock call took.
    """

    task_id: int
    agent_id: str
    created_at: str
    locked_at: str
    status_before: str = DEFAULT_BEFORE
    target_role: str | None = None
    exact: bool = False
    lock_seconds: float = 0.0
    task: Task | None = None


def of_record(record: Any) -> Lease:
    """The lease that a task record (hpm_tools.state) remembers, without asking the board."""
    data: Mapping[str, Any] = getattr(record, "task_data", None) or {}
    return Lease(
        task_id=int(record.task_id),
        agent_id=record.agent_id,
        created_at=getattr(record, "created_at", None) or str(data.get("created_at") or ""),
        locked_at=getattr(record, "board_locked_at", None) or "",
        status_before=getattr(record, "board_status_before", None) or DEFAULT_BEFORE,
        target_role=data.get("target_role"),
    )


def take(
    board: Board,
    task: Task | Mapping[str, Any],
    agent_id: str,
    expected_status: str | None = None,
    *,
    role: str,
    level: str,
    notice_lost: float = NOTICE_LOST,
    first: bool = False,
) -> Lease:
    """Register, lock the task and read back until it is certain who holds it: an exact lock's answer is.

    ``task``: as it was offered; ``expected_status``: its status then. May be repeated: a task that this
    agent holds already, and itself set to under_work, is simply its own. ``notice_lost``: seconds to hold
    a task back that the board took from a living worker for us, before it is offered again. ``first``: this caller has
    not asked for the lock before: where the task was offered as free, a lock under this id may be a twin's.

    Raises InUse for such a twin, the lock being left to it, Held (someone else has it, it was freed again, or it
    moved on and has been given back to the status it is in: LockLost, TaskMoved) or NotFound; what else it raises
    leaves open who holds it.
    """
    from hpm_tools.board import repeats

    offered = _as_task(task)
    expected = expected_status or offered.status
    exact = board.advertises().exact_lock
    registration = board.register(agent_id, role, level)
    failpoints.reach("lease.registered")
    first = first and offered.locked_by is None
    answered = repeats.lock(board, offered.id, agent_id, offered, expect_free=first)
    now, seconds = answered.task, answered.seconds
    failpoints.reach("lease.locked")
    if not exact:
        # Whoever saw the task free when we did may still be writing; measured: docs/headless-pm.md, Locking.
        time.sleep(max(SHORTEST_WAIT, 2 * seconds))
        now = _read(board, offered.id, expected, offered.target_role)
    if now.locked_by is None:
        raise LockLost(f"task {now.id} was freed again while it was being locked", "try again later")
    if now.locked_by != agent_id:
        raise Held(f"task {now.id} is {_holder(now)}", "take another, or try again later")
    if first and answered.asked == 1:
        twins.refuse_second_taker(board, registration, now, exact=exact, refused=answered.refused)
    held = Lease(
        task_id=now.id,
        agent_id=agent_id,
        created_at=now.created_at,
        locked_at=now.locked_at or "",
        status_before=expected,
        target_role=now.target_role,
        exact=exact,
        lock_seconds=seconds,
        task=now,
    )
    if not _same_time(now.created_at, offered.created_at):
        _free(board, held, now.status)
        raise TaskMoved(f"task {now.id} is another task than the one that was offered: its id was reused")
    if now.status != expected and not (now.status == UNDER_WORK and _began(board, held)):
        status: str = now.status
        if status == UNDER_WORK:
            _let_its_worker_notice(board, held, notice_lost)
            status = status_before(board, now.id, now.created_at)
        _free(board, held, status)
        raise TaskMoved(f"task {now.id} moved from {expected} to {now.status} before it was locked")
    failpoints.reach("lease.read_back")
    return held


def confirm(board: Board, lease: Lease, *statuses: str) -> Task:
    """The task as it is now, ours and in one of ``statuses`` (any, if none are given).

    Raises LockLost, TaskMoved or NotFound, and changes nothing.
    """
    task = _same_task(board, lease, statuses[0] if statuses else lease.status_before)
    if not _ours(task, lease):
        raise LockLost(f"task {task.id} is {_holder(task)}{_no_longer(lease)}")
    if statuses and task.status not in statuses:
        raise TaskMoved(f"task {task.id} was set to {task.status} by someone else")
    return task


def begin_work(board: Board, lease: Lease) -> Task:
    """Set the task to under_work, once, and read back once more: the last look before an agent starts.

    Raises LockLost, TaskMoved (someone set another status: theirs stays, and the task is unlocked) or
    NotFound: then nothing may be started.
    """
    task = confirm(board, lease)
    if task.status not in (UNDER_WORK, lease.status_before):
        _free(board, lease, task.status)
        raise TaskMoved(f"task {task.id} was set to {task.status} by someone else, and stays so")
    if task.status != UNDER_WORK:
        told = _put(board, lease, task, UNDER_WORK)
        failpoints.reach("lease.under_work")
        if board.advertises().exact_lock and told.status == UNDER_WORK and _ours(told, lease):
            # Set in one transaction with the look at the lock.
            return told
    return confirm(board, lease, UNDER_WORK)


def give_back(board: Board, lease: Lease, status: str | None = None) -> str:
    """Unlock the task at ``status`` (by default the one it was taken from); returns its status.

    A task that someone moved on meanwhile stays in the status they gave it. Raises LockLost, TaskMoved
    (a reused id) or NotFound.
    """
    return _leave(board, lease, status or lease.status_before).status


def report(board: Board, lease: Lease, status: str, notes: str | None = None) -> Task:
    """Set the final ``status`` with ``notes``, which unlocks the task. Told once, however often called.

    Raises LockLost and NotFound, nothing having been told; TaskMoved when someone else set another
    status during the work: theirs stays, and the task is unlocked.
    """
    task = _leave(board, lease, status, notes)
    if task.status != status and not was_told(board, lease, status):
        raise TaskMoved(f"task {task.id} was set to {task.status} by someone else, and stays so")
    return task


def park(board: Board, lease: Lease, comment: str) -> str:
    """Take the task out of circulation: ``pending``, then the comment, which a later status would erase.

    Where the board knows no ``pending`` the task goes back to where it was taken from. Returns the
    status; raises like `report`.
    """
    from hpm_tools.board import repeats

    status = PARKED
    try:
        task = report(board, lease, PARKED)
    except BadData as error:
        if error.details.get("http_status") != 422:
            raise
        status = give_back(board, lease)
        task = _same_task(board, lease, status)
    failpoints.reach("park.told")
    if not repeats.has_comment(task, lease.agent_id, comment, since=OFFERED_AGAIN):
        board.comment(lease.task_id, lease.agent_id, comment)
        failpoints.reach("park.commented")
    return status


def status_before(board: Board, task_id: int, created_at: str | None = None) -> str:
    """The status a task had before it was last set to under_work, from the changelog; else ``created``."""
    for row in history.changes(board, created_at).rows:
        if row.task_id != task_id or (created_at and _before(row.changed_at, created_at)):
            continue
        if row.new_status == UNDER_WORK and row.old_status != UNDER_WORK:
            return row.old_status
    return DEFAULT_BEFORE


def _leave(board: Board, lease: Lease, target: str, notes: str | None = None) -> Task:
    """Set a task of ours to ``target`` and unlock it, through under_work: only leaving that unlocks."""
    task = _same_task(board, lease, UNDER_WORK)
    if not _ours(task, lease):
        if was_told(board, lease, target):
            return task
        raise LockLost(f"task {task.id} is {_holder(task)}{_no_longer(lease)}")
    if target == UNDER_WORK:
        target = status_before(board, task.id, task.created_at)
    if task.status not in (UNDER_WORK, lease.status_before, target):
        target, notes = task.status, None
    if task.status != UNDER_WORK:
        _put(board, lease, task, UNDER_WORK)
        failpoints.reach("lease.unlockable")
        confirm(board, lease, UNDER_WORK)
    told = _put(board, lease, task, target, notes)
    failpoints.reach("lease.left")
    return told


def _free(board: Board, lease: Lease, status: str) -> None:
    """Give back what should not have been taken; someone else's problem if it is no longer ours."""
    try:
        _leave(board, lease, status)
    except (LockLost, NotFound):
        pass


def _let_its_worker_notice(board: Board, lease: Lease, seconds: float) -> None:
    """Hold a task that somebody else works on, although the board locked it for us, until they know.

    Its worker finds out by its next heartbeat; offered again before that, two would work on it. Only a
    worker that was not heard of lately needs no waiting for.
    """
    row = next((row for row in _changes_of(board, lease) if row.new_status == UNDER_WORK), None)
    worker = row.changed_by if row is not None else None
    seen = next((agent.last_seen for agent in board.agents() if agent.agent_id == worker), None)
    now = board.health().timestamp
    if seen is None or now is None or not _before(seen, now, by=SILENT_AFTER):
        time.sleep(seconds)


def _began(board: Board, lease: Lease) -> bool:
    """Whether it was this agent that last set the task to under_work."""
    newest = next(iter(_changes_of(board, lease)), None)
    return newest is not None and (newest.new_status, newest.changed_by) == (UNDER_WORK, lease.agent_id)


def _changes_of(board: Board, lease: Lease) -> list[Change]:
    """The task's rows of the changelog, newest first; not those of an earlier task with its id."""
    return [
        row
        for row in history.changes(board, lease.created_at or None).rows
        if row.task_id == lease.task_id and not _before(row.changed_at, lease.created_at)
    ]


def was_told(board: Board, lease: Lease, status: str) -> bool:
    """Whether this agent itself has set the task to ``status`` since it holds it, by the changelog."""
    from hpm_tools.board import repeats

    since = lease.locked_at or lease.created_at or None
    return repeats.was_set(board, lease.task_id, lease.agent_id, status, since)


def other_worker(board: Board, lease: Lease) -> str | None:
    """Who else set the task to under_work since this lease was given, as far as the changelog can be read.

    Such a task is not as it was left, though it came back to its status and is free.
    """
    if not lease.locked_at:
        return None
    try:
        rows = history.changes(board, lease.locked_at).rows
    except BadAnswer:
        return None
    return next(
        (
            row.changed_by
            for row in rows
            if row.task_id == lease.task_id
            and row.new_status == UNDER_WORK
            and row.changed_by != lease.agent_id
            and not _before(row.changed_at, lease.locked_at)
        ),
        None,
    )


def _put(board: Board, lease: Lease, task: Task, status: str, notes: str | None = None) -> Task:
    expect = (lease.agent_id, task.locked_at) if task.locked_at else None
    since = task.locked_at or None
    return board.set_status(lease.task_id, lease.agent_id, status, notes, expect_lock=expect, since=since)


def _same_task(board: Board, lease: Lease, likely_status: str) -> Task:
    task = _read(board, lease.task_id, likely_status, lease.target_role)
    if lease.created_at and not _same_time(task.created_at, lease.created_at):
        raise TaskMoved(f"task {task.id} is another task now: its id was reused")
    return task


def _read(board: Board, task_id: int, likely_status: str, role: str | None) -> Task:
    task = board.find_task(task_id, status=likely_status, role=role)
    if task is None:
        raise NotFound(f"the board no longer has task {task_id}", "hpm pm.tasks lists those it has")
    return task


def _ours(task: Task, lease: Lease) -> bool:
    if task.locked_by != lease.agent_id:
        return False
    return not lease.locked_at or _same_time(task.locked_at or "", lease.locked_at)


def _holder(task: Task) -> str:
    return f"held by {task.locked_by} since {at(task.locked_at)}" if task.locked_by else "held by nobody"


def _no_longer(lease: Lease) -> str:
    # A record that was made by `lock --local` never had the board's lock, and no time of it.
    return (
        f", no longer by {lease.agent_id}, which had it since {at(lease.locked_at)}"
        if lease.locked_at
        else ""
    )


def _as_task(task: Task | Mapping[str, Any]) -> Task:
    if not isinstance(task, Mapping):
        return task
    from hpm_tools.board.models import Task

    return Task.parse(task)


def _same_time(one: str, other: str) -> bool:
    if one == other:
        return True
    from hpm_tools.board.models import moment

    try:
        return moment(one) == moment(other)
    except HpmError:
        return False


def _before(one: str, other: str, by: timedelta = timedelta(0)) -> bool:
    from hpm_tools.board.models import moment

    return moment(one) + by < moment(other)
