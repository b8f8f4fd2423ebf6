"""The continuous runner for a program that imports `hpm_tools`, which has neither a toolbox nor a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools import names, signals
from hpm_tools.config import load_config
from hpm_tools.errors import UsageError
from hpm_tools.runner.loop import Plan, Worker
from hpm_tools.runner.machine import summary
from hpm_tools.runner.stop import Stop
from hpm_tools.runner.toolbox import Toolbox
from hpm_tools.ui import TerminalUI

if TYPE_CHECKING:
    from hpm_tools.config import Configuration
    from hpm_tools.runner.machine import Finished


class AdvancedAgentRunner:
    """The runner of one agent, as `hpm run` starts it: it takes tasks from the board, and works them one after another.

    ``config`` is what it goes by (default: what a command here would have); its ``role`` gives way to ``role``. It
    ends with the first task (``single_task``), after ``max_tasks`` of them, or with a signal. ``take_over`` starts it
    although the agent may be at work on another host. What happens is told to ``ui``.

    Raises UsageError for a role, an agent id or a number of tasks that cannot be one, and ConfigProblems when no
    ``config`` is given and what is read is wrong.
    """

    def __init__(
        self,
        role: str,
        agent_id: str,
        config: Configuration | None = None,
        *,
        single_task: bool = False,
        max_tasks: int | None = None,
        take_over: bool = False,
        ui: TerminalUI | None = None,
    ) -> None:
        self.role = names.role(role)
        self.agent_id = names.agent_id(agent_id)
        self.config = (config or load_config()).replace(role=self.role)
        self.plan = Plan(single_task, None if max_tasks is None else names.task_count(max_tasks), take_over)
        self.ui = ui or TerminalUI()

    def run(self) -> list[Finished]:
        """Work until there is no more to be done; how each task ended, in order.

        SIGINT and SIGTERM are its own meanwhile: the first hands over, and raises Interrupted; the next start resumes
        the task. Only the main thread may run one: agents side by side are processes side by side.

        Raises UsageError in another thread, Held if the agent id is in use, NothingToDo if a single task was asked
        for and none is offered, BoardUnreachable if the board of a single task does not answer, TryLater while a
        limit or a pause holds, and Refused or Misconfigured when no agent can work here.
        """
        with Stop().installed() as stop:
            for warning in self.config.warnings:
                self.ui.warning(warning)
            return work(Toolbox(self.config, self.ui, self.agent_id, stop=stop), self.plan)


def work(tools: Toolbox, plan: Plan) -> list[Finished]:
    """Have the agent of ``tools`` work as ``plan`` says, and tell what came of it.

    Raises UsageError in another thread than the main one, where no signal could hand a task over, and what Worker.run
    raises.
    """
    if not signals.in_main_thread():
        raise UsageError(
            "a runner runs in the main thread only, where signals arrive",
            "give each agent a process of its own",
        )
    finished = Worker(tools, plan).run()
    tools.tell("ended", tasks=len(finished), text=summary(finished))
    return finished
