"""Single steps for scripts: what `claude.exec`, `finish`, `unlock` and `recover` do between them."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools import failpoints, local_time
from hpm_tools.board import lease
from hpm_tools.errors import Held, HpmError, Misconfigured, NotFound, NothingToDo, TryLater, UsageError
from hpm_tools.executor.base import AgentJob
from hpm_tools.executor.verdict import FATAL, PAUSING, Verdict, VerdictKind, classify, from_error
from hpm_tools.process.identity import ancestors, same_process
from hpm_tools.runner import (
    alone,
    daily,
    limit,
    money,
    occupancy,
    orphans,
    own_moves,
    pickup_gate,
    places,
    recheck,
    report_step,
    steps,
    taking,
    work_outside,
    working,
)
from hpm_tools.runner.agents import carried, clocks
from hpm_tools.runner.ending import Ending
from hpm_tools.runner.held_up import say_uncommitted, vanished, way_back
from hpm_tools.runner.orphans import AFTER_REPORT
from hpm_tools.runner.policy import Action
from hpm_tools.runner.report_step import NOT_OURS
from hpm_tools.runner.telling import of_run, timed
from hpm_tools.state import prompts
from hpm_tools.state.persistence import holder_alive
from hpm_tools.state.spending import Spending
from hpm_tools.worktree import registration
from hpm_tools.worktree.evidence import Snapshot, delta, differs
from hpm_tools.worktree.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpm_tools.executor.base import Progress
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record

BEFORE_AGENT = ("pre_hook", "workspace", "starting", "working")
PATIENCE = orphans.GRACE
"""Seconds for which a command, with the board's lock held, waits for the checkout."""


def run_bare(tools: Toolbox, prompt: str, *, difficulty: str | None, cwd: str | None) -> Verdict:
    """One agent run that no task, record or board knows of."""
    place = Path(cwd or ".").resolve()
    if not place.is_dir():
        raise NotFound(f"{place} is no directory", "name one that exists: --cwd DIR")
    budget, forbidden = money.of_run(tools, None)
    if forbidden is not None:
        return forbidden
    try:
        snapshot = Snapshot.take(Repository.discover(place).root and place, uuid.uuid4().hex)
    except Misconfigured:
        snapshot = None
    job = AgentJob(
        prompt=prompt,
        cwd=place,
        agent_id=tools.agent_id,
        run_id=uuid.uuid4().hex,
        session_id=str(uuid.uuid4()),
        clocks=clocks(tools.config),
        difficulty=difficulty or "",
        model=tools.model or tools.models.model_for(difficulty),
        budget_usd=budget,
    )

    spending, watch = Spending(tools.state), daily.Watch(tools, tools.stop.reason)

    def show(progress: Progress) -> None:
        tools.ui.progress("agent", progress.sentence)
        with suppress(HpmError):  # an account that is busy now is written at the end of the run
            spending.book(tools.agent_id, job.session_id, progress.cost_usd or 0.0)

    tools.note_event(
        "agent_started",
        attempt=1,
        model=job.model,
        difficulty=job.difficulty,
        executor=tools.executor.name,
        resumed=False,
    )
    failpoints.reach("agent.starting")
    try:
        run = tools.executor.run(job, show, None, watch)
    except HpmError as error:
        return from_error(error)
    finally:
        tools.ui.progress("")
    spending.book(tools.agent_id, run.session_id, run.session_cost_usd)
    failpoints.reach("agent.ended")
    changed = snapshot is None or delta(place, snapshot).worked
    if snapshot is not None:
        with suppress(HpmError):
            snapshot.release()
    verdict = money.judged(tools, None, classify(run, changed=changed, role=""), watch.cap)
    tools.note_event(
        "agent_ended",
        f"{verdict.kind}: {verdict.summary}",
        verdict=str(verdict.kind),
        seconds=round(verdict.seconds, 1),
        turns=verdict.turns,
        cost_usd=verdict.cost_usd,
        task_cost_usd=None,
        **of_run(job.model, job.difficulty, run),
    )
    return verdict


