"""`run`: the continuous runner."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hpm_tools import names
from hpm_tools.commands.lock import AGENT
from hpm_tools.commands.pm import LEVEL
from hpm_tools.registry import Arg, Result, command

if TYPE_CHECKING:
    from hpm_tools.commands.results import Script
    from hpm_tools.ui import TerminalUI


@command(
    "run",
    example="hpm run --role backend_dev --agent-id dev_001",
    streams=True,
    shows="explain",
    args={
        "role": Arg("the agent's role", metavar="R", choices=names.ROLES, check=names.role),
        "agent_id": AGENT,
        "level": LEVEL,
        "single_task": Arg("do one task, or finish the one that was interrupted, then end"),
        "max_tasks": Arg("end after so many tasks", metavar="N", check=names.task_count),
        "hooks_dir": Arg("the directory of the hooks", metavar="DIR"),
        "roles_dir": Arg("the directory of the role instructions", metavar="DIR"),
        "executor": Arg("who does the work", choices=("claude", "command")),
        "on_problem": Arg(
            "what to do when a step needs a decision", choices=("ask", "retry", "skip", "release", "stop")
        ),
        "take_over": Arg("start at once although the agent may be at work on another host"),
        "explain": Arg("print the same loop as a shell script of the other commands, and end"),
        "repo": Arg("the repository to work in", metavar="DIR"),
    },
)
def run(
    ui: TerminalUI,
    *,
    role: str,
    agent_id: str,
    level: str | None = None,
    single_task: bool = False,
    max_tasks: int | None = None,
    hooks_dir: str | None = None,
    roles_dir: str | None = None,
    executor: str | None = None,
    on_problem: str | None = None,
    take_over: bool = False,
    explain: bool = False,
    repo: str | None = None,
) -> Result[Script] | None:
    """Work tasks from the board until told to stop: recover, look, lock, run the agent, judge, report.

    The first SIGINT or SIGTERM hands over cleanly (the next start resumes the task and its session), the
    second ends at once. With --single-task the exit code is 0 for a reported task, 1 for any other ending,
    3 when there is none. 75: try later: a limit or a pause holds, or the agent id is in use, here or on
    another host. 78: a setting is wrong or missing.
    """
    if explain:
        from hpm_tools.runner.explain import script

        text = script(role, agent_id, level, single_task=single_task)
        return Result({"script": text}, text)
    from hpm_tools.commands.common import toolbox
    from hpm_tools.runner.ending import EndingKind
    from hpm_tools.runner.loop import Plan, Worker
    from hpm_tools.runner.machine import summary
    from hpm_tools.runner.stop import Stop

    if "invoke" in sys.modules:
        ui.note("invoke executes the tasks.py here, which agents can write; hpm run --repo DIR does not")
    with Stop().installed() as stop:
        tools = toolbox(
            ui,
            agent_id,
            repo=repo,
            stop=stop,
            role=role,
            level=level,
            hooks_dir=hooks_dir,
            roles_dir=roles_dir,
            executor=executor,
            on_problem=on_problem,
        )
        finished = Worker(tools, Plan(single_task, max_tasks, take_over)).run()
    failed = single_task and any(task.ending.kind is not EndingKind.REPORTED for task in finished)
    tools.tell("ended", tasks=len(finished), text=summary(finished))
    return Result(None, exit_code=1) if failed else None
