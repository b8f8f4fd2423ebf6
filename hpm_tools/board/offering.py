"""Which tasks the board offers to which role (docs/headless-pm.md, Offered tasks): the only list of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from hpm_tools.board.models import Status, polled_roles

if TYPE_CHECKING:
    from hpm_tools.board.models import Task

OFFERED_TO_MAKERS = ("created", "approved")
OFFERED_TO_QA = ("dev_done",)
OFFERED = (*OFFERED_TO_MAKERS, *OFFERED_TO_QA)

PROGRESS: tuple[str, ...] = get_args(Status)
"""All statuses, from a task that nobody began to one that is accepted."""


def offered_statuses(role: str) -> tuple[str, ...]:
    """The statuses in which the board offers tasks to ``role``."""
    return OFFERED_TO_QA if role == "qa" else OFFERED_TO_MAKERS


def is_offered(status: str, target_role: str, role: str) -> bool:
    """Whether the board offers tasks in ``status``, made for ``target_role``, to ``role``, locks and levels apart.

    qa is offered every role's tasks; ``fullstack_dev`` counts as backend_dev and as frontend_dev.
    """
    for_role = role == "qa" or target_role in polled_roles(role)
    return for_role and status in offered_statuses(role)


def nothing_to_do(task: Task, role: str) -> str:
    """Why ``role`` has nothing to do with ``task``; "" if the board offers it to that role."""
    if is_offered(task.status, task.target_role, role):
        return ""
    whose = "" if role == "qa" or task.target_role in polled_roles(role) else f" and {task.target_role}'s"
    return f"task {task.id} is {task.status}{whose}: nothing for {role} to do"


def would_set_back(status: str, new_status: str) -> bool:
    """Whether ``status`` says that work was reported, and ``new_status`` is an earlier one."""
    reached = PROGRESS.index(status)
    return reached > PROGRESS.index("under_work") and PROGRESS.index(new_status) < reached