def run_for_task(tools: Toolbox, record: Record, *, task_id: int | None, cwd: str | None) -> Verdict:
    """One agent run for the recorded task, in ``cwd`` or the place that the record names.

    The caller holds the agent's guard. The record stays at ``working`` with the verdict in it.
    """
    if task_id is not None and task_id != int(record.task_id):
        raise UsageError(f"agent {tools.agent_id} holds task {record.task_id}, not {task_id}")
    if record.step not in BEFORE_AGENT:
        raise UsageError(
            f"task {record.task_id} is past its agent: its next step is {record.step}",
            f"go on with: hpm finish --agent-id {tools.agent_id}",
        )
    taking.guard_task(tools, int(record.task_id), record.created_at or "")
    record = _end_leftovers(tools, record)
    until = limit.closed_until(tools, record.task_data)
    if until is not None:
        # Journalled like an agent's own, for `finish` asks for a verdict and answers 75 to this one.
        held_back = Verdict(
            VerdictKind.LIMIT,
            f"the usage limit of the account {tools.config.account} holds until {local_time.when(until)}",
            resets_at=until,
            began=False,
        )
        tools.persistence.update(verdict=held_back.to_json())
        return held_back
    record = _hold(tools, record)
    tools.begin_heartbeat(record)
    record = _settle_place(tools, record, cwd)
    with timed(tools, "starting", record):
        record = steps.starting(tools, record)
    owner_gone = _owner_watch(record)
    with timed(tools, "working", record):
        _, verdict = working.attempt(tools, record, owner_gone)
    if tools.heartbeat is not None and tools.heartbeat.twin is not None:
        raise alone.in_use(tools, tools.heartbeat.twin)
    return verdict


def _hold(tools: Toolbox, record: Record) -> Record:
    """Take the board's lock again where it lapsed between two commands; a task that moved is found out later."""
    try:
        lease.confirm(tools.board, lease.of_record(record))
    except NOT_OURS as error:
        return taking.regain_or_none(tools, record, error.message) or record
    return record


def _end_leftovers(tools: Toolbox, record: Record) -> Record:
    """End what an earlier command that was killed left running: two agents must never live for one task."""
    orphans.end_leftovers(record)
    return tools.persistence.update(child=None) if record.child else record


def _settle_place(tools: Toolbox, record: Record, cwd: str | None) -> Record:
    if cwd is None and (why := vanished(record)):
        raise NotFound(why, f"make it again: {way_back(tools, record)}")
    if cwd is None and record.checkout:
        if record.in_place:
            places.reclaim_checkout(tools, record, PATIENCE)
        else:
            occupancy.refuse_inhabited(tools, Path(record.checkout), record.run_id)
        return record
    if cwd is None:
        in_place = places.claim_checkout(tools, taking.task_of(record), PATIENCE)
        with timed(tools, "workspace", record):
            return steps.workspace(tools, tools.persistence.update(in_place=in_place))
    place = Path(cwd).resolve()
    if not place.is_dir():
        raise NotFound(f"{place} is no directory", "name one that exists: --cwd DIR")
    in_place = place == tools.repository.root
    if not in_place and registration.at(tools.repository.common_dir, place) is None:
        raise UsageError(
            f"{place} is no checkout of {tools.repository.root}",
            "name the repository's own directory or one of its worktrees, or the repository with --repo DIR",
        )
    if in_place:
        places.reclaim_checkout(tools, record, PATIENCE)
    else:
        occupancy.refuse_inhabited(tools, place, record.run_id)
    head = tools.repository.head(place)
    if str(place) != record.checkout:
        # What an earlier place looked like says nothing of this one.
        record = tools.persistence.update(snapshot=None, entries=None)
    return tools.persistence.update(
        checkout=str(place),
        in_place=in_place,
        worktree_path=None if in_place else str(place),
        branch_name=head.branch,
        base=head.commit,
    )


