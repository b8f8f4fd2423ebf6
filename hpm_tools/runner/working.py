"""The agent's part of a task: run, judge, and repeat until the verdict ends it."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools import failpoints, local_time
from hpm_tools.board import history
from hpm_tools.board.errors import BadAnswer
from hpm_tools.executor.verdict import FATAL, Verdict, VerdictKind
from hpm_tools.runner import daily, limit, pickup_gate, policy
from hpm_tools.runner.agents import run_agent
from hpm_tools.runner.ending import Ending, EndingKind
from hpm_tools.runner.patience import patiently
from hpm_tools.runner.policy import Action, Course, Decision
from hpm_tools.worktree.displaced import git_replaced, replaced_by_link
from hpm_tools.worktree.evidence import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record

LOOK_AROUND = 2.0


def attempt(
    tools: Toolbox, record: Record, also_stop: Callable[[], str | None] = lambda: None
) -> tuple[Record, Verdict]:
    """One agent run under the task's lock; it ends early on a signal, a lost lock or ``also_stop()``."""

    def should_stop() -> str | None:
        return tools.stop.reason() or tools.lost_reason() or also_stop()

    record, verdict = run_agent(tools, record, should_stop)
    tools.judged_run = record.run_id
    return record, verdict


def decide(tools: Toolbox, record: Record, verdict: Verdict, *, by_hand: bool = False) -> Decision:
    """What follows from ``verdict``, given what this task and those before it have already cost.

    A verdict that a person gave ``by_hand`` says nothing about the agent's program.
    """
    known = pickup_gate.of(tools)
    if verdict.began and not by_hand:
        known.begun()
    paused = known.pause()
    course = Course(
        role=record.role or tools.role,
        attempts=int(tools.log_of(record).failures) + 1,
        max_attempts=tools.config.max_attempts,
        seconds=float(record.agent_seconds or 0.0),
        max_seconds=tools.config.task_timeout,
        progressed=bool(record.progressed),
        rejections=_rejections(tools, record) if verdict.kind is VerdictKind.REJECTED else 0,
        outages=0 if record.progressed else int(record.outages or 0),
        retry_pause=tools.config.retry_pause,
        begun=record.snapshot is not None,
        keeps_for_next_day=tools.config.budget.then == daily.KEEP,
        begins_nothing=known.begins_nothing(tools.log_of(record).path),
        failed_before=known.failed_before(pickup_gate.failed(tools, record)),
        paused=paused.kind if paused is not None else "",
    )
    decision = policy.decide(verdict, course)
    if not by_hand:
        pickup_gate.heed(tools, record, verdict, decision)
    return decision


def ending_of(tools: Toolbox, record: Record, decision: Decision) -> Ending | None:
    """The ending that ``decision`` means, or None while the task goes on."""
    if tools.lost_reason():
        return Ending(EndingKind.LOST, tools.lost_reason() or "")
    match decision.action:
        case Action.REPORT:
            return Ending(EndingKind.REPORTED, decision.reason, decision.status)
        case Action.PARK:
            return Ending(EndingKind.PARKED, decision.reason)
        case Action.GIVE_BACK:
            return Ending(EndingKind.GIVEN_BACK, decision.reason, pauses=decision.pauses)
        case Action.GIVE_BACK_AND_STOP:
            code = Verdict.from_json(record.verdict).exit_code
            return Ending(EndingKind.GIVEN_BACK, decision.reason, pauses=decision.pauses, exit_code=code)
        case _:
            return None


def _rejections(tools: Toolbox, record: Record) -> int:
    """How often qa has already sent this task back, from the board's changelog as far as it can be read.

    A rejection is under_work → created by whoever had taken it from dev_done; a maker's give-back
    looks alike but for what it was taken from.
    """
    count, taken_from = 0, ""
    try:
        known = history.changes(tools.board, record.created_at)
    except BadAnswer as error:
        tools.ui.warn(f"task {record.task_id}: decided without what became of it before: {error.message}")
        return 0
    if not known.whole:
        oldest = known.rows[-1].changed_at if known.rows else "now"
        tools.ui.warn(
            f"task {record.task_id}: the board's changelog is too long to be read back to the task's making; "
            f"rejections before {oldest} are not counted"
        )
    rows = [row for row in known.rows if row.task_id == record.task_id]
    for row in sorted(rows, key=lambda row: row.id):
        if row.changed_at < (record.created_at or ""):
            continue
        if row.new_status == "under_work":
            taken_from = row.old_status
        elif row.old_status == "under_work" and row.new_status == policy.REOPENED:
            count += taken_from == policy.MAKER_DONE
    return count


