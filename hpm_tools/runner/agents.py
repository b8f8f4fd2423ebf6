"""One supervised agent run for the recorded task: model, prompt, budget, clocks, journal, verdict."""

from __future__ import annotations

import os
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpm_tools import failpoints
from hpm_tools.errors import HpmError, Misconfigured
from hpm_tools.executor.base import AgentGit, AgentJob, ProgramAway
from hpm_tools.executor.prompt import QA, build_prompt
from hpm_tools.executor.roles import find_role, role_directories
from hpm_tools.executor.verdict import CLAIMS_DONE, Verdict, classify, from_error
from hpm_tools.process.supervise import Clocks
from hpm_tools.runner import bases, daily, interference, money, own_moves, work_outside
from hpm_tools.runner.sandbox_leftovers import entries_before, remove_placeholders
from hpm_tools.runner.telling import difficulty_of, of_run
from hpm_tools.state.limits import Limits
from hpm_tools.worktree import attribution
from hpm_tools.worktree.belief import Belief
from hpm_tools.worktree.difference import difference
from hpm_tools.worktree.evidence import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpm_tools.config import Configuration
    from hpm_tools.executor.base import AgentRun, Progress
    from hpm_tools.executor.roles import RoleText
    from hpm_tools.process.supervise import Child
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record
    from hpm_tools.state.tasklog import TaskLog
    from hpm_tools.worktree.evidence import Evidence

FIRST_EVENT_LIMIT = 120.0
RESULT_LINGER = 20.0
GRACE = 10.0
PROGRESS_EVERY = 5.0
"""Seconds between two notes of what an agent is doing."""


def run_agent(
    tools: Toolbox, record: Record, should_stop: Callable[[], str | None]
) -> tuple[Record, Verdict]:
    """Start the agent in the record's place, wait for its end and judge it; both are journalled.

    Costs and attempts go to the task's log, which outlives the record. Raises nothing for a bad run:
    that is a verdict.
    """
    log = tools.log_of(record)
    budget, forbidden = money.of_run(tools, log)
    if forbidden is not None:
        return _journal(tools, record, forbidden)
    # Left by a killed sandbox of the run before this one; the agent might commit it.
    remove_placeholders(record)
    if record.snapshot is None:
        tools.state.prepare(tools.state.before)
        snapshot = Snapshot.take(
            Path(record.checkout),
            record.run_id,
            attributed=True,
            copies=Path(tools.state.before),
            refs_file=tools.state.refs_file(record.run_id),
        )
        record = tools.persistence.update(
            snapshot=snapshot.to_json(),
            entries=entries_before(tools, snapshot.place),
            around=work_outside.around(tools, record),
            cost_before=log.cost_usd,
        )
    try:
        job = _job(tools, record, budget)
    except Misconfigured as error:
        return _journal(tools, record, from_error(error))
    record = tools.persistence.update(
        session_id=job.session_id, verdict=None, model=job.model, agent_runs=int(record.agent_runs or 0) + 1
    )
    log.update(attempts=int(log.attempts) + 1, last_session=job.session_id)
    tools.tell(
        "agent_started",
        record=record,
        attempt=log.attempts,
        model=job.model,
        difficulty=job.difficulty,
        executor=tools.executor.name,
        resumed=job.resume,
        text=f"task {record.task_id}: {'resuming' if job.resume else 'starting'} the agent"
        f" in {record.checkout}",
    )
    found = own_moves.evidence(tools, record)
    record = interference.note(tools, record, found)
    before = _mark(record, found)
    failpoints.reach("agent.starting")
    try:
        watch = daily.Watch(tools, should_stop)
        run = tools.executor.run(job, _show(tools, record, job), _journal_child(tools), watch)
    except HpmError as error:
        away = isinstance(error, ProgramAway) or tools.executor.away() is not None
        return _journal(tools, record, from_error(error, away=away))
    finally:
        tools.ui.progress(_doing(record))
    failpoints.reach("agent.ended")
    _account(tools, record, job, run)
    failpoints.reach("agent.accounted")
    if not run.survivors:
        remove_placeholders(record)
    after = own_moves.evidence(tools, record)
    record = interference.note(tools, record, after)
    changed = after.worked or carried(log, after.base) is not None
    verdict = classify(run, changed=changed, role=record.role or tools.role)
    if not changed and verdict.kind in CLAIMS_DONE and (record.role or tools.role) != QA:
        record, after, misplaced = work_outside.resolve(tools, record, after, no_change=verdict.no_change)
        verdict = classify(run, changed=after.worked, role=record.role or tools.role, misplaced=misplaced)
    verdict = money.judged(tools, log, verdict, watch.cap)
    return _journal(tools, record, verdict, run, progressed=_mark(record, after) != before)


