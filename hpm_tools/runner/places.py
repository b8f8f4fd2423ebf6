"""Where a task is worked: in the checkout itself or in a worktree of its own (DESIGN §5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hpm_tools import failpoints
from hpm_tools.errors import CannotCreate, HpmError, NotFound
from hpm_tools.names import is_branch
from hpm_tools.runner.ending import StepProblem
from hpm_tools.worktree.branches import TaskKey
from hpm_tools.worktree.repository import CHECKOUT_GUARD

if TYPE_CHECKING:
    from hpm_tools.board.models import Task
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record

COMMIT_LINE = re.compile(r"^commit:\s*([0-9a-f]{7,64})\s*$", re.MULTILINE)
BRANCH_LINE = re.compile(r"^branch:\s*(\S+)\s*$", re.MULTILINE)
GUARD_PAUSE = 1.0


def reported_work(notes: str | None) -> tuple[str | None, str | None]:
    """The (branch, commit) that a maker's report names in the task's notes; the last ones count."""
    branches = [name for name in BRANCH_LINE.findall(notes or "") if is_branch(name)]
    commits = COMMIT_LINE.findall(notes or "")
    return (branches[-1] if branches else None, commits[-1] if commits else None)


def wants_checkout(tools: Toolbox, task: Task) -> bool:
    """True if ``task`` is a maker's minor task and the checkout holds nobody's uncommitted changes."""
    if tools.role == "qa" or task.complexity != "minor":
        return False
    dirty = tools.repository.dirty(tools.repository.root)
    if dirty:
        tools.ui.event(
            "checkout_in_use",
            task=task.id,
            text=f"the checkout has {len(dirty)} uncommitted change(s), which are left alone: "
            f"task {task.id} goes into a worktree",
        )
    return not dirty


def claim_checkout(tools: Toolbox, task: Task) -> bool:
    """Take the checkout for an in-place task, waiting while another agent works in it.

    Called before the board's lock is taken, so that nobody waits with a locked task. False: use a worktree.
    """
    if not wants_checkout(tools, task):
        return False
    guard = tools.repository.guard(CHECKOUT_GUARD)
    told = False
    while not guard.acquire(wait=0.0):
        if not told:
            tools.ui.event("waiting_for_checkout", task=task.id, text="another agent works in the checkout")
            told = True
        tools.stop.wait(GUARD_PAUSE)
        tools.stop.check()
    tools.checkout_guard = guard
    if not wants_checkout(tools, task):
        release_checkout(tools)
        return False
    return True


def reclaim_checkout(tools: Toolbox) -> None:
    """Take the checkout again for an in-place task that is being resumed."""
    if tools.checkout_guard is None:
        guard = tools.repository.guard(CHECKOUT_GUARD)
        while not guard.acquire(wait=0.0):
            tools.stop.wait(GUARD_PAUSE)
            tools.stop.check()
        tools.checkout_guard = guard


def release_checkout(tools: Toolbox) -> None:
    if tools.checkout_guard is not None:
        tools.checkout_guard.release()
        tools.checkout_guard = None


def prepare_place(tools: Toolbox, record: Record) -> dict[str, Any]:
    """Make the place that ``record`` asks for; the fields to journal. StepProblem if it cannot be made."""
    if record.in_place:
        reclaim_checkout(tools)
        _bring_back(tools, record)
        return _in_checkout(tools)
    try:
        return _in_worktree(tools, record)
    except NotFound as error:
        raise StepProblem(error.message, error.hint, not_here=True) from error
    except HpmError as error:
        return _fall_back(tools, record, error)


def _bring_back(tools: Toolbox, record: Record) -> None:
    """Restore what an earlier attempt at this in-place task left uncommitted and was salvaged."""
    log = tools.log_of(record)
    ref = log.to_restore
    if not ref:
        return
    try:
        tools.worktrees.restore(ref, tools.repository.root)
    except HpmError as error:
        tools.ui.warn(f"{ref} could not be restored for task {record.task_id}: {error.message}")
    log.update(to_restore=None)


def key_of(record: Record) -> TaskKey:
    """What names the recorded task for good."""
    return TaskKey(record.board or "", int(record.task_id), record.created_at or "")


def _in_checkout(tools: Toolbox) -> dict[str, Any]:
    head = tools.repository.head(tools.repository.root)
    return {
        "checkout": str(tools.repository.root),
        "worktree_path": None,
        "branch_name": head.branch,
        "base": head.commit,
    }


def _in_worktree(tools: Toolbox, record: Record) -> dict[str, Any]:
    task = record.task_data
    branch = task.get("branch")
    if tools.role == "qa":
        reported, commit = reported_work(task.get("notes"))
        named = branch if is_branch(branch) else None
        added = tools.worktrees.add_for_review(key_of(record), commit=commit, branch=named)
        # Named again in qa's own report, which replaces the notes that named it.
        branch = reported
    else:
        added = tools.worktrees.add_for_task(key_of(record), branch=branch, base=tools.config.base_ref)
        branch = added.branch
    return {
        "checkout": str(added.path),
        "worktree_path": str(added.path),
        "branch_name": branch,
        "base": added.base,
    }


def _fall_back(tools: Toolbox, record: Record, error: HpmError) -> dict[str, Any]:
    """Work in the clean, unheld checkout on the task's branch when no worktree can be made."""
    root = tools.repository.root
    guard = tools.repository.guard(CHECKOUT_GUARD)
    if tools.role == "qa" or tools.repository.dirty(root) or not guard.acquire(wait=0.0):
        raise StepProblem(f"no worktree for task {record.task_id}: {error.message}", error.hint) from error
    tools.checkout_guard = guard
    # Intent first: killed after the switch, the next start must know where the checkout was.
    before = record.switch_back or tools.repository.head(root).branch
    tools.persistence.update(switch_back=before)
    try:
        branch = tools.worktrees.switch_checkout(key_of(record), branch=record.task_data.get("branch"))
    except CannotCreate as second:
        release_checkout(tools)
        raise StepProblem(f"no branch for task {record.task_id}: {second.message}", second.hint) from second
    failpoints.reach("checkout.switched")
    tools.ui.warn(
        f"no worktree could be made ({error.message}); task {record.task_id} is worked in the checkout"
    )
    return {**_in_checkout(tools), "branch_name": branch, "in_place": True, "switch_back": before}
