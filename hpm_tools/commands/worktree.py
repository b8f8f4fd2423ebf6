"""`worktree.add` and `worktree.remove`: a task's isolated place, from its making to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools import names
from hpm_tools.commands import noting
from hpm_tools.commands.common import REPO, toolbox, worktree_tools
from hpm_tools.commands.lock import TOKEN
from hpm_tools.errors import NotFound, UsageError
from hpm_tools.registry import Arg, Result, command

if TYPE_CHECKING:
    from hpm_tools.commands.results import RemovedWorktree, WorkPlace
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record
    from hpm_tools.ui import TerminalUI
    from hpm_tools.worktree.removal import Removed
    from hpm_tools.worktree.task_key import TaskKey

TASK = Arg("the task", metavar="N", check=names.task_id)


def _revision(text: str) -> str:
    if not text or text.startswith("-") or not text.isprintable() or len(text) > 250:
        raise UsageError(f"{names.shown(text)} names no commit", "e.g. main, origin/main or a commit id")
    return text


@command(
    "worktree.add",
    example="hpm worktree.add --task-id 12",
    args={
        "task_id": TASK,
        "branch": Arg("the branch to work on, if it may be used", metavar="B", check=names.branch),
        "base": Arg("what a new branch starts from", metavar="REF", check=_revision),
        "agent_id": Arg("make the place for this agent's locked task", metavar="A", check=names.agent_id),
        "token": TOKEN,
        "repo": REPO,
    },
)
def add(
    ui: TerminalUI,
    *,
    task_id: int | None = None,
    branch: str | None = None,
    base: str | None = None,
    agent_id: str | None = None,
    token: str | None = None,
    repo: str | None = None,
) -> Result[WorkPlace]:
    """Make a task's worktree, or find it; prints its path.

    The branch is --branch unless it is the default branch, or main, master or trunk, checked out somewhere or
    another task's; then feature/task-N starts from it. A name that git reads as something else (a tag, a remote's
    branch) is not used. With --agent-id the task is the agent's locked one, the place is the one that the runner
    would take (the checkout itself for a maker's minor task), and the record says so.
    """
    if agent_id is not None:
        return _add_for_agent(ui, agent_id, token, task_id, repo)
    if task_id is None:
        raise UsageError("which task?", "give --task-id N, or --agent-id A for the task that A holds")
    from hpm_tools.runner import bases

    tools = worktree_tools(ui, repo)
    if base is not None and tools.repository.resolve(base) is None:
        raise NotFound(
            f"--base {names.shown(base, 200)} names no commit of {tools.repository.root}",
            "e.g. main, origin/main or a commit id",
        )
    if base is None:  # a person who names one means what it says now
        tools.worktrees.believed = bases.believed(tools.state, tools.repository)
    base = base or tools.config.base_ref
    added = tools.worktrees.add_for_task(_key(tools, task_id), branch=branch, base=base)
    bases.say_doubted(tools, added.doubted)
    if added.refused:
        ui.warn(f"{added.refused}; the worktree is on {added.branch}")
    for said in [*tools.worktrees.say_set_aside(), *(said for _, said in tools.worktrees.say_salvaged())]:
        ui.warn(said)
    noting.note_event("workspace", "", task=task_id, path=str(added.path), branch=added.branch)
    return Result(
        {
            "path": str(added.path),
            "task_id": task_id,
            "branch": added.branch,
            "base": added.base,
            "existed": added.existed,
            "in_place": False,
        },
        str(added.path),
    )


def _add_for_agent(
    ui: TerminalUI, agent_id: str, token: str | None, task_id: int | None, repo: str | None
) -> Result[WorkPlace]:
    from hpm_tools.runner import places, scripted, steps, taking
    from hpm_tools.runner.held_up import vanished
    from hpm_tools.runner.telling import timed

    tools = toolbox(ui, agent_id, repo=repo)
    try:
        with tools.command_guard():
            record = scripted.held_record(tools, token)
            _refuse_other_task(record, agent_id, task_id)
            existed = record.checkout is not None and vanished(record) is None
            if not existed:
                in_place = places.claim_checkout(tools, taking.task_of(record), scripted.PATIENCE)
                record = tools.persistence.update(in_place=in_place, snapshot=None, entries=None)
                with timed(tools, "workspace", record):
                    record = steps.workspace(tools, record)
    finally:
        tools.close()
    return Result(
        {
            "path": record.checkout,
            "task_id": record.task_id,
            "branch": record.branch_name,
            "base": record.base,
            "existed": existed,
            "in_place": bool(record.in_place),
        },
        str(record.checkout),
    )


def _refuse_other_task(record: Record, agent_id: str, task_id: int | None) -> None:
    if task_id is not None and int(record.task_id) != task_id:
        raise UsageError(
            f"agent {agent_id} holds task {record.task_id}, not {task_id}", "leave --task-id out"
        )


@command(
    "worktree.remove",
    example="hpm worktree.remove --task-id 12",
    args={
        "task_id": TASK,
        "path": Arg("the worktree's directory, instead of the task's", metavar="DIR"),
        "agent_id": Arg(
            "the worktree of this agent's reported task; also names who is salvaged for",
            metavar="A",
            check=names.agent_id,
        ),
        "token": TOKEN,
        "discard_ignored": Arg("delete the files that git ignores, instead of archiving them"),
        "repo": REPO,
    },
)
def remove(
    ui: TerminalUI,
    *,
    task_id: int | None = None,
    path: str | None = None,
    agent_id: str | None = None,
    token: str | None = None,
    discard_ignored: bool = False,
    repo: str | None = None,
) -> Result[RemovedWorktree]:
    """Remove a worktree; unsaved work is salvaged first.

    What no commit keeps goes under a salvage ref, which is printed. Uncommitted and untracked files, commits on
    no branch, and ignored files that cannot be made again are kept. If anything cannot be kept (a repository
    inside, more than 100 MiB of ignored files) the directory stays and the exit code is 1. With
    --discard-ignored nothing that git ignores is kept. One that is gone already is no error.
    """
    if path is not None:
        tools = worktree_tools(ui, repo)
        return _remove_free(ui, tools, path, agent_id or "nobody", discard_ignored=discard_ignored)
    if agent_id is not None:
        return _remove_for_agent(ui, agent_id, token, task_id, repo, discard_ignored=discard_ignored)
    if task_id is None:
        raise UsageError("which worktree?", "give --task-id N or --path DIR; hpm worktree.list shows them")
    tools = worktree_tools(ui, repo)
    where = str(tools.worktrees.path_of(task_id))
    return _remove_free(ui, tools, where, "nobody", discard_ignored=discard_ignored)


def _remove_free(
    ui: TerminalUI, tools: Toolbox, path: str, agent_id: str, *, discard_ignored: bool
) -> Result[RemovedWorktree]:
    """Remove a worktree that no agent works in."""
    import os
    from pathlib import Path

    from hpm_tools.runner import occupancy

    occupancy.refuse_inhabited(tools, Path(path), None)
    gone = not os.path.lexists(path)
    removed = tools.worktrees.remove(path, agent_id=agent_id, discard_ignored=discard_ignored)
    if gone:
        ui.note(f"{path} is not there: nothing to remove")
    return _told(ui, path, removed)


def _remove_for_agent(
    ui: TerminalUI,
    agent_id: str,
    token: str | None,
    task_id: int | None,
    repo: str | None,
    *,
    discard_ignored: bool,
) -> Result[RemovedWorktree]:
    from pathlib import Path

    from hpm_tools.runner import occupancy, orphans, scripted
    from hpm_tools.worktree.removal import Removed

    tools = toolbox(ui, agent_id, repo=repo)
    try:
        with tools.command_guard():
            record = scripted.held_record(tools, token)
            _refuse_other_task(record, agent_id, task_id)
            if record.step not in orphans.AFTER_REPORT:
                raise UsageError(
                    f"task {record.task_id} has not been reported: its next step is {record.step}",
                    f"hpm finish --agent-id {agent_id} first; or name the directory: --path {record.worktree_path}",
                )
            removed = Removed()
            if record.worktree_path:
                occupancy.refuse_inhabited(tools, Path(record.worktree_path), record.run_id)
                removed = tools.worktrees.remove(
                    record.worktree_path, agent_id=agent_id, discard_ignored=discard_ignored
                )
            tools.persistence.update(step="unlocking")
    finally:
        tools.close()
    return _told(ui, record.worktree_path, removed)


def _told(ui: TerminalUI, path: str | None, removed: Removed) -> Result[RemovedWorktree]:
    if removed.kept_because:
        ui.warn(f"{path} stays: {removed.kept_because}")
        if removed.way_out:
            ui.note(removed.way_out)
    data: RemovedWorktree = {
        "path": path,
        "salvage": removed.salvage,
        "archive": str(removed.archive) if removed.archive else None,
        "kept_because": removed.kept_because,
    }
    return Result(data, removed.salvage or "", 1 if removed.kept_because else 0)


def _key(tools: Toolbox, task_id: int) -> TaskKey:
    """The task's key, with its date where an agent's record here tells it."""
    from hpm_tools.state.persistence import all_records
    from hpm_tools.worktree.task_key import TaskKey

    for view in all_records(tools.state):
        record = view.record
        if record is not None and record.task_id == task_id and record.board == tools.board_key:
            return TaskKey(tools.board_key, task_id, record.created_at or "")
    return TaskKey(tools.board_key, task_id, "")