def work(tools: Toolbox, record: Record) -> tuple[Record, Ending]:
    """Run agents on the task until a verdict ends it; waits out limits and outages while heartbeating.

    Raises Interrupted when a signal asks to stop: the record then says ``working`` and the next start
    resumes the session.
    """
    while True:
        verdict = undecided(record)
        if verdict is None:
            if replaced := _replaced(record):
                return record, Ending(EndingKind.PARKED, f"{replaced}, while the agent worked")
            if record.snapshot and record.checkout and not Path(record.checkout).is_dir():
                # Nobody's fault but this task's; whoever takes it next makes the place again.
                return record, Ending(EndingKind.GIVEN_BACK, f"an agent removed {record.checkout}")
            wait_for_limit(tools, record)
            wait_for_next_day(tools)
            if lost := tools.lost_reason():
                return record, Ending(EndingKind.LOST, lost)
            tools.stop.check()
            record, verdict = attempt(tools, record)
        if lost := tools.lost_reason():
            return record, Ending(EndingKind.LOST, lost)
        if verdict.kind is VerdictKind.STOPPED:
            tools.stop.check()
        failpoints.reach("working.decided")
        decision = patiently(tools, partial(decide, tools, record, verdict))
        ending = ending_of(tools, record, decision)
        if ending is not None:
            return record, ending
        record = prepare_repeat(tools, record, decision)
        if decision.action is Action.WAIT and limit.closed_until(tools, record.task_data) is None:
            pause(tools, record, max(decision.pause, wait_seconds(verdict)), decision.reason)


def _replaced(record: Record) -> str | None:
    """That a link came in the place of the task's worktree, or another repository in its own's: no agent is started there."""
    if not record.snapshot:
        return None
    snapshot = Snapshot.from_json(record.snapshot)
    return git_replaced(snapshot) or replaced_by_link(snapshot)


def undecided(record: Record) -> Verdict | None:
    """The journalled verdict of a run that nothing has followed from yet: its runner was ended just then.

    That no agent could be started, for want of disk space or of a login, was so then: it is tried again.
    """
    if not record.verdict or record.verdict.get("followed"):
        return None
    verdict = Verdict.from_json(record.verdict)
    of_then = verdict.kind is VerdictKind.STOPPED or (verdict.kind in FATAL and not verdict.began)
    return None if of_then else verdict


def prepare_repeat(tools: Toolbox, record: Record, decision: Decision) -> Record:
    """Count what the next run costs: an attempt, or one more outage in a row."""
    if decision.action is Action.AGAIN:
        if decision.costs_attempt:
            log = tools.log_of(record)
            log.update(failures=int(log.failures) + 1)
        return follow(tools, record, outages=0)
    outages = 1 if record.progressed else int(record.outages or 0) + 1
    return follow(tools, record, outages=outages)


def follow(tools: Toolbox, record: Record, **fields: int) -> Record:
    """Journal that the agent is to run again after the record's verdict, which else would be decided on again."""
    return tools.persistence.update(verdict={**(record.verdict or {}), "followed": True}, **fields)


def wait_seconds(verdict: Verdict) -> float:
    """How long the usage window named by ``verdict`` stays closed; 0 if it names none."""
    return max(0.0, (verdict.resets_at or 0.0) - time.time())


def wait_for_limit(tools: Toolbox, record: Record) -> None:
    """Wait while the account's usage window is closed, whoever on this host found it so, and the lock is ours."""
    told, began = None, time.monotonic()
    while (until := limit.closed_until(tools, record.task_data)) is not None and not tools.lost_reason():
        if told != until:
            told = until
            tools.tell(
                "limit_wait",
                record=record,
                until=until,
                text=f"task {record.task_id}: the usage limit holds until {local_time.when(until)}; "
                "lock and session are kept",
            )
        tools.ui.progress(f"task {record.task_id} · waiting for the usage limit")
        _sleep(tools, limit.pause(tools, until))
    if told is not None and not tools.lost_reason():
        limit.tell_over(tools, time.monotonic() - began, record)


def wait_for_next_day(tools: Toolbox) -> None:
    """Wait while the day's budget is spent and the operator wants the task kept, and the lock is ours."""
    while tools.config.budget.then == daily.KEEP and not tools.lost_reason():
        cap = daily.spent_cap(tools)
        if cap is None:
            return
        daily.tell(tools, cap)
        tools.ui.progress("waiting for the next day's budget")
        _sleep(tools, daily.pause())


def pause(tools: Toolbox, record: Record, seconds: float, reason: str) -> None:
    tools.tell(
        "backing_off",
        record=record,
        seconds=round(seconds),
        text=f"task {record.task_id}: {reason}; trying again in {seconds:.0f} s",
    )
    tools.ui.progress(f"task {record.task_id} · waiting to try again")
    _sleep(tools, seconds)


def _sleep(tools: Toolbox, seconds: float) -> None:
    """Pause until a signal asks to stop, which is raised, or the lock is lost."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not tools.lost_reason():
        tools.stop.wait(min(LOOK_AROUND, left))
        tools.stop.check()
