"""`sessions`: the agents that the setting of that name declares for `run --session`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.commands.common import REPO, warned_config
from hpm_tools.errors import NothingToDo
from hpm_tools.registry import Result, command

if TYPE_CHECKING:
    from hpm_tools.commands.results import DeclaredSession, DeclaredSessions
    from hpm_tools.state.paths import StateDir
    from hpm_tools.state.views import RecordView
    from hpm_tools.ui import TerminalUI


@command("sessions", example="hpm sessions --json", args={"repo": REPO}, reads=True)
def sessions(ui: TerminalUI, *, repo: str | None = None) -> Result[DeclaredSessions]:
    """List the agents declared for `run --session`.

    Shows of each its name, role, level and executor, and whether it is at work. They stand under `sessions` in
    the repository's invoke.yaml or in config.yaml. Level and executor are those that count for the agent,
    wherever they are set. At work means on this host. Exit code 3 if there are none.
    """
    from hpm_tools.config.load import HOW_TO_DECLARE
    from hpm_tools.state.paths import StateDir
    from hpm_tools.state.persistence import all_records

    settings = warned_config(ui, repo)
    if not settings.sessions:
        raise NothingToDo("no sessions are declared", HOW_TO_DECLARE)
    state = StateDir()
    views = {view.agent_id: view for view in all_records(state)}
    rows: list[DeclaredSession] = []
    for session in settings.sessions:
        view = views.get(session.agent_id)
        record = view.record if view is not None else None
        rows.append(
            {
                "agent_id": session.agent_id,
                "role": session.role,
                "level": session.level or settings.level,
                "executor": session.executor or settings.executor,
                "running": _at_work(state, session.agent_id, view),
                "task_id": int(record.task_id) if record is not None else None,
                "step": record.step if record is not None else None,
            }
        )
    return Result({"source": settings.sources["sessions"], "sessions": rows}, _table(rows, ui.columns))


def _at_work(state: StateDir, agent_id: str, view: RecordView | None) -> bool:
    """Whether a runner, or the process that locked its task, lives here: an idle runner holds the guard alone."""
    from hpm_tools.state.guard import held
    from hpm_tools.state.holder import ALIVE

    return held(state.guard_file(agent_id)) or (view is not None and view.liveness == ALIVE)


def _table(rows: list[DeclaredSession], width: int | None) -> str:
    from hpm_tools.text import table

    lines = [(row["agent_id"], row["role"], row["level"], row["executor"], _now(row)) for row in rows]
    return table(lines, ("SESSION", "ROLE", "LEVEL", "EXECUTOR", "NOW"), width, free=("NOW",))


def _now(row: DeclaredSession) -> str:
    if row["task_id"] is None:
        return "running" if row["running"] else "not running"
    return (
        f"task {row['task_id']}: {row['step']}"
        if row["running"]
        else f"not running, holds task {row['task_id']}"
    )
