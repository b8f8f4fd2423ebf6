"""`lock`, `unlock`, `locks`: take a task for an agent, give it back by hand, see who holds what.

With ``--local`` nothing but the standard library is loaded: a script calls these in a loop.
"""

from __future__ import annotations

from hpm_tools import names
from hpm_tools.commands import noting
from hpm_tools.commands.given import json_value
from hpm_tools.errors import BadData, Held, NothingToDo, UsageError
from hpm_tools.registry import Arg, Result, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hpm_tools.board.models import Task
    from hpm_tools.commands.results import HeldTask, Locks, ReleasedTask, TakenTask
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.prompts import Prompt
    from hpm_tools.state.record import Record
    from hpm_tools.state.views import RecordView
    from hpm_tools.ui import TerminalUI

AGENT = Arg("the agent, as registered on the board", metavar="A", check=names.agent_id)
TOKEN = Arg("the token that `lock` printed", metavar="T")
TASK_FORM = "pass what hpm pm.next --role R --json prints"
NO_RECORD = "hpm locks shows every record on this host"


def lost_record(agent_id: str) -> str:
    """What gives back a task that the board says ``agent_id`` holds, and of which no host has a record."""
    return (
        f"if the board says that it holds one, and no other machine runs it: "
        f"hpm recover --agent-id {agent_id} --adopt, then hpm unlock --agent-id {agent_id}"
    )


LOCAL = Arg("only the record on this host: the board is neither asked nor told")


@command(
    "lock",
    example="token=$(hpm lock --agent-id dev_001 --task-id 12 --owner-pid $$)",
    args={
        "agent_id": AGENT,
        "task_id": Arg("the task to take", metavar="N", check=names.task_id),
        "task": Arg("the task as the board's JSON, or - to read it from standard input", metavar="JSON"),
        "owner_pid": Arg(
            "the process that holds the lock while it lives; without it a person does", metavar="P"
        ),
        "role": Arg(
            "the role that takes it, instead of the agent's own",
            metavar="R",
            choices=names.ROLES,
            check=names.role,
        ),
        "force": Arg("also a task that the board does not offer to this role; this is logged"),
        "local": LOCAL,
    },
)
def lock(
    ui: TerminalUI,
    *,
    agent_id: str,
    task_id: int | None = None,
    task: str | None = None,
    owner_pid: int | None = None,
    role: str | None = None,
    force: bool = False,
    local: bool = False,
) -> Result[TakenTask]:
    """Take a task for an agent.

    Makes the record on this host, locks the task on the board, and reads the lock back. Prints the lock's
    token, which `claude.exec`, `finish` and `unlock` ask for while the holder lives. Locking what this agent
    already holds says so and gives the same token; 75 if somebody else holds it; 65 for a task that the board
    offers to other roles, or to nobody. --local asks no board, so it cannot know.
    """
    given = _given_task(ui, task_id, task)
    number = task_id if given is None else names.task_id(given.get("id", ""))
    if task_id is not None and number != task_id:
        raise UsageError(
            f"--task-id {task_id} and the task's own id {number} differ", "give only one of them"
        )
    holder = "hand" if owner_pid is None else "process"
    if local:
        record = _lock_here(agent_id, given or {"id": number}, holder, owner_pid)
    else:
        from hpm_tools.commands.common import toolbox

        tools = toolbox(ui, agent_id, role=role)
        offered = given is not None
        record = _lock_on_board(tools, int(number or 0), holder, owner_pid, offered=offered, force=force)
    return Result(
        {
            "token": record.token,
            "agent_id": agent_id,
            "task_id": record.task_id,
            "step": record.step,
            "holder": record.holder,
            "status_before": record.board_status_before,
        },
        str(record.token),
    )


