"""From a look at the board to a task that is provably ours."""

from __future__ import annotations

import time
import uuid
from functools import partial
from typing import TYPE_CHECKING

from hpm_tools import failpoints, local_time
from hpm_tools.board import lease
from hpm_tools.board.errors import BadAnswer, InUse
from hpm_tools.board.models import Task, moment
from hpm_tools.board.offering import offered_statuses
from hpm_tools.errors import BadData, BoardUnreachable, Held, HpmError
from hpm_tools.runner import limit, money, orphans, places, report_lines
from hpm_tools.runner.patience import patiently
from hpm_tools.runner.telling import timed
from hpm_tools.state.guard import held_by_other, task_guard

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record

BEFORE_WORK_ENDED = ("pre_hook", "workspace", "starting", "working")
LEFT_FOR = 60.0
"""Seconds for which a task that cannot have the checkout is left, while others are offered."""
LEVEL_ORDER = ("junior", "senior", "principal")


def look(tools: Toolbox, timeout: int = 0) -> Task | None:
    """The next task for this agent that it may take, or None.

    The board's own answer is tried first. Where that task may not be taken (skipped, or another runner
    here holds it) the board would name it for ever, so the offered tasks are listed and the next is chosen.
    """
    try:
        task = tools.board.next_task(tools.role, tools.level, timeout=timeout)
    except BadData as error:
        # One malformed row at the head of the queue must not hide the others.
        tools.ui.warn(f"{error.message}; looking past it")
    else:
        if task is None or may_take(tools, task):
            return task
    offered = (other for role in tools.polled_roles for other in _offered(tools, role))
    return next((other for other in offered if may_take(tools, other)), None)


def left_alone(tools: Toolbox) -> list[str]:
    """Of the tasks that the board offers, those that this agent skips for now: which, until when, and why."""
    said = []
    for task in (task for role in tools.polled_roles for task in _offered(tools, role)):
        log = tools.task_log(task.id, task.created_at)
        why = log.skipped(task.updated_at)
        if why:
            until = (log.skip or {}).get("until")
            end = f"until {local_time.when(until)}" if until else "until it changes"
            said.append(f"task {task.id} is left alone {end}: {tools.clean(why)}")
    return said


def _offered(tools: Toolbox, role: str) -> Iterable[Task]:
    wanted_role = None if role == "qa" else role
    tasks = [
        task
        for status in offered_statuses(role)
        for task in tools.board.tasks(status=status, role=wanted_role)
        if task.locked_by is None and (role == "qa" or _within_level(task.difficulty, tools.level))
    ]
    return sorted(tasks, key=lambda task: moment(task.created_at))


def _within_level(difficulty: str, level: str) -> bool:
    return LEVEL_ORDER.index(difficulty) <= LEVEL_ORDER.index(level)


def may_take(tools: Toolbox, task: Task) -> bool:
    """False for a task that was skipped and has not changed since, that a runner here works on, or whose
    model is beyond its usage limit."""
    log = tools.task_log(task.id, task.created_at)
    if log.skipped(task.updated_at) or log.elsewhere == reported_where(task):
        return False
    if any(view.liveness == "alive" for view in orphans.records_of_others(tools, task.id, task.created_at)):
        return False
    if limit.closed_until(tools, {"difficulty": task.difficulty}) is not None:
        return False
    return not _guarded_elsewhere(tools, task)


def reported_where(task: Task) -> str:
    """The work that a task's notes name, as `elsewhere` remembers it; never empty."""
    reported = report_lines.read(task.notes)
    return f"{reported.branch or '?'} at {reported.commit or '?'}"


def _guarded_elsewhere(tools: Toolbox, task: Task) -> bool:
    if tools.task_guard is not None:
        return False
    return held_by_other(task_guard(tools.state, tools.board_key, task.id, task.created_at).path)


def guard_task(tools: Toolbox, task_id: int, created_at: str) -> None:
    """Hold the task's guard on this host until the toolbox closes; Held if another runner has it."""
    if tools.task_guard is None:
        guard = task_guard(tools.state, tools.board_key, task_id, created_at)
        if not guard.acquire(wait=0.0):
            raise Held(f"task {task_id} is being worked by another runner on this host")
        tools.task_guard = guard


def refuse_if_recorded(tools: Toolbox, task: Task) -> None:
    """Held if a living holder on this host has a record of ``task``: between a script's commands its
    owner process stands for the guards (docs/design.md, Steps)."""
    for view in orphans.records_of_others(tools, task.id, task.created_at):
        if view.liveness == "alive" or view.guard_held:
            raise Held(f"task {task.id} is held by agent {view.agent_id} on this host")


def begin(tools: Toolbox, task: Task, *, holder: str, owner_pid: int | None = None) -> Record:
    """Write down the intent to take ``task``: guards first, then the record, before the board is asked."""
    guard_task(tools, task.id, task.created_at)
    refuse_if_recorded(tools, task)
    in_place = _claim_checkout(tools, task) if holder == "runner" else False
    failpoints.reach("taking.before")
    run_id = uuid.uuid4().hex
    log = tools.task_log(task.id, task.created_at)
    record = tools.persistence.lock_task(
        task.to_json(),
        holder=holder,
        owner_pid=owner_pid,
        step="locking",
        run_id=run_id,
        board=tools.board_key,
        board_status_before=task.status,
        created_at=task.created_at,
        role=tools.role,
        level=tools.level,
        repo=str(tools.repository.root) if tools.config.repo or holder == "runner" else None,
        in_place=in_place,
        executor=tools.config.executor,
        session_id=money.session_to_resume(log, tools.agent_id, tools.role),
        taken_at=time.time(),
    )
    failpoints.reach("taking.recorded")
    return record


