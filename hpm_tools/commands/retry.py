"""`retry`: offer a task again that was parked, or that is under work although nobody holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools import names
from hpm_tools.registry import Arg, Result, command

if TYPE_CHECKING:
    from hpm_tools.board.models import Task
    from hpm_tools.commands.results import RetriedTask
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.ui import TerminalUI

STATUSES = tuple(status for status in names.STATUSES if status not in (names.PARKED, names.UNDER_WORK))


@command(
    "retry",
    example="hpm retry 12",
    args={
        "task_id": Arg("the task", metavar="N", check=names.task_id, bare=True),
        "status": Arg(
            "the status to set, where the changelog does not tell which one it had",
            metavar="S",
            choices=STATUSES,
        ),
        "agent_id": Arg("the pm or architect who does it", metavar="A", check=names.agent_id),
    },
)
def retry(
    ui: TerminalUI, *, task_id: int, status: str | None = None, agent_id: str = "hpm_pm"
) -> Result[RetriedTask]:
    """Offer a parked or abandoned task again.

    Abandoned is what is under_work and held by nobody, as a dead host leaves it. The task gets the status that it was
    taken with, from the board's changelog. Prints that status. Exit code 3 if the task is neither pending nor
    under_work, 75 if an agent holds it or a record on this host names it, 65 if the changelog does not tell the
    status. With hpm the number may stand alone: hpm retry 12.
    """
    from hpm_tools.board import unheld
    from hpm_tools.commands.common import toolbox
    from hpm_tools.errors import BadData

    tools = toolbox(ui, agent_id)
    try:
        task = _free_task(tools, task_id)
        target = status or unheld.status_when_taken(tools.board, task)
        if target is None:
            raise BadData(
                f"the board's changelog does not tell which status task {task_id} had when it was taken",
                f"say it: {unheld.retry_command(task_id, 'created')}",
            )
        if task.status == names.PARKED:
            tools.board.register(agent_id, "pm", "principal")
            now = unheld.offer_again(tools.board, task, target, agent_id=agent_id)
        else:
            now = unheld.put_back(tools.board, task, target, agent_id=agent_id, role="pm", level="principal")
        tools.note_event("put_back", f"task {task_id} was {_as_it_was(task)}", task=task_id, status=now)
    finally:
        tools.close()
    return Result({"task_id": task_id, "status": now}, now)


def _as_it_was(task: Task) -> str:
    return "parked" if task.status == names.PARKED else f"{task.status}, held by nobody"


def _free_task(tools: Toolbox, task_id: int) -> Task:
    """The task, if it may be offered again. NotFound, NothingToDo (3) or Held (75) otherwise.

    One that this agent id has locked is what an interrupted `retry` left.
    """
    from hpm_tools.errors import Held, NotFound, NothingToDo
    from hpm_tools.local_time import at
    from hpm_tools.runner.orphans import recorded_here

    task = tools.board.find_task(task_id, status=names.UNDER_WORK)
    if task is None:
        raise NotFound(f"the board has no task {task_id}", "hpm pm.tasks lists them")
    view = recorded_here(tools, task)
    if view is not None:
        agent = view.agent_id
        if view.guard_held or view.liveness == "alive":
            raise Held(f"agent {agent} is at work on task {task_id} on this host")
        raise Held(
            f"agent {agent} has a record of task {task_id} on this host",
            f"hpm recover --agent-id {agent} resumes it, hpm unlock --agent-id {agent} gives it back",
        )
    if task.status not in (names.PARKED, names.UNDER_WORK):
        raise NothingToDo(
            f"task {task_id} is {task.status}, neither parked nor under_work: there is nothing to put back",
            f"another status is set by hpm pm.register --agent-id {tools.agent_id} --role pm, then "
            f"hpm pm.status --agent-id {tools.agent_id} --task-id {task_id} --status S",
        )
    if task.locked_by not in (None, tools.agent_id):
        raise Held(
            f"task {task_id} is held by {task.locked_by} since {at(task.locked_at)}",
            f"if it is dead, give the task back on its host: hpm unlock --agent-id {task.locked_by}; where no host "
            "has a record of it any more: "
            f"hpm recover --agent-id {task.locked_by} --adopt, then hpm unlock --agent-id {task.locked_by}",
        )
    return task