def _owner_watch(record: Record) -> Callable[[], str | None]:
    """A stop reason once the script that owns the record is gone: nobody would finish its work."""
    if record.holder != "process" or not record.pid:
        return lambda: None
    pid, start, boot = int(record.pid), record.pid_start or "", record.boot_id or ""

    def gone() -> str | None:
        return None if same_process(pid, start, boot) else f"the lock's owner, process {pid}, is gone"

    return gone


def finish(tools: Toolbox, record: Record, verdict: Verdict | None) -> Ending:
    """Evidence, leftovers, status and comment for the recorded task; the record then says ``post_hook``.

    TryLater (75, with ``wait_seconds``) when the verdict means that the agent must run again, UsageError
    when there is none. Repeating it after the report says what was reported.
    """
    record = recheck.not_lost(tools, record)
    if record.step in AFTER_REPORT:
        record = recheck.back_to_report(tools, record)
    if record.step in AFTER_REPORT:
        return Ending.from_json(record.ending)
    taking.guard_task(tools, int(record.task_id), record.created_at or "")
    record = _end_leftovers(tools, record)
    if record.in_place:
        places.reclaim_checkout(tools, record, PATIENCE)
    record = _hold(tools, record)
    tools.begin_heartbeat(record)
    if not record.ending:
        record = _decide_ending(tools, record, verdict)
    while record.step not in AFTER_REPORT:
        step = record.step
        with timed(tools, step, record):
            record = steps.STEPS[step](tools, record)
    pickup_gate.settle(tools)
    return Ending.from_json(record.ending)


def _decide_ending(tools: Toolbox, record: Record, verdict: Verdict | None) -> Record:
    by_hand = verdict is not None
    if verdict is not None:
        record = tools.persistence.update(verdict=_checked(tools, record, verdict).to_json())
    if not record.verdict or record.verdict.get("followed"):
        raise UsageError(
            f"task {record.task_id} has no verdict yet",
            f"run its agent first: hpm claude.exec --agent-id {tools.agent_id}, or give --verdict",
        )
    verdict = Verdict.from_json(record.verdict)
    decision = working.decide(tools, record, verdict, by_hand=by_hand)
    if verdict.kind in PAUSING | FATAL:
        # The next task would fare no better, and a script looks at nothing but the exit code.
        decision = replace(decision, action=Action.GIVE_BACK_AND_STOP)
    elif decision.action is Action.GIVE_BACK:
        # The script would take the next task at once: as a usage limit, this is waited out with this one.
        paused = pickup_gate.of(tools).pause() if decision.pauses else None
        wait = paused.seconds_left() if paused is not None else decision.pause
        decision = replace(decision, action=Action.AGAIN, pause=wait)
    ending = working.ending_of(tools, record, decision)
    if ending is None:
        wait = working.wait_seconds(verdict) or decision.pause
        if decision.action is not Action.HAND_OVER:
            working.prepare_repeat(tools, record, decision)
            tools.persistence.update(verdict={**record.verdict, "followed": True})
        raise TryLater(
            f"task {record.task_id} is not over: {decision.reason}",
            f"run its agent again{f' in {wait:.0f} s' if wait else ''}: hpm claude.exec --agent-id {tools.agent_id}",
            wait_seconds=round(wait, 1),
            verdict=str(verdict.kind),
        )
    return tools.persistence.update(ending=ending.to_json(), step="committing")


def _checked(tools: Toolbox, record: Record, verdict: Verdict) -> Verdict:
    """``verdict``, which somebody handed in, as the evidence in the task's place allows it.

    UsageError for a done task that has no place.
    """
    qa = (record.role or tools.role) == "qa"
    if verdict.kind is VerdictKind.REJECTED and not qa:
        return replace(verdict, kind=VerdictKind.BLOCKED)
    if verdict.kind is not VerdictKind.DONE:
        return verdict
    if not record.checkout or not Path(record.checkout).is_dir():
        raise UsageError(
            f"task {record.task_id} cannot be done: there is no place where it was worked",
            f"hpm worktree.add --agent-id {tools.agent_id} makes it, hpm claude.exec --agent-id {tools.agent_id} works there",
        )
    if qa or _changed(tools, record):
        return verdict
    if misplaced := _misplaced(tools, record, no_change=verdict.no_change):
        return replace(verdict, kind=VerdictKind.MISPLACED, summary=misplaced)
    if _changed(tools, record) or (verdict.no_change and verdict.summary.strip()):
        return verdict
    summary = f"it was called done, but nothing changed in {record.checkout} (it was said: {verdict.summary})"
    return replace(verdict, kind=VerdictKind.NOTHING_DONE, summary=summary)


