"""`pm.*`: the board's own operations, for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools import names
from hpm_tools.commands import noting
from hpm_tools.commands.lock import AGENT
from hpm_tools.errors import NotFound, NothingToDo, UsageError
from hpm_tools.registry import Arg, Result, command

if TYPE_CHECKING:
    from hpm_tools.board.client import Board
    from hpm_tools.board.models import Task
    from hpm_tools.commands.results import Commented, RegisteredAgent, TaskList
    from hpm_tools.ui import TerminalUI

TASK_ID = Arg("the task", metavar="N", check=names.task_id)
ROLE = Arg("the role", metavar="R", choices=names.ROLES, check=names.role)
OWN_ROLE = Arg(
    "the role (default: HEADLESS_PM_ROLE, or the setting role)",
    metavar="R",
    choices=names.ROLES,
    check=names.role,
)
LEVEL = Arg(
    "the agent's level (default: HEADLESS_PM_LEVEL, or the setting level)",
    choices=names.LEVELS,
    check=names.level,
)
DIFFICULTY = Arg("the task's difficulty", choices=names.LEVELS, check=names.level)
STATUS = Arg("the status", metavar="S", choices=names.STATUSES, check=names.status)
PROMOTED = "created"
LONGEST_TITLE = 1000
"""Columns of a title in a pipe, where no terminal limits them: a board takes titles of megabytes."""


def board(ui: TerminalUI) -> Board:
    """The configured board's client."""
    from hpm_tools.board.connect import connect
    from hpm_tools.commands.common import config
    from hpm_tools.state.last_seen import LastSeen
    from hpm_tools.state.paths import StateDir, board_slug

    settings = config()
    if settings.api_key:
        ui.conceal([settings.api_key])
    state = StateDir()
    return connect(settings, state.home, ui.warn, LastSeen(state, board_slug(settings.api_url)))


def _who(role: str | None, level: str | None) -> tuple[str, str]:
    """The role and level that count: the flags, else the settings; UsageError where nothing says the role."""
    from hpm_tools.commands.common import config

    settings = config(role=role, level=level)
    if settings.role is None:
        raise UsageError("which role?", "give --role R, or set HEADLESS_PM_ROLE")
    return settings.role, settings.level


def task_result(task: Task) -> Result[Task]:
    return Result(task, str(task.id))


@command(
    "pm.register",
    example="hpm pm.register --agent-id dev_001 --role backend_dev --level senior",
    args={"agent_id": AGENT, "role": OWN_ROLE, "level": LEVEL},
)
def register(
    ui: TerminalUI, *, agent_id: str, role: str | None = None, level: str | None = None
) -> Result[RegisteredAgent]:
    """Register an agent, or say that it still lives.

    The board forgets the locks of agents that are silent for 30 minutes. It keeps the role and level of
    the first registration; a difference is a warning.
    """
    from hpm_tools.board.models import board_role

    role, level = _who(role, level)
    registration = board(ui).register(agent_id, board_role(role), level)
    if registration.differs:
        ui.warn(registration.differs)
    agent = registration.agent
    return Result({"agent_id": agent.agent_id, "role": agent.role, "level": agent.level}, agent.agent_id)


@command(
    "pm.next",
    example="hpm pm.next --role backend_dev --json | hpm lock --agent-id dev_001 --task -",
    reads=True,
    args={
        "role": OWN_ROLE,
        "level": LEVEL,
        "timeout": Arg(
            "seconds to wait for a task; the real board spends a thread on each waiter",
            metavar="S",
            check=names.wait,
        ),
    },
)
def next_(
    ui: TerminalUI, *, role: str | None = None, level: str | None = None, timeout: int = 0
) -> Result[Task]:
    """Show the task that the board offers next.

    Prints the id of the one for this role and level, or with --json the task. A look, not a claim. Exit code 3
    when there is none.
    """
    from hpm_tools.board.models import polled_roles

    role, level = _who(role, level)
    client = board(ui)
    for one in polled_roles(role):
        task = client.next_task(one, level, timeout=timeout)
        if task is not None:
            return task_result(task)
    raise NothingToDo(
        f"no task is offered to {role} ({level})",
        "hpm pm.tasks lists all; a task must be created, not pending",
    )


@command("pm.task", example="hpm pm.task --task-id 12 --json", reads=True, args={"task_id": TASK_ID})
def task(ui: TerminalUI, *, task_id: int) -> Result[Task]:
    """Show one task's status, or with --json all of it."""
    found = board(ui).find_task(task_id)
    if found is None:
        raise NotFound(f"the board has no task {task_id}", "hpm pm.tasks lists them")
    return Result(found, found.status)


