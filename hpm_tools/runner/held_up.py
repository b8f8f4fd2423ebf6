"""A task that a command, or a runner that stops, does not go on with: where its work is, and what does, in words."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools.board.errors import BadAnswer, InUse
from hpm_tools.errors import BoardUnreachable, CannotCreate, HpmError, Misconfigured, Refused
from hpm_tools.runner.ending import EndingKind
from hpm_tools.runner.orphans import AFTER_REPORT
from hpm_tools.runner.whereabouts import left_in, of_record
from hpm_tools.state.persistence import TaskPersistence
from hpm_tools.worktree.replaced_git import look_alike

if TYPE_CHECKING:
    from hpm_tools.runner.machine import Finished
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record

ENDS = (Refused, Misconfigured, BoardUnreachable, BadAnswer, CannotCreate)
"""Errors that say nothing of a task, and end what works on one."""


def add_whereabouts(tools: Toolbox, error: BaseException, again: str) -> None:
    """Add to an error that ends a command which task stays, where its work is, and what goes on with it.

    ``again`` is the command to give once the error's cause is gone.
    """
    if isinstance(error, ENDS):
        _add(error, tools.persistence, again)


def add_held(error: HpmError, agent_id: str) -> None:
    """Add the same to an error that keeps a command from its settings: nothing is known but this host's records."""
    _add(error, TaskPersistence(agent_id), "the same command")


def _add(error: HpmError, persistence: TaskPersistence, again: str) -> None:
    try:
        record = persistence.record()
    except HpmError:
        return
    if record is None or record.step in AFTER_REPORT:
        return
    agent_id = persistence.agent_id
    error.message += f"; task {record.task_id} stays with {agent_id}{_place(record)}"
    put_back = _put_back(record)
    if put_back:
        error.hint = f"{put_back}, then: {again}; or give the task back: hpm unlock --agent-id {agent_id}"
    else:
        error.hint += f"{', then' if error.hint else 'go on with it'}: {again}"


def _put_back(record: Record) -> str:
    """What brings the git directory of the task's repository back; "" if it is there."""
    root = Path(record.repo or "/")
    if not record.repo or os.path.lexists(root / ".git"):
        return ""
    found = look_alike(root)
    return f"put it back: {found}" if found else f"put {root / '.git'} back from a copy or a clone"


def run_again(tools: Toolbox, *, single_task: bool) -> str:
    """The command that goes on with what this runner holds."""
    single = ["--single-task"] if single_task else []
    who = ["--role", tools.role, "--agent-id", tools.agent_id]
    if tools.config.session is not None:
        who = ["--session", tools.config.session.agent_id]
    where = ["--repo", root] if (root := _root(tools)) else []
    return shlex.join(["hpm", "run", *who, *single, *where])


def _root(tools: Toolbox) -> str:
    """The repository to name; where none can be found any more, the one that the task was begun in, or ""."""
    with suppress(HpmError):
        record = tools.persistence.record()
        if record is not None and record.repo:
            return str(record.repo)
    with suppress(HpmError):
        return str(tools.repository.root)
    return ""


def left_behind(tools: Toolbox) -> tuple[str, str]:
    """What a planned stop leaves (nothing, a task to resume, one not tidied up yet), and how to go on."""
    try:
        record = tools.persistence.record()
    except HpmError:
        record = None
    if record is None:
        return "stopped", ""
    task, agent = record.task_id, tools.agent_id
    if record.step in AFTER_REPORT:
        return f"stopped. Task {task} is over", "run the same command to tidy up after it"
    stays = "was being locked" if record.step == "locking" else "stays locked"
    return (
        f"stopped. Task {task} {stays} by {agent}",
        f"run the same command to resume it, or hpm unlock --agent-id {agent}",
    )


def stopped_by(finished: Finished) -> HpmError:
    """The error that an ending with an exit code stops the runner with."""
    code = finished.ending.exit_code
    kind = next((kind for kind in (Refused, Misconfigured, InUse) if kind.exit_code == code), HpmError)
    hint = "the task was given back" if finished.ending.kind is EndingKind.GIVEN_BACK else ""
    if kind is Refused:
        hint = "; ".join(
            filter(None, [hint, "hpm claude.check says how the agent logs in; mend that and start again"])
        )
    if kind is InUse:
        hint = (
            "the board was told nothing, and what its agent left is kept: hpm worktree.list shows where. End the other "
            "one, or give each host agents of its own"
        )
    error = kind(f"stopped after task {finished.task_id}: {finished.ending.reason}", hint)
    error.exit_code = code
    return error


def say_uncommitted(tools: Toolbox, record: Record) -> None:
    """Say that what an agent left in the checkout itself stays there, now that its task is given back."""
    if not record.in_place or not record.checkout:
        return
    with suppress(HpmError):  # the repository may be gone; a give-back needs none
        if tools.repository.dirty(tools.repository.root):
            root = shlex.quote(str(tools.repository.root))
            tools.ui.note(
                f"what its agent left uncommitted stays in the checkout, and counts as a person's from now on: "
                f"commit, stash or delete it (git -C {root} status)"
            )


def _place(record: Record) -> str:
    if not record.checkout:
        return ", and was not begun"
    branch = f" on {record.branch_name}" if record.branch_name else ""
    if os.path.isdir(record.checkout):
        return f", its work is in {record.checkout}{branch}"
    return f", {record.checkout} is gone, its commits are{branch or ' nowhere'}"


def of_lost(record: Record, repository: Path) -> str:
    """What is left of a task that somebody else has now, and how to get at it; "" if nothing is."""
    said = []
    work = of_record(record)
    if work is not None and work.commit and work.changes:
        on = f" on {work.branch}" if work.branch else ""
        said.append(f"its work is commit {work.commit[:12]}{on} in {repository}")
    if record.salvage:
        restore = shlex.join(
            ["hpm", "worktree.restore", "--ref", str(record.salvage), "--repo", str(repository)]
        )
        said.append(f"its uncommitted work is kept as {record.salvage}: {restore}")
    if record.stays:
        said.append(left_in(record.stays))
    return "; ".join(said)


def vanished(record: Record) -> str | None:
    """Why the task's worktree is not there, and where its commits are; None if it is there or none was made."""
    path = record.worktree_path
    if not path or os.path.lexists(path):
        return None
    branch = (
        f"what was committed is on {record.branch_name}"
        if record.branch_name
        else "nothing leads to its work"
    )
    return f"the worktree of task {record.task_id} is gone: {path}; {branch}"


def is_ours(tools: Toolbox, record: Record) -> bool:
    """Whether the task's worktree is one that we made for it, and not one that `claude.exec --cwd` named."""
    task = int(record.task_id)
    places = {str(tools.worktrees.path_of(task, review=review)) for review in (False, True)}
    return record.worktree_path in places


def way_back(tools: Toolbox, record: Record) -> str:
    """The command that makes the task's vanished worktree again."""
    if is_ours(tools, record) or not record.branch_name:
        return f"hpm worktree.add --agent-id {tools.agent_id}"
    # Forced, for git still knows the one that is gone (git-worktree(1), add -f).
    where = ["git", "-C", str(tools.repository.root), "worktree", "add", "-f"]
    return shlex.join([*where, str(record.worktree_path), str(record.branch_name)])