def _claim_checkout(tools: Toolbox, task: Task) -> bool:
    """`places.claim_checkout`, but where a task for a worktree is offered this one is left for a while (Held)."""
    try:
        return places.claim_checkout(tools, task, has_other=partial(_offers_other, tools, task))
    except Held as error:
        until = time.time() + LEFT_FOR
        tools.task_log(task.id, task.created_at).update(skip={"reason": error.message, "until": until})
        raise


def _offers_other(tools: Toolbox, task: Task) -> bool:
    try:
        offered = [other for role in tools.polled_roles for other in _offered(tools, role)]
    except HpmError:
        return False
    guard, tools.task_guard = tools.task_guard, None  # of ``task``; `may_take` would take it for the other's
    try:
        return any(
            other.id != task.id and not places.is_in_place(tools, other) and may_take(tools, other)
            for other in offered
        )
    finally:
        tools.task_guard = guard


def take_lock(tools: Toolbox, record: Record, *, first: bool = False) -> Record:
    """Take the board's lock for a record at ``locking`` and read it back; safe to repeat.

    ``first``: it was never asked for under this record, so that a lock found there is a twin's (`lease.take`).
    If the board gives it to someone else the record is dropped, for nothing has been done under it,
    and the board's refusal (Held and its kin) is raised.
    """
    with timed(tools, "locking", record):
        return _take_lock(tools, record, first=first)


def take_first_lock(tools: Toolbox, record: Record) -> Record:
    """`take_lock` for a record just begun; an outage of the board is waited out."""
    try:
        return take_lock(tools, record, first=True)
    except (BoardUnreachable, BadAnswer):
        return patiently(tools, partial(take_lock, tools, record))


def _take_lock(tools: Toolbox, record: Record, *, first: bool) -> Record:
    try:
        held = lease.take(
            tools.board,
            task_of(record),
            tools.agent_id,
            expected_status=record.board_status_before,
            role=tools.board_role,
            level=tools.level,
            first=first,
        )
    except InUse as error:
        # No giving back: the lock is the other one's, too.
        error.hint = (
            f"end the other one, or give each host agents of its own; if nobody works on task {record.task_id} after "
            f"that: hpm recover --agent-id {tools.agent_id} --adopt"
        )
        drop(tools)
        raise
    except HpmError as error:
        if isinstance(error, lease.NOT_TAKEN):
            drop(tools)
        raise
    try:
        orphans.end_others(tools, record)
    except Held:
        lease.give_back(tools.board, held)
        drop(tools)
        raise
    failpoints.reach("taking.alone")
    return tools.persistence.update(step="pre_hook", board_locked_at=held.locked_at)


def regain(tools: Toolbox) -> Record | None:
    """Take the board's lock again where it merely expired: free, and as this agent left the task.

    None if the task is somebody else's, or went on; then it is lost. Safe to repeat.
    """
    record = tools.persistence.record()
    if record is None:
        return None
    held = lease.of_record(record)
    task = tools.board.find_task(held.task_id, status=lease.UNDER_WORK, role=held.target_role)
    as_left = [lease.UNDER_WORK]
    # Somebody may have set it back; but what we gave back ourselves just before a crash is over.
    if record.step in BEFORE_WORK_ENDED or not lease.was_told(tools.board, held, held.status_before):
        as_left.append(held.status_before)
    # An outage may have hidden that the lock was given to us: this record names none then.
    holders = (None,) if held.locked_at else (None, tools.agent_id)
    if task is None or task.locked_by not in holders or task.status not in as_left:
        return None
    if lease.other_worker(tools.board, held) is not None:
        return None
    # Forgotten first: a crash between the new lock and its journal would make our own lock look foreign.
    tools.persistence.update(board_locked_at=None)
    try:
        again = lease.take(
            tools.board,
            task_of(record),
            tools.agent_id,
            held.status_before,
            role=tools.board_role,
            level=tools.level,
        )
        failpoints.reach("recovery.locked_again")
        orphans.end_others(tools, record)
    except lease.NOT_TAKEN:
        return None
    return tools.persistence.update(board_locked_at=again.locked_at)


def regain_or_none(tools: Toolbox, record: Record, reason: str) -> Record | None:
    """`regain`, told: the one way in which every step and command goes on after a lapse, ``reason``."""
    tools.end_heartbeat()
    again = patiently(tools, partial(regain, tools))
    if again is not None:
        tools.tell(
            "regained", record=record, text=f"task {record.task_id}: {reason}; its lock was taken again"
        )
    return again


def task_of(record: Record) -> Task:
    """The board's task as it was when it was taken; BadData for a record without one."""
    return Task.parse(record.task_data)


def drop(tools: Toolbox) -> None:
    """Forget a record that nothing was done under, and free its guards."""
    tools.persistence.release_lock()
    failpoints.reach("taking.dropped")
    tools.close()


def take(tools: Toolbox, task: Task, *, holder: str, owner_pid: int | None = None) -> Record:
    """The whole of taking: guards, local intent, the board's lock, read back."""
    record = take_lock(tools, begin(tools, task, holder=holder, owner_pid=owner_pid), first=True)
    tell_taken(tools, record, task)
    return record


def tell_taken(tools: Toolbox, record: Record, task: Task) -> None:
    tools.tell(
        "task_taken",
        record=record,
        title=task.title,
        difficulty=task.difficulty,
        complexity=task.complexity,
        text=f"task {task.id} taken: {task.title}",
    )