@command(
    "pm.tasks", example="hpm pm.tasks --status created", reads=True, args={"status": STATUS, "role": ROLE}
)
def tasks(ui: TerminalUI, *, status: str | None = None, role: str | None = None) -> Result[TaskList]:
    """List the board's tasks, newest first."""
    from hpm_tools.text import one_line, table

    found = board(ui).tasks(status=status, role=role)
    rows = [
        (
            t.id,
            t.status,
            t.target_role,
            f"{t.difficulty} {t.complexity}",
            t.locked_by or "",
            one_line(t.title, LONGEST_TITLE),
        )
        for t in found
    ]
    headers = ("TASK", "STATUS", "ROLE", "DIFFICULTY", "HELD BY", "TITLE")
    text = table(rows, headers, ui.columns, free=("TITLE",)) if rows else ""
    if not rows:
        ui.note_nothing("the board has no such task" if status or role else "the board has no task")
    return Result({"tasks": found}, text)


@command(
    "pm.status",
    example="hpm pm.status --agent-id pm_001 --task-id 12 --status created",
    args={
        "agent_id": AGENT,
        "task_id": TASK_ID,
        "status": STATUS,
        "notes": Arg("replaces the task's notes and comments; - reads standard input", metavar="TEXT"),
    },
)
def status(
    ui: TerminalUI, *, agent_id: str, task_id: int, status: str, notes: str | None = None
) -> Result[Task]:
    """Set a task's status.

    Setting the status that it has already changes nothing and says so.
    """
    client = board(ui)
    text = ui.read_stdin() if notes == "-" else notes
    found = client.find_task(task_id)
    if found is None:
        raise NotFound(f"the board has no task {task_id}", "hpm pm.tasks lists them")
    if found.status == status and text is None:
        ui.note(f"task {task_id} is {status} already")
        return Result(found, found.status)
    changed = client.set_status(task_id, agent_id, status, text)
    noting.note_event("status_set", agent_id, task=task_id, status=changed.status)
    return Result(changed, changed.status)


@command(
    "pm.comment",
    example="git log -1 --format=%B | hpm pm.comment --agent-id dev_001 --task-id 12",
    args={
        "agent_id": AGENT,
        "task_id": TASK_ID,
        "comment": Arg("the comment; without it standard input is read", metavar="TEXT"),
    },
)
def comment(ui: TerminalUI, *, agent_id: str, task_id: int, comment: str | None = None) -> Result[Commented]:
    """Add a comment to a task.

    A later status with notes replaces it: set the status first.
    """
    text = ui.read_stdin() if comment in (None, "-") else str(comment)
    if not text.strip():
        raise UsageError("the comment is empty", "pass it with --comment or on standard input")
    board(ui).comment(task_id, agent_id, text)
    return Result({"task_id": task_id, "commented": True}, str(task_id))


@command(
    "pm.add",
    example="hpm pm.add --title 'Add a --version flag' --role backend_dev --difficulty junior --complexity minor",
    args={
        "title": Arg("what is to be done, in one line", metavar="TEXT"),
        "description": Arg("what is to be done, in full; - reads standard input", metavar="TEXT"),
        "role": ROLE,
        "difficulty": DIFFICULTY,
        "complexity": Arg(
            "minor: on the current branch; major: on a branch of its own", choices=("minor", "major")
        ),
        "branch": Arg("the task's branch", metavar="B", check=names.branch),
        "epic": Arg("the epic to put it in; made if there is none of that name", metavar="NAME"),
        "feature": Arg("the feature to put it in; made if there is none of that name", metavar="NAME"),
        "agent_id": Arg("the pm or architect who adds it", metavar="A", check=names.agent_id),
        "pending": Arg("leave it pending: offered to nobody until its status is set to created"),
    },
)
def add(
    ui: TerminalUI,
    *,
    title: str,
    role: str,
    difficulty: str = "senior",
    complexity: str = "major",
    description: str = "",
    branch: str = "main",
    epic: str = "Work",
    feature: str = "Tasks",
    agent_id: str = "hpm_pm",
    pending: bool = False,
) -> Result[Task]:
    """Add a task, and offer it to agents.

    Its epic and feature are made where they do not exist yet. A task just like it that was made by --agent-id
    and never offered is one that an interrupted `pm.add` left behind: that one is offered, and no second one
    made.
    """
    if role == "fullstack_dev":
        raise UsageError("the board has no tasks for fullstack_dev", "use backend_dev or frontend_dev")
    if not title.strip():
        raise UsageError("the title is empty", "say with --title what is to be done")
    text = ui.read_stdin() if description == "-" else description
    client = board(ui)
    client.register(agent_id, "pm", "principal")
    feature_id = _feature(client, agent_id, epic, feature)
    made = client.create_task(
        agent_id,
        feature_id=feature_id,
        title=title,
        description=text or title,
        target_role=role,
        difficulty=difficulty,
        complexity=complexity,
        branch=branch,
        take_up=not pending,
    )
    if not pending:
        made = client.set_status(made.id, agent_id, PROMOTED)
    return task_result(made)


def _feature(client: Board, agent_id: str, epic_name: str, feature_name: str) -> int:
    epic_id = next((epic.id for epic in client.epics() if epic.name == epic_name), None)
    if epic_id is None:
        epic_id = client.create_epic(agent_id, epic_name, epic_name).id
    for feature in client.features(epic_id):
        if feature.name == feature_name:
            return feature.id
    return client.create_feature(agent_id, epic_id, feature_name, feature_name).id
