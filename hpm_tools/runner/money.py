"""What a task has cost, booked as it is spent to its log and to the agent's day, and what a run may still cost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hpm_tools import failpoints
from hpm_tools.executor.verdict import Verdict, VerdictKind
from hpm_tools.runner import daily
from hpm_tools.state.spending import Spending

if TYPE_CHECKING:
    from hpm_tools.config import Configuration
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record
    from hpm_tools.state.tasklog import TaskLog

MORE = "raise task_budget_usd (HEADLESS_PM_TASK_BUDGET_USD) to have it gone on with"
TOMORROW = "from the next day on, or once the day's budget is raised"
FOR_WANT_OF_MONEY = frozenset({VerdictKind.BUDGET, VerdictKind.DAY_BUDGET})
"""What ends an agent through no fault of its session, which is gone on with when there is money again."""


def left(config: Configuration, log: TaskLog) -> float | None:
    """US dollars that the task may still cost; None: any amount."""
    return config.task_budget_usd - log.cost_usd if config.task_budget_usd else None


def of_run(tools: Toolbox, log: TaskLog | None) -> tuple[float | None, Verdict | None]:
    """What one more run may cost, and why there must be none, if so: the least of the task's and the day's.

    ``log`` None: a run for no task, which has a task's budget to itself.
    """
    task = left(tools.config, log) if log is not None else tools.config.task_budget_usd or None
    cap = daily.tightest(tools)
    if log is not None and task is not None and task <= 0:
        return task, _spent(tools.config, log)
    if cap is not None and cap.left < daily.LEAST:
        return cap.left, Verdict(VerdictKind.DAY_BUDGET, began=False, **daily.reached(tools, cap))
    return min((usd for usd in (task, cap.left if cap else None) if usd is not None), default=None), None


def _spent(config: Configuration, log: TaskLog) -> Verdict:
    amounts = f"{log.cost_usd:.2f} of {config.task_budget_usd:.2f} USD"
    return Verdict(VerdictKind.BUDGET, f"the task's budget is spent: {amounts}", began=False)


def book(tools: Toolbox, log: TaskLog, session_id: str, total: float) -> None:
    """Note that the session has cost ``total`` US dollars by now; the same again changes nothing.

    Sessions' totals are booked, not runs: a resumed CLI's total holds what a killed run had cost before.
    """
    known = log.session_costs
    log.update(
        cost_usd=log.cost_usd + total - known.get(session_id, 0.0),
        session_costs={**known, session_id: total},
    )
    failpoints.reach("money.of_task")
    Spending(tools.state).book(tools.agent_id, session_id, total)
    failpoints.reach("money.of_day")


def book_again(tools: Toolbox, record: Record) -> None:
    """Book to the day what a killed holder of ``record`` may have booked to the task alone."""
    session_id = record.session_id or ""
    total = tools.log_of(record).session_costs.get(session_id)
    if total:
        Spending(tools.state).book(tools.agent_id, session_id, total)


def judged(tools: Toolbox, log: TaskLog | None, verdict: Verdict, ended_by: daily.Cap | None) -> Verdict:
    """``verdict``, or that the day's budget ended the run: as ``ended_by``, or as the CLI's own limit."""
    task = left(tools.config, log) if log is not None else None
    if verdict.kind is VerdictKind.BUDGET and (task is None or task > 0):
        ended_by = daily.spent_cap(tools)
    elif verdict.kind is not VerdictKind.STOPPED:
        return verdict
    if ended_by is None:
        return verdict
    return replace(verdict, kind=VerdictKind.DAY_BUDGET, **daily.reached(tools, ended_by))


def resumes(record: Record) -> bool:
    """Whether the agent's session is to be gone on with once there is money again."""
    kind = (record.verdict or {}).get("kind")
    return bool(record.session_id) and record.executor == "claude" and kind in FOR_WANT_OF_MONEY


def remember_session(log: TaskLog, record: Record, reason: str) -> None:
    """Keep the session of a task parked for want of money beyond the record's life, and forget any other."""
    if resumes(record):
        whose = {"session_id": record.session_id, "agent_id": record.agent_id, "role": record.role}
        log.update(parked_session={**whose, "reason": reason})
    elif log.parked_session is not None:
        log.update(parked_session=None)


def parked_session(log: TaskLog) -> dict[str, Any] | None:
    """What `remember_session` kept."""
    kept = log.parked_session
    return kept if isinstance(kept, dict) and isinstance(kept.get("session_id"), str) else None


def session_to_resume(log: TaskLog, agent_id: str, role: str) -> str | None:
    """The parked session, for the agent and the role that it belongs to: another's day has not paid for it."""
    kept = parked_session(log)
    own = kept is not None and (kept.get("agent_id"), kept.get("role")) == (agent_id, role)
    return str(kept["session_id"]) if kept is not None and own else None
