"""The step that tells the board how a task ended, and what is remembered of it beyond its record.

A report wakes others at once, and a lock may have lapsed: the board is read before anything is told twice.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hpm_tools.board import lease
from hpm_tools.board.offering import is_offered, would_set_back
from hpm_tools.errors import NotFound
from hpm_tools.runner import (
    money,
    pickup_gate,
    policy,
    recheck,
    reports,
    taking,
    turns,
    whereabouts,
)
from hpm_tools.runner.agents import carried
from hpm_tools.runner.ending import Ending, EndingKind, is_no_change
from hpm_tools.runner.telling import outcome_of, tell_lost
from hpm_tools.state.pickup import NO_OUTCOME

if TYPE_CHECKING:
    from hpm_tools.board.models import Task
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record

NOT_OURS = (lease.LockLost, lease.TaskMoved, NotFound)
"""What the board's answer means where a task is not ours any more, or its lock lapsed."""


def reporting(tools: Toolbox, record: Record) -> Record:
    """Tell the board how it ended, once: the board is read before anything is repeated."""
    record = recheck.believed(tools, record)
    if record.step != "reporting":
        return record
    ending = _never_back(record, Ending.from_json(record.ending))
    if record.work is None:
        # Once: a comment that was made just before a crash is known again by its words.
        record = tools.persistence.update(work=whereabouts.look(tools, record).to_json())
    # The report unlocks the task, which a beat in between would take for a loss.
    tools.end_heartbeat()
    try:
        _tell_under_lock(tools, record, ending)
    except NOT_OURS as error:
        tell_lost(tools, record, error.message)
        ending = Ending(EndingKind.LOST, error.message)
    _mind(tools, record, ending)
    return tools.persistence.update(step="post_hook", ending=ending.to_json())


def _never_back(record: Record, ending: Ending) -> Ending:
    """``ending``, or giving the task back where it would undo what others reported of the task before us.

    That is only so for a task that was not offered to this role: `lock --force` or an earlier version took it.
    """
    before = record.board_status_before or lease.DEFAULT_BEFORE
    ends_as = {EndingKind.PARKED: lease.PARKED, EndingKind.REPORTED: ending.status}.get(ending.kind, before)
    role = record.role or ""
    if is_offered(before, str(record.task_data.get("target_role") or role), role):
        return ending
    if not would_set_back(before, ends_as):
        return ending
    reason = f"it was {before} when it was taken, so it is not set to {ends_as} ({ending.reason})"
    return Ending(EndingKind.GIVEN_BACK, reason)


def _tell_under_lock(tools: Toolbox, record: Record, ending: Ending) -> None:
    """Tell the board; where its lock had merely lapsed it is taken again first, once."""
    try:
        _tell(tools, record, ending, lease.of_record(record))
    except NOT_OURS as error:
        again = taking.regain_or_none(tools, record, error.message)
        if again is None:
            raise
        _tell(tools, again, ending, lease.of_record(again))


def finish_parking(tools: Toolbox, record: Record, task: Task) -> str | None:
    """Make the comment that says why ``task`` is parked, where its runner died between the status and the comment.

    The task's status then, else None. Raises LockLost, TaskMoved and NotFound, as `lease.park` does.
    """
    ending = Ending.from_json(record.ending) if record.step == "reporting" and record.ending else None
    if ending is None or ending.kind is not EndingKind.PARKED or task.status != lease.PARKED:
        return None
    comment = reports.parked_comment(tools.agent_id, record, ending, tools.secrets)
    return lease.park(tools.board, lease.of_record(record), comment)


def _mind(tools: Toolbox, record: Record, ending: Ending) -> None:
    """Remember beyond the record's life what keeps this task from being taken again at once, or in vain."""
    log = tools.log_of(record)
    if ending.kind is not EndingKind.LOST:
        money.remember_session(log, record, ending.reason)
    if ending.kind is EndingKind.REPORTED:
        log.update(carried=None, to_restore=None)
    elif record.role != "qa" and _left_work(tools, record):
        base = whereabouts.began_with(tools, record)
        log.update(carried={"commit": record.commit, "reason": ending.reason, "base": base})
    if ending.elsewhere:
        log.update(elsewhere=taking.reported_where(taking.task_of(record)))
    elif ending.skip:
        task = tools.board.find_task(int(record.task_id))
        if task is not None:
            log.update(skip={"reason": ending.reason, "updated_at": task.updated_at})
    elif ending.kind is EndingKind.GIVEN_BACK:
        # Offered again at once, and perhaps given back at once again: not in a hot loop.
        times = int(log.given_back or 0)
        slow = ending.unfit or ending.pauses not in ("", *policy.MOMENTARY)
        wait = policy.let_others_pass if slow else policy.back_off
        until = time.time() + wait(times, tools.config.retry_pause)
        log.update(given_back=times + 1, skip={"reason": ending.reason, "until": until})
    elif ending.kind is EndingKind.PARKED:
        # A person looks at it before it comes back, so its attempts count anew.
        log.update(failures=0, given_back=0)


def _left_work(tools: Toolbox, record: Record) -> bool:
    """Whether the commits of this take, or of those that it went on with, hold anything."""
    if record.commit in (None, record.base):
        return False
    if carried(tools.log_of(record), record.base) is not None:
        return True
    work = turns.look(tools, record)
    if work is not None:
        return bool(work.changed)
    tree, before = (tools.repository.tree(commit) for commit in (record.commit, record.base))
    return tree != before


def _tell(tools: Toolbox, record: Record, ending: Ending, held: lease.Lease) -> None:
    task_id = record.task_id
    match ending.kind:
        case EndingKind.LOST:
            tell_lost(tools, record, ending.reason)
        case EndingKind.GIVEN_BACK:
            status = lease.give_back(tools.board, held, record.board_status_before)
            if ending.pauses == NO_OUTCOME:
                pickup_gate.comment_on(tools, record, ending)
            tools.tell(
                "given_back",
                record=record,
                status=status,
                reason=ending.reason,
                **outcome_of(record),
                text=f"task {task_id} given back: {ending.reason}{whereabouts.beside(record)}",
            )
        case EndingKind.PARKED:
            lease.park(
                tools.board, held, reports.parked_comment(tools.agent_id, record, ending, tools.secrets)
            )
            tools.tell(
                "parked",
                record=record,
                reason=ending.reason,
                again=reports.offered_again_by(record),
                **outcome_of(record),
                text=f"task {task_id} parked: {ending.reason}; {whereabouts.words(record)}",
            )
        case EndingKind.REPORTED:
            lease.report(tools.board, held, ending.status, reports.notes(record, ending, tools.secrets))
            unchanged = is_no_change(record)
            tools.tell(
                "reported",
                record=record,
                status=ending.status,
                branch=None if unchanged else record.branch_name,
                commit=None if unchanged else record.commit,
                **outcome_of(record),
                text=f"task {task_id} is {ending.status}"
                + (", no change" if unchanged else "")
                + (f"; {whereabouts.left_in(record.stays)}" if record.stays else ""),
            )