def _journal(
    tools: Toolbox, record: Record, verdict: Verdict, run: AgentRun | None = None, **more: object
) -> tuple[Record, Verdict]:
    seconds = float(record.agent_seconds or 0.0) + verdict.seconds
    task_cost = tools.log_of(record).cost_usd
    cost = task_cost - float(record.cost_before or 0.0)
    known = verdict.cost_usd is not None or record.cost_usd is not None or cost > 0
    record = tools.persistence.update(
        verdict=verdict.to_json(),
        child=None,
        agent_seconds=seconds,
        cost_usd=cost if known else None,
        **more,
    )
    tools.tell(
        "agent_ended",
        record=record,
        verdict=str(verdict.kind),
        seconds=round(verdict.seconds, 1),
        turns=verdict.turns,
        cost_usd=verdict.cost_usd,
        task_cost_usd=task_cost,
        **of_run(record.model, difficulty_of(record), run),
        text=f"task {record.task_id}: {verdict.kind}: {verdict.summary.removeprefix(f'{verdict.kind}: ')}",
    )
    return record, verdict


def role_text(tools: Toolbox, role: str, level: str) -> RoleText:
    """The role's instructions for this operator and repository; Misconfigured if they are missing."""
    return find_role(
        role,
        tools.config.roles_dir or role_directories(os.getcwd(), tools.repository.root),
        level=level,
        filtered=tools.config.filter_roles,
    )


def _job(tools: Toolbox, record: Record, budget: float | None) -> AgentJob:
    task, log = record.task_data, tools.log_of(record)
    role_name = record.role or tools.role
    role = role_text(tools, role_name, record.level or "")
    if role.left_out:
        titles = "; ".join(role.left_out)
        tools.ui.note(f"{role.path}: left out what the runner does itself: {titles}")
    resume = bool(record.session_id) and tools.executor.name == "claude"
    session_id = (record.session_id if resume else None) or str(uuid.uuid4())
    previous = _previous(record, log)
    git = getattr(tools.executor, "agent_git", AgentGit.COMMIT)
    changed = _difference(tools, record, previous) if git is AgentGit.NONE else ""
    return AgentJob(
        prompt=build_prompt(
            task,
            role=role_name,
            role_text=role.text,
            agent_id=tools.agent_id,
            branch=record.branch_name,
            base=record.base,
            previous=previous,
            allowed=tools.config.claude.allow,
            git=git,
            difference=changed,
            printed=tools.executor.name == "command",
        ),
        resume_prompt=build_prompt(
            task, role=role_name, resume=True, previous=previous, git=git, difference=changed
        ),
        cwd=Path(record.checkout),
        agent_id=tools.agent_id,
        run_id=record.run_id,
        session_id=session_id,
        # People commit, too, to the checkout and to every branch: attribution tells the agent's acts from theirs.
        env={
            **tools.agent_environment,
            **attribution.environment(str((record.snapshot or {}).get("run_id", record.run_id))),
        },
        clocks=clocks(tools.config),
        task=task,
        role=role_name,
        difficulty=str(task.get("difficulty") or ""),
        model=tools.model or tools.models.model_for_task(task),
        resume=resume,
        session_cost_usd=log.session_costs.get(session_id, 0.0),
        budget_usd=budget,
        log_path=Path(tools.state.run_log(record.run_id)),
    )


