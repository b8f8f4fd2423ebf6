"""What a task has cost, written to its log as it is spent, and what is left of its budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.executor.verdict import Verdict, VerdictKind

if TYPE_CHECKING:
    from hpm_tools.config import Config
    from hpm_tools.state.tasklog import TaskLog

MORE = "raise task_budget_usd (HEADLESS_PM_TASK_BUDGET_USD) to have it gone on with"


def left(config: Config, log: TaskLog) -> float | None:
    """US dollars that the task may still cost; None: any amount."""
    return config.task_budget_usd - log.cost_usd if config.task_budget_usd else None


def spent(config: Config, log: TaskLog) -> Verdict:
    """The verdict on a task that nothing is left for."""
    amounts = f"{log.cost_usd:.2f} of {config.task_budget_usd:.2f} USD"
    return Verdict(VerdictKind.BUDGET, f"the task's budget is spent: {amounts}")


def book(log: TaskLog, session_id: str, total: float) -> None:
    """Note that the session has cost ``total`` US dollars by now; the same again changes nothing.

    Sessions' totals are booked, not runs: a resumed CLI's total holds what a killed run had cost before.
    """
    known = log.session_costs
    log.update(
        cost_usd=log.cost_usd + total - known.get(session_id, 0.0),
        session_costs={**known, session_id: total},
    )