def _given_task(ui: TerminalUI, task_id: int | None, task: str | None) -> dict[str, Any] | None:
    if task is None:
        if task_id is None:
            raise UsageError("which task?", "give --task-id N, or --task with the board's JSON")
        return None
    text = ui.read_stdin() if task == "-" else task
    if not text.strip() or text.strip() == "null":
        raise NothingToDo("no task was given", "hpm pm.next --role R says whether the board offers one")
    data = json_value(text, "the task", TASK_FORM)
    if isinstance(data, dict) and isinstance(data.get("task"), dict):
        data = data["task"]
    if not isinstance(data, dict) or "id" not in data:
        raise BadData("the task is JSON, but no task: it has no id", TASK_FORM)
    return data


def _lock_here(agent_id: str, task: dict[str, Any], holder: str, owner_pid: int | None) -> Record:
    from hpm_tools.state.guard import agent_guard
    from hpm_tools.state.paths import StateDir
    from hpm_tools.state.persistence import TaskPersistence

    persistence = TaskPersistence(agent_id)
    with agent_guard(StateDir(), agent_id):
        existing = persistence.record()
        if existing is not None:
            return _same_task(existing, int(task["id"]), agent_id)
        record = persistence.lock_task(task, holder=holder, owner_pid=owner_pid, step="pre_hook")
    noting.note_event("locked", agent_id, record=record, holder=record.holder)
    return record


def _same_task(record: Record, task_id: int, agent_id: str) -> Record:
    if int(record.task_id) == task_id and record.token:
        return record
    raise Held(
        f"agent {agent_id} already holds task {record.task_id}",
        f"hpm unlock --agent-id {agent_id} gives it back; hpm recover --agent-id {agent_id} resumes it",
    )


def _lock_on_board(
    tools: Toolbox, task_id: int, holder: str, owner_pid: int | None, *, offered: bool, force: bool
) -> Record:
    from hpm_tools.errors import NotFound
    from hpm_tools.runner import alone, taking
    from hpm_tools.state.guard import agent_guard

    try:
        with agent_guard(tools.state, tools.agent_id):
            existing = tools.persistence.record()
            if existing is not None:
                existing = _same_task(existing, task_id, tools.agent_id)
                return taking.take_lock(tools, existing) if existing.step == "locking" else existing
            task = tools.board.find_task(task_id)
            if task is None:
                raise NotFound(f"the board has no task {task_id}", "hpm pm.tasks lists them")
            _refuse_not_offered(tools, task, force=force)
            if offered:
                _refuse_skipped(tools, task)
            alone.warn_of_twin(tools)
            return taking.take(tools, task, holder=holder, owner_pid=owner_pid)
    finally:
        tools.close()


def _refuse_not_offered(tools: Toolbox, task: Task, *, force: bool) -> None:
    """BadData for a task that the board does not offer to this role; ``force`` takes it and keeps a note of it.

    A task that another agent holds is left to the board's lock: that it is held (75) is the better answer. One under
    work that the board says is this agent's own is resumed.
    """
    from hpm_tools.board.offering import nothing_to_do

    reason = nothing_to_do(task, tools.role)
    own = task.locked_by == tools.agent_id
    if not reason or (own and task.status == "under_work") or (task.locked_by is not None and not own):
        return
    agent = f"--agent-id {tools.agent_id} --task-id {task.id}"
    if not force:
        raise BadData(
            reason, f"hpm lock {agent} --force takes it all the same; --role R takes it as another role"
        )
    tools.ui.warn(f"{reason}; taken all the same")
    tools.note_event("lock_forced", reason, task=task.id, status=task.status)


def _refuse_skipped(tools: Toolbox, task: Task) -> None:
    """Held if no runner here would take the task: the board offers it again at once, and for ever."""
    from hpm_tools.runner import taking

    log = tools.task_log(task.id, task.created_at)
    reason = log.skipped(task.updated_at)
    if log.elsewhere == taking.reported_where(task):
        reason = "the work that it names is not in this repository"
    if reason is not None:
        raise Held(
            f"task {task.id} is left alone here for now: {reason}",
            f"hpm lock --agent-id {tools.agent_id} --task-id {task.id} takes it all the same",
        )


