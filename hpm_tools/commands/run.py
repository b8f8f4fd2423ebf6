"""`run`: the continuous runner."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hpm_tools import names
from hpm_tools.commands.pm import LEVEL
from hpm_tools.errors import UsageError
from hpm_tools.registry import Arg, Result, command

if TYPE_CHECKING:
    from typing import Any

    from hpm_tools.commands.results import Script
    from hpm_tools.config import Configuration
    from hpm_tools.ui import TerminalUI


@command(
    "run",
    example="hpm run --role backend_dev --agent-id dev_001",
    streams=True,
    shows="explain",
    args={
        "role": Arg("the agent's role", metavar="R", choices=names.ROLES, check=names.role, unless="session"),
        "agent_id": Arg(
            "the agent, as registered on the board", metavar="A", check=names.agent_id, unless="session"
        ),
        "session": Arg(
            "work as one of the declared agents (`hpm sessions`); the other options count above what it says",
            metavar="SESSION",
        ),
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
    role: str | None = None,
    agent_id: str | None = None,
    session: str | None = None,
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
    """Work tasks from the board until told to stop.

    Resumes first what an earlier run left. Then, for each task: lock, run the agent, judge what it did, report.
    The first SIGINT or SIGTERM hands over cleanly (the next start resumes the task and its session), the second
    ends at once. With --single-task the exit code is 0 for a reported task, 1 for any other ending, 3 when
    there is none. 75: try later: a limit or a pause holds, or the agent id is in use, here or on another host.
    78: a setting is wrong or missing.
    """
    agent = _agent_of(agent_id, session)
    options = {
        "role": role,
        "level": level,
        "hooks_dir": hooks_dir,
        "roles_dir": roles_dir,
        "executor": executor,
        "on_problem": on_problem,
    }
    if explain:
        text = _explained(ui, agent, options, repo=repo, session=session, single_task=single_task)
        return Result({"script": text}, text)
    from hpm_tools.commands.common import toolbox
    from hpm_tools.runner.advanced import work
    from hpm_tools.runner.ending import EndingKind
    from hpm_tools.runner.loop import Plan
    from hpm_tools.runner.machine import summary
    from hpm_tools.runner.stop import Stop

    if _under_invoke():
        ui.note("invoke executes the tasks.py here, which agents can write; hpm run --repo DIR does not")
    with Stop().installed() as stop:
        tools = toolbox(ui, agent, repo=repo, stop=stop, session=session, **options)
        _refuse_another_role(tools.config, role)
        if max_tasks is None and tools.config.session is not None:
            max_tasks = tools.config.session.max_tasks
        finished = work(tools, Plan(single_task, max_tasks, take_over))
    failed = single_task and any(task.ending.kind is not EndingKind.REPORTED for task in finished)
    return Result(None, exit_code=1, failure=summary(finished)) if failed else None


def _under_invoke() -> bool:
    """Whether Invoke found this command in a tasks.py, and is not just imported by somebody's program."""
    program = getattr(sys.modules.get("invoke.main"), "program", None)
    return getattr(program, "tasks", None) is not None


def _agent_of(agent_id: str | None, session: str | None) -> str:
    """The agent's id, which is its session's name; UsageError if they differ."""
    if agent_id is not None and session is not None and agent_id != session:
        raise UsageError(
            f"--agent-id {agent_id} and --session {names.shown(session)} are two agents",
            "a session's name is its agent's id: leave one of them out",
        )
    return str(session or agent_id)  # one of them is there: Arg.unless


def _refuse_another_role(settings: Configuration, role: str | None) -> None:
    declared = settings.session
    if declared is not None and role not in (None, declared.role):
        raise UsageError(
            f"--role {role} is not the role of session {declared.agent_id}, which is {declared.role}",
            "leave it out, or name the agent by --agent-id instead of --session",
        )


def _explained(
    ui: TerminalUI,
    agent: str,
    options: dict[str, Any],
    *,
    repo: str | None,
    session: str | None,
    single_task: bool,
) -> str:
    """The loop as a shell script; what options and session say of its commands' settings, it exports."""
    from hpm_tools.commands.common import warned_config
    from hpm_tools.runner.explain import script

    settings = warned_config(ui, repo, session=session, **options)
    _refuse_another_role(settings, options["role"])
    exported = {
        name: getattr(settings, name)
        for name in ("hooks_dir", "roles_dir", "executor")
        if settings.sources.get(name, "").startswith(("flag ", "session "))
    }
    level = options["level"] or (settings.session.level if settings.session is not None else None)
    return script(str(settings.role), agent, level, single_task=single_task, settings=exported)
