"""`worktree.*`: isolated worktrees for tasks, and the work that was set aside when one went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools import names
from hpm_tools.commands.common import REPO
from hpm_tools.commands.lock import TOKEN
from hpm_tools.errors import NotFound, UsageError
from hpm_tools.registry import Arg, Result, command

if TYPE_CHECKING:
    from typing import Literal

    from hpm_tools.commands.results import (
        Pruned,
        RemovedWorktree,
        Restored,
        SalvagedWork,
        WorkPlace,
        Worktree,
        Worktrees,
    )
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record
    from hpm_tools.ui import TerminalUI
    from hpm_tools.worktree.branches import TaskKey
    from hpm_tools.worktree.registration import Registration
    from hpm_tools.worktree.removal import Removed
    from hpm_tools.worktree.restore import Salvaged

TASK = Arg("the task", metavar="N", check=names.task_id)
DAY = 86400.0


def _revision(text: str) -> str:
    if not text or text.startswith("-") or not text.isprintable() or len(text) > 250:
        raise UsageError(f"{names.shown(text)} names no commit", "e.g. main, origin/main or a commit id")
    return text


def _ref(text: str) -> str:
    if not text.isprintable() or not names.branch(text.removeprefix("refs/hpm/salvage/")):
        raise UsageError(f"{names.shown(text)} names no salvage", "hpm worktree.list shows them")
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
    """Make a task's worktree, or find the one made earlier; prints its path.

    The branch is --branch unless it is the default branch, checked out somewhere or another task's; then
    feature/task-N starts from it. With --agent-id the task is the agent's locked one, the place is the one
    that the runner would take (the checkout itself for a maker's minor task), and the record says so.
    """
    if agent_id is not None:
        return _add_for_agent(ui, agent_id, token, task_id, repo)
    if task_id is None:
        raise UsageError("which task?", "give --task-id N, or --agent-id A for the task that A holds")
    tools = _tools(ui, repo)
    if base is not None and tools.repository.resolve(base) is None:
        raise NotFound(
            f"--base {names.shown(base, 200)} names no commit of {tools.repository.root}",
            "e.g. main, origin/main or a commit id",
        )
    added = tools.worktrees.add_for_task(
        _key(tools, task_id), branch=branch, base=base or tools.config.base_ref
    )
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
    from hpm_tools.commands.common import toolbox
    from hpm_tools.runner import places, scripted, taking

    tools = toolbox(ui, agent_id, repo=repo)
    try:
        with tools.command_guard():
            record = scripted.held_record(tools, token)
            _refuse_other_task(record, agent_id, task_id)
            existed = record.checkout is not None
            if not existed:
                in_place = places.claim_checkout(tools, taking.task_of(record), scripted.PATIENCE)
                record = tools.persistence.update(in_place=in_place)
                fields = places.prepare_place(tools, record)
                record = tools.persistence.update(step="starting", **fields)
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
    repo: str | None = None,
) -> Result[RemovedWorktree]:
    """Remove a worktree, putting first what no commit keeps under a salvage ref; prints that ref, if any.

    Uncommitted and untracked files, commits on no branch, and ignored files that cannot be made again are
    kept. If anything cannot be kept (a repository inside, more than 100 MiB of ignored files) the
    directory stays and the exit code is 1. One that is gone already is no error.
    """
    if path is not None:
        _say_if_gone(ui, path)
        return _told(ui, path, _tools(ui, repo).worktrees.remove(path, agent_id=agent_id or "nobody"))
    if agent_id is not None:
        return _remove_for_agent(ui, agent_id, token, task_id, repo)
    if task_id is None:
        raise UsageError("which worktree?", "give --task-id N or --path DIR; hpm worktree.list shows them")
    worktrees = _tools(ui, repo).worktrees
    target = str(worktrees.base / f"task-{task_id}")
    _say_if_gone(ui, target)
    return _told(ui, target, worktrees.remove(target))


def _remove_for_agent(
    ui: TerminalUI, agent_id: str, token: str | None, task_id: int | None, repo: str | None
) -> Result[RemovedWorktree]:
    from hpm_tools.commands.common import toolbox
    from hpm_tools.runner import scripted
    from hpm_tools.worktree.removal import Removed

    tools = toolbox(ui, agent_id, repo=repo)
    try:
        with tools.command_guard():
            record = scripted.held_record(tools, token)
            _refuse_other_task(record, agent_id, task_id)
            if record.step not in scripted.AFTER_REPORT:
                raise UsageError(
                    f"task {record.task_id} has not been reported: its next step is {record.step}",
                    f"hpm finish --agent-id {agent_id} first; or name the directory: --path {record.worktree_path}",
                )
            removed = Removed()
            if record.worktree_path:
                removed = tools.worktrees.remove(record.worktree_path, agent_id=agent_id)
            tools.persistence.update(step="unlocking")
    finally:
        tools.close()
    return _told(ui, record.worktree_path, removed)


def _say_if_gone(ui: TerminalUI, path: str) -> None:
    import os

    if not os.path.lexists(path):
        ui.note(f"{path} is not there: nothing to remove")


def _told(ui: TerminalUI, path: str | None, removed: Removed) -> Result[RemovedWorktree]:
    if removed.kept_because:
        ui.warn(f"{path} stays: {removed.kept_because}")
    data: RemovedWorktree = {
        "path": path,
        "salvage": removed.salvage,
        "archive": str(removed.archive) if removed.archive else None,
        "kept_because": removed.kept_because,
    }
    return Result(data, removed.salvage or "", 1 if removed.kept_because else 0)


@command("worktree.list", example="hpm worktree.list --json", args={"repo": REPO})
def list_(ui: TerminalUI, *, repo: str | None = None) -> Result[Worktrees]:
    """The tasks' worktrees, the salvaged work, and directories that were moved aside in doubt."""
    from hpm_tools.worktree import pruning, restore

    worktrees = _tools(ui, repo).worktrees
    registered = worktrees.list()
    salvages = restore.salvages(worktrees.repository.git)
    kept = pruning.kept_directories(worktrees)
    data: Worktrees = {
        "worktrees": [_worktree_data(found) for found in registered],
        "salvage": [_salvage_data(found) for found in salvages],
        "kept": [str(path) for path in kept],
    }
    return Result(data, _list_text(registered, salvages, [str(path) for path in kept]))


def _worktree_data(found: Registration) -> Worktree:
    commit, branch = found.head()
    return {
        "path": str(found.path),
        "task_id": found.key.id if found.key else None,
        "board": found.key.board if found.key else None,
        "created_at": found.key.created_at if found.key else None,
        "branch": branch,
        "commit": commit,
        "state": _state(found),
    }


def _state(found: Registration) -> Literal["ready", "unfinished", "missing"]:
    if found.missing:
        return "missing"
    return "ready" if found.mark else "unfinished"


def _salvage_data(found: Salvaged) -> SalvagedWork:
    return {
        "ref": found.ref,
        "commit": found.commit,
        "task_id": int(found.task_id) if found.task_id.isdecimal() else None,
        "agent_id": found.agent_id,
        "made_at": found.made_at,
        "branch": found.branch,
        "head": found.head,
        "archive": found.archive[0] if found.archive else None,
        "merged": found.merged,
    }


def _list_text(registered: list[Registration], salvages: list[Salvaged], kept: list[str]) -> str:
    from hpm_tools.text import age, table

    parts = []
    if registered:
        rows: list[tuple[object, ...]] = []
        for found in registered:
            commit, branch = found.head()
            where = branch or f"at {(commit or '?')[:12]}"
            rows.append((found.key.id if found.key else "", where, _state(found), str(found.path)))
        parts.append(table(rows, ("task", "branch", "state", "worktree"), None))
    if salvages:
        rows = [
            (
                found.task_id,
                age(found.made_at),
                ", ".join(
                    note
                    for note, true in (("ignored files", found.archive), ("merged", found.merged))
                    if true
                ),
                found.ref,
            )
            for found in salvages
        ]
        parts.append(table(rows, ("task", "age", "notes", "salvage"), None))
    if kept:
        parts.append(table([(path,) for path in kept], ("moved aside",), None))
    return "\n\n".join(parts)


@command(
    "worktree.restore",
    example="hpm worktree.restore --ref refs/hpm/salvage/dev_001/12/20260102T030405Z",
    args={
        "ref": Arg("the salvage, as worktree.list shows it", metavar="REF", check=_ref),
        "to": Arg("a checkout to put the changes into, instead of a worktree made for them", metavar="DIR"),
        "repo": REPO,
    },
)
def restore(ui: TerminalUI, *, ref: str, to: str | None = None, repo: str | None = None) -> Result[Restored]:
    """Bring salvaged work back as uncommitted changes; prints the directory.

    Without --to a worktree is made at the commit that the work was based on. The salvage itself stays.
    A checkout with other changes, or whose HEAD changed the same files since, is not touched (73).
    """
    path, paths = _tools(ui, repo).worktrees.restore(ref, to)
    ui.note(f"{len(paths)} file(s) restored into {path}")
    return Result({"ref": ref, "path": str(path), "files": paths}, str(path))


@command(
    "worktree.prune",
    example="hpm worktree.prune --salvage --older-than 30",
    args={
        "salvage": Arg("list salvaged work, ask, and delete it for good"),
        "older_than": Arg("only salvage that is older than so many days", metavar="DAYS"),
        "yes": Arg("delete without asking"),
        "repo": REPO,
    },
)
def prune(
    ui: TerminalUI,
    *,
    salvage: bool = False,
    older_than: float = 30.0,
    yes: bool = False,
    repo: str | None = None,
) -> Result[Pruned]:
    """Tidy up: forget vanished worktrees and notes about deleted branches; prints what went.

    With --salvage the salvage refs older than --older-than days are listed and, after a question or with
    --yes, deleted with their archives. Nothing else deletes salvage that is on no branch.
    """
    from hpm_tools.worktree import pruning

    if older_than < 0:
        raise UsageError("--older-than is negative", "give days, 0 for all")
    worktrees = _tools(ui, repo).worktrees
    done = pruning.tidy(worktrees)
    found = pruning.old_salvages(worktrees.repository.git, older_than * DAY) if salvage else []
    deleted = found and _agreed(ui, found, yes=yes)
    if deleted:
        gone = pruning.delete_salvages(worktrees.repository.git, found)
        done.salvage, done.archives = gone.salvage, gone.archives
    data: Pruned = {
        "worktrees": done.worktrees,
        "refs": done.refs,
        "salvaged": done.salvaged,
        "deleted": done.salvage,
        "archives": done.archives,
        "left": [] if deleted else [salvaged.ref for salvaged in found],
    }
    return Result(data, "\n".join([*done.worktrees, *done.refs, *done.salvage]))


def _agreed(ui: TerminalUI, found: list[Salvaged], *, yes: bool) -> bool:
    from hpm_tools.text import age

    for salvaged in found:
        merged = "on a branch" if salvaged.merged else "on no branch"
        ui.note(f"{salvaged.ref}  {age(salvaged.made_at)}  {merged}")
    if yes:
        return True
    if not ui.is_terminal:
        ui.note(f"{len(found)} salvage(s) would be deleted; --yes deletes them")
        return False
    return ui.ask(f"delete {len(found)} salvage(s) for good?", ("yes", "no"), "no") == "yes"


def _tools(ui: TerminalUI, repo: str | None) -> Toolbox:
    from hpm_tools.commands.common import toolbox

    return toolbox(ui, "worktrees", repo=repo)


def _key(tools: Toolbox, task_id: int) -> TaskKey:
    """The task's key, with its date where an agent's record here tells it."""
    from hpm_tools.state.persistence import all_records
    from hpm_tools.worktree.branches import TaskKey

    for view in all_records(tools.state):
        record = view.record
        if record is not None and record.task_id == task_id and record.board == tools.board_key:
            return TaskKey(tools.board_key, task_id, record.created_at or "")
    return TaskKey(tools.board_key, task_id, "")