@command(
    "unlock",
    example="hpm unlock --agent-id dev_001",
    args={
        "agent_id": AGENT,
        "token": TOKEN,
        "force": Arg("also when a living process holds it; this is logged"),
        "local": LOCAL,
    },
)
def unlock(
    ui: TerminalUI, *, agent_id: str, token: str | None = None, force: bool = False, local: bool = False
) -> Result[ReleasedTask]:
    """Give an agent's task back to the board.

    Also clears the agent's record on this host. After the report the board is not touched any more. A record
    whose holder lives needs its token (75). Worktrees and branches stay as they are. Exit code 3 if the agent
    holds nothing.
    """
    from hpm_tools.state.persistence import TaskPersistence

    persistence = TaskPersistence(agent_id)
    if not persistence.is_locked():
        raise NothingToDo(f"agent {agent_id} holds no task here", f"{NO_RECORD}; {lost_record(agent_id)}")
    if local:
        from hpm_tools.state.prompts import withdraw

        record = persistence.release_lock(token=token, force=force)
        withdraw(persistence.state, agent_id)
        status = None
        if record is not None:
            noting.note_event("unlocked", agent_id, record=record, status=None, forced=force)
    else:
        from hpm_tools.commands.common import toolbox
        from hpm_tools.runner.scripted import release

        record, status = release(toolbox(ui, agent_id), token=token, force=force)
    if record is None:
        raise NothingToDo(f"agent {agent_id} holds no task here", f"{NO_RECORD}; {lost_record(agent_id)}")
    return Result(
        {"task_id": record.task_id, "agent_id": agent_id, "status": status, "step": record.step},
        str(record.task_id),
    )


@command("locks", example="hpm locks --json", reads=True, args={})
def locks(ui: TerminalUI) -> Result[Locks]:
    """List the agents that hold a task on this host.

    Shows of each its task, step, age, holder and whether that lives, and its worktree.
    """
    from hpm_tools.state.paths import StateDir
    from hpm_tools.state.persistence import all_records
    from hpm_tools.state.prompts import waiting

    state = StateDir()
    rows = [_row(view, waiting(state, view.agent_id)) for view in all_records(state)]
    if not rows:
        ui.note_nothing("no agent holds a task on this host")
    return Result({"locks": rows}, _table(rows, ui.columns))


def _row(view: RecordView, prompt: Prompt | None) -> HeldTask:
    from hpm_tools.state.record import Record

    record = view.record or Record({})
    return {
        "agent_id": view.agent_id,
        "problem": view.problem or None,
        "task_id": record.task_id,
        "title": record.task_title,
        "step": record.step,
        "age_seconds": round(record.age() or 0.0) if view.record else None,
        "holder": record.holder if view.record else None,
        "pid": record.pid,
        "alive": view.liveness,
        "worktree": record.worktree_path,
        "branch": record.branch_name,
        "question": prompt.question if prompt is not None else None,
    }


def _table(rows: list[HeldTask], width: int | None) -> str:
    from hpm_tools.state.holder import in_words
    from hpm_tools.text import duration, table

    if not rows:
        return ""
    lines = [
        (row["agent_id"], "?", "unreadable", "", "", row["problem"])
        if row["problem"] is not None
        else (
            row["agent_id"],
            row["task_id"],
            f"asks: {row['step']}" if row["question"] is not None else row["step"] or "",
            duration(row["age_seconds"] or 0.0),
            in_words(str(row["holder"]), row["alive"]),
            row["worktree"] or "",
        )
        for row in rows
    ]
    headers = ("AGENT", "TASK", "STEP", "AGE", "HOLDER", "WORKTREE")
    return table(lines, headers, width, free=("WORKTREE",))