def _difference(tools: Toolbox, record: Record, previous: str | None) -> str:
    """What an agent without git needs to know: for qa the work under test, else what was begun before."""
    place = Path(record.checkout)
    if (record.role or tools.role) == QA:
        base = tools.config.base_ref or tools.repository.default_branch()
        believed = bases.believed(tools.state, tools.repository, record.run_id)
        base = Belief(tools.repository.git, believed).revision(base) if base else None
        return difference(place, tools.repository.resolve(base) if base else None, branched=True)
    return difference(place, record.base, branched=False) if previous else ""


def clocks(config: Configuration) -> Clocks:
    """The limits of one agent run."""
    return Clocks(
        total=config.claude_timeout,
        first_event=FIRST_EVENT_LIMIT,
        stall=config.claude_stall_timeout,
        linger=RESULT_LINGER,
        grace=GRACE,
    )


def _previous(record: Record, log: TaskLog) -> str | None:
    """Why the last run of this task ended early, for the agent that takes up its work."""
    if record.verdict:
        return str(record.verdict.get("summary"))
    if (parked := money.parked_session(log)) and parked["session_id"] == record.session_id:
        return str(parked["reason"])
    return "its runner was ended" if record.session_id else carried(log, record.base)


def carried(log: TaskLog, base: str | None) -> str | None:
    """Why the take before this one ended early, if its unreported commits are what this one began with."""
    work = log.carried or {}
    return str(work.get("reason")) if base and work.get("commit") == base else None


def _show(tools: Toolbox, record: Record, job: AgentJob) -> Callable[[Progress], None]:
    started = time.monotonic()
    tools.ui.progress(_doing(record))
    log = tools.log_of(record)
    booked, noted_at = 0.0, -PROGRESS_EVERY

    def show(progress: Progress) -> None:
        nonlocal booked, noted_at
        if progress.cost_usd and progress.cost_usd != booked:
            booked = progress.cost_usd
            with suppress(HpmError):  # an account that is busy now is written at the end of the run
                money.book(tools, log, job.session_id, job.session_cost_usd + booked)
        elapsed = time.monotonic() - started
        if elapsed - noted_at >= PROGRESS_EVERY:
            noted_at = elapsed
            tools.note_event(
                "agent_progress",
                record=record,
                turns=progress.turns,
                cost_usd=progress.cost_usd,
                doing=progress.text,
                seconds=round(elapsed, 1),
            )
        tools.ui.progress(_doing(record), progress.sentence)

    return show


def _doing(record: Record) -> str:
    return f"task {record.task_id} · working"


def _journal_child(tools: Toolbox) -> Callable[[Child], None]:
    def on_spawn(child: Child) -> None:
        failpoints.reach("agent.spawned")
        tools.persistence.update(child={"pid": child.pid, "start": child.start, "pgid": child.pgid})
        failpoints.reach("agent.journalled")

    return on_spawn


def _account(tools: Toolbox, record: Record, job: AgentJob, run: AgentRun) -> None:
    """Book what the run cost: the board's task may come back to any runner of this host."""
    log = tools.log_of(record)
    if run.session_id != job.session_id:
        # In progress the job's own session is booked, which was lost: it cost no more than before.
        money.book(tools, log, job.session_id, job.session_cost_usd)
    money.book(tools, log, run.session_id, run.session_cost_usd)
    if run.session_id != record.session_id:
        tools.persistence.update(session_id=run.session_id)
    if run.limit_kind and run.resets_at:
        Limits(tools.state).hold(tools.config.account, run.resets_at, run.limit_kind)


def _mark(record: Record, evidence: Evidence) -> list[Any]:
    """Something that differs whenever the agent moved its work on: HEAD and the changed files' times."""
    place = Path(record.checkout)
    times = []
    for name in evidence.dirty:
        try:
            stat = os.lstat(place / name)
            times.append((name, stat.st_size, stat.st_mtime_ns))
        except OSError:
            times.append((name, -1, -1))
    return [evidence.head, times]