def _changed(tools: Toolbox, record: Record) -> bool:
    """Whether the task's place holds work beyond what its agent began with."""
    if record.snapshot:
        worked = own_moves.evidence(tools, record).worked
    else:
        worked = differs(Path(record.checkout), record.base)
    return worked or carried(tools.log_of(record), record.base) is not None


def _misplaced(tools: Toolbox, record: Record, *, no_change: bool) -> str:
    """Where else the agent's work is; brought home first, where that is plain."""
    if not record.snapshot:
        return ""
    return work_outside.resolve(tools, record, own_moves.evidence(tools, record), no_change=no_change)[2]


def release(tools: Toolbox, *, token: str | None, force: bool) -> tuple[Record, str | None]:
    """Give the task back on the board unless it has been reported, then clear the record.

    The new board status, or None if the board was not touched. Worktrees and branches stay. An agent
    that a dead holder left running is ended first: the next to take the task may be on this host.
    """
    with tools.command_guard(force=force) as alone:
        record = held_record(tools, token, force=force)
        if alone:
            orphans.end_leftovers(record)
            tools.log_of(record).note(ended_runs=record.run_id)
        status = None
        if record.step not in AFTER_REPORT:
            status = _give_back(tools, record)
        tools.persistence.release_lock(token=record.token, force=force)
        if alone:
            _forget_snapshot(tools, record)
        tools.note_event("unlocked", record=record, status=status, forced=force)
        prompts.withdraw(tools.state, tools.agent_id)
    say_uncommitted(tools, record)
    return record, status


def _forget_snapshot(tools: Toolbox, record: Record) -> None:
    """Drop what was kept to compare with, or in case its agent deletes it: no agent works for ``record`` any more."""
    if record.snapshot:
        with suppress(HpmError):  # the repository may be gone; a give-back needs none
            Snapshot.from_json(record.snapshot).release()
        own_moves.forget(tools, record)


def held_record(tools: Toolbox, token: str | None, *, force: bool = False) -> Record:
    """The agent's record for a command that goes on with it; its living holder must show the token.

    NothingToDo (3) if there is none, Held (75) if another living process holds it.
    """
    record = tools.persistence.record()
    if record is None:
        raise NothingToDo(
            f"agent {tools.agent_id} holds no task",
            f"take one first: hpm lock --agent-id {tools.agent_id} --task-id N",
        )
    tools.resume_as(record)
    if force:
        return record
    if token is not None:
        if token != record.token:
            raise Held(f"that is not the token of agent {tools.agent_id}'s lock on task {record.task_id}")
        return record
    owner = int(record.pid or 0)
    # A script's own commands need no token.
    if holder_alive(record, guard_held=False) == "alive" and owner not in ancestors():
        raise Held(
            f"agent {tools.agent_id}'s task {record.task_id} is held by process {owner}",
            "pass the --token that hpm lock printed",
        )
    return record


def _give_back(tools: Toolbox, record: Record) -> str | None:
    before = record.board_status_before or lease.status_before(
        tools.board, int(record.task_id), record.created_at
    )
    try:
        task = tools.board.find_task(int(record.task_id))
        if task is not None and task.status == lease.UNDER_WORK and task.locked_by is None:
            # Left so it would be offered to nobody.
            record = _hold(tools, record)
        if task is not None and (told := report_step.finish_parking(tools, record, task)):
            return told
        return lease.give_back(tools.board, lease.of_record(record), before)
    except (lease.LockLost, lease.TaskMoved, NotFound) as error:
        tools.ui.note(f"the board was not changed: {error.message}")
        return None
