"""Where a task is worked: in the checkout itself or in a worktree of its own (docs/design.md, Isolation)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hpm_tools import failpoints
from hpm_tools.errors import CannotCreate, Held, HpmError, NotFound
from hpm_tools.names import is_branch
from hpm_tools.runner import bases, occupancy, own_moves, pickup_gate, report_lines, turns
from hpm_tools.runner.ending import StepProblem
from hpm_tools.runner.turns import key_of
from hpm_tools.text import counted
from hpm_tools.worktree import filters, reachability, submodule_fill
from hpm_tools.worktree.checkout import switch_back
from hpm_tools.worktree.git import Git, MissingObjects
from hpm_tools.worktree.preparing import SetupFailed
from hpm_tools.worktree.repository import CHECKOUT_GUARD
from hpm_tools.worktree.specials import Unsound
from hpm_tools.worktree.status import BrokenIndex
from hpm_tools.worktree.task_key import TaskKey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hpm_tools.board.models import Task
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record

MOST_NAMED = 5
GUARD_PAUSE = 1.0
BEFORE_AGENT_ENDED = ("pre_hook", "workspace", "starting", "working")
"""The steps that an agent may follow on, or in, and what is in its place then may become part of its commits."""
LOOK_ELSEWHERE = 30.0
"""Seconds between looks for another task while the checkout is waited for."""


def _is_clean(tools: Toolbox, task: Task) -> bool:
    """Whether the checkout holds nobody's uncommitted changes or unfinished operation; where it does, that is told."""
    # Without a change, too: in a rebase that stopped to edit, or a merge before its commit, whatever is
    # committed becomes a part of that operation.
    unfinished = reachability.in_progress(tools.repository.common_dir)
    try:
        dirty = tools.repository.dirty(tools.repository.root)
    except BrokenIndex as error:
        # A person's to mend, and a worktree has its own.
        why = f"git cannot look at the checkout ({error.message}; {error.hint})"
        tools.tell("checkout_in_use", task=task.id, text=f"{why}: task {task.id} goes into a worktree")
        return False
    if not unfinished and not dirty:
        return True
    holds = f"a {unfinished} in progress" if unfinished else counted(len(dirty), "uncommitted change")
    tools.tell(
        "checkout_in_use",
        task=task.id,
        text=f"the checkout has {holds}, left alone: task {task.id} goes into a worktree",
    )
    return False


def _is_believed(tools: Toolbox, task: Task) -> bool:
    """Whether the checkout stands where no agent put it while it worked elsewhere; where one did, that is told."""
    doubted = bases.doubted_checkout(tools.state, tools.repository)
    if doubted is None:
        return True
    why, ref = doubted
    tools.tell(
        "checkout_in_use",
        task=task.id,
        text=f"{why}: task {task.id} goes into a worktree; if it is right as it is now: "
        f"{bases.way_out(tools.repository, ref)}",
    )
    return False


def is_in_place(tools: Toolbox, task: Task) -> bool:
    """Whether the task is one for the checkout itself."""
    return tools.role != "qa" and task.complexity == "minor"


def claim_checkout(
    tools: Toolbox,
    task: Task,
    within: float | None = None,
    *,
    has_other: Callable[[], bool] = lambda: False,
) -> bool:
    """Take the checkout for an in-place task, waiting while another agent, or its unfinished work, is in it.

    Called by a runner before the board's lock is taken, so that nobody waits with a locked task; who has
    locked it already waits ``within`` seconds at most. False: use a worktree. Held, once ``has_other()``
    says that there is something else to do meanwhile.
    """
    if not is_in_place(tools, task):
        return False
    if _take_checkout(tools, task.id, within, None, has_other) is not None:
        return False
    if _is_clean(tools, task) and _is_believed(tools, task):
        turns.begin(tools, TaskKey(tools.board_key, task.id, task.created_at))
        return True
    release_checkout(tools)
    return False


class LeftByOthers(Held):
    """The checkout holds files of others', and no agent of this task has begun there yet."""


def reclaim_checkout(tools: Toolbox, record: Record, within: float | None = None) -> None:
    """Take the checkout again for an in-place task that is gone on with.

    Waits while others' uncommitted files are in it, which the task's agent might commit with its own. Raises Held if
    not ``within`` seconds, LeftByOthers.
    """
    if tools.checkout_guard is not None:
        return
    why = _take_checkout(tools, int(record.task_id), within, record)
    if why is not None:
        raise Held(f"{tools.repository.root} is not free: {why}", "try again later")
    left = turns.left_by_others(tools, record)
    if left and record.step in BEFORE_AGENT_ENDED:
        release_checkout(tools)
        if record.snapshot:
            # They came this very moment. An agent began here, so that its task cannot go elsewhere.
            reclaim_checkout(tools, record, within)
            return
        raise LeftByOthers(turns.sentence(tools, record, left), "then try again")
    if not left:
        turns.begin(tools, key_of(record))
        tools.persistence.update(checkout_at=time.time())


def hold_checkout(tools: Toolbox, record: Record) -> Record:
    """`reclaim_checkout` for a runner: what could not begin in the checkout goes into a worktree, as any new task."""
    try:
        reclaim_checkout(tools, record)
    except LeftByOthers as error:
        tools.tell(
            "checkout_in_use",
            task=int(record.task_id),
            text=f"{error.message}; meanwhile task {record.task_id} goes into a worktree",
        )
        step = record.step if record.step == "pre_hook" else "workspace"
        return tools.persistence.update(step=step, in_place=False, checkout=None, checkout_at=None)
    return record


def _take_checkout(
    tools: Toolbox,
    task_id: int,
    within: float | None,
    own: Record | None,
    has_other: Callable[[], bool] = lambda: False,
) -> str | None:
    """Hold the checkout's guard, waiting for it; why it could not be had, or None.

    ``own`` is the record of a task that is gone on with.
    """
    deadline = None if within is None else time.monotonic() + within
    told, ask_at = "", time.monotonic()
    while (why := _try_checkout(tools, own)) is not None:
        if told != why:
            tools.tell("waiting_for_checkout", task=task_id, text=why)
            told = why
        if time.monotonic() >= ask_at:
            if has_other():
                raise Held(f"{why}; another task is taken meanwhile")
            ask_at = time.monotonic() + LOOK_ELSEWHERE
        left = GUARD_PAUSE if deadline is None else deadline - time.monotonic()
        if left <= 0:
            return why
        tools.stop.wait(min(GUARD_PAUSE, left))
        tools.stop.check()
    return None


def _try_checkout(tools: Toolbox, own: Record | None) -> str | None:
    """Take the checkout's guard; why not, if somebody else has the place."""
    guard = tools.repository.guard(CHECKOUT_GUARD)
    if not guard.acquire(wait=0.0):
        return "another agent works in the checkout"
    taken = False
    try:
        why = occupancy.occupant(tools, own)
        if why is None and own is not None and own.snapshot and own.step in BEFORE_AGENT_ENDED:
            left = turns.left_by_others(tools, own)
            why = turns.sentence(tools, own, left) if left else None
        taken = why is None
    finally:
        if not taken:
            guard.release()
    if taken:
        tools.checkout_guard = guard
    return why


def release_checkout(tools: Toolbox) -> None:
    if tools.checkout_guard is not None:
        tools.checkout_guard.release()
        tools.checkout_guard = None


def prepare_place(tools: Toolbox, record: Record) -> dict[str, Any]:
    """Make the place that ``record`` asks for; the fields to journal. StepProblem if it cannot be made."""
    if record.switch_back and not record.in_place:
        _undo_switch(tools, record, record.switch_back)
    try:
        tools.repository.refuse_replaced()
        filters.refuse_unsound(Git(tools.repository.place))
    except Unsound as error:
        # It appeared since the start. Whoever approves it, or takes it out, lets the next task be taken.
        raise StepProblem(error.message, error.hint, unfit=True) from error
    if record.in_place:
        reclaim_checkout(tools, record)
        _bring_back(tools, record, str(tools.repository.root))
        return _in_checkout(tools)
    try:
        occupancy.refuse_inhabited(tools, worktree_of(tools, record), record.run_id)
    except Held as error:
        # Said before anything is made; nobody waits for it with a locked task.
        raise StepProblem(error.message, error.hint) from error
    try:
        fields = _in_worktree(tools, record)
        _bring_back(tools, record, fields["checkout"])
        return fields
    except NotFound as error:
        raise StepProblem(error.message, error.hint, not_here=True) from error
    except Held:
        raise
    except SetupFailed as error:
        tools.stop.check()
        # Not worked in the checkout: an agent without the dependencies would only report that they are missing.
        pickup_gate.setup_failed(tools, error.message)
        raise StepProblem(f"no worktree for task {record.task_id}: {error.message}", error.hint) from error
    except MissingObjects as error:
        # They are missing in the checkout, too; and a branch made there would start from another commit.
        raise StepProblem(f"no worktree for task {record.task_id}: {error.message}", error.hint) from error
    except HpmError as error:
        tools.stop.check()
        return _fall_back(tools, record, error)


def _undo_switch(tools: Toolbox, record: Record, branch: str) -> None:
    """Put the checkout back where it was before a fall-back that was killed halfway: its branch is free then."""
    reclaim_checkout(tools, record)
    before = tools.repository.head(tools.repository.root).branch
    switch_back(tools.repository.root, branch)
    own_moves.note_switch(tools, record, before, branch)
    release_checkout(tools)


def _bring_back(tools: Toolbox, record: Record, checkout: str) -> None:
    """Restore what an earlier attempt at this in-place task left uncommitted and was salvaged."""
    log = tools.log_of(record)
    ref = log.to_restore
    if not ref:
        return
    try:
        tools.worktrees.restore(ref, checkout)
    except HpmError as error:
        tools.ui.warn(f"{ref} could not be restored for task {record.task_id}: {error.message}")
    log.update(to_restore=None)


def worktree_of(tools: Toolbox, record: Record) -> Path:
    """Where the task's worktree is, or would be made."""
    qa = tools.role == "qa"
    return tools.worktrees.path_of(int(record.task_id), review=qa)


def _in_checkout(tools: Toolbox) -> dict[str, Any]:
    head = tools.repository.head(tools.repository.root)
    return {
        "checkout": str(tools.repository.root),
        "checkout_at": time.time(),
        "worktree_path": None,
        "branch_name": head.branch,
        "base": head.commit,
    }


def _in_worktree(tools: Toolbox, record: Record) -> dict[str, Any]:
    task = record.task_data
    branch = task.get("branch")
    tools.worktrees.run_id = record.run_id
    if tools.role == "qa":
        reported = report_lines.read(task.get("notes"))
        named = branch if is_branch(branch) else None
        added = tools.worktrees.add_for_review(key_of(record), commit=reported.commit, branch=named)
        # Named again in qa's own report, which replaces the notes that named it.
        branch = reported.branch
    else:
        base = tools.config.base_ref
        tools.worktrees.believed = bases.believed(tools.state, tools.repository, record.run_id)
        added = tools.worktrees.add_for_task(key_of(record), branch=branch, base=base)
        bases.say_doubted(tools, added.doubted)
        branch = added.branch
    if tools.config.worktree.setup and not added.existed:
        pickup_gate.of_setup(tools).begun()
    if added.refused:
        tools.ui.warn(f"task {record.task_id}: {added.refused}; it works on {added.branch}")
    for said in tools.worktrees.say_set_aside():
        tools.ui.warn(f"task {record.task_id}: {said}")
    for ref, said in tools.worktrees.say_salvaged():
        tools.tell("salvaged", record=record, ref=ref, text=f"task {record.task_id}: {said}")
    _say_missing(tools, int(record.task_id), added.pointers)
    for path in added.unfilled[:MOST_NAMED]:
        tools.ui.warn(
            f"task {record.task_id}: the submodule {path} stays empty, for .git/modules has not its commit "
            f"({submodule_fill.way_to_supply(tools.repository.root, [path])})"
        )
    return {
        "checkout": str(added.path),
        "worktree_path": str(added.path),
        "branch_name": branch,
        "base": added.base,
    }


def _say_missing(tools: Toolbox, task_id: int, pointers: Sequence[str]) -> None:
    if pointers:
        more = f" and {len(pointers) - MOST_NAMED} more" if len(pointers) > MOST_NAMED else ""
        tools.ui.warn(
            f"task {task_id}: {counted(len(pointers), 'large file')} stayed a pointer, for this host has not the "
            f"content: {', '.join(pointers[:MOST_NAMED])}{more} (git lfs fetch --all, run in {tools.repository.root})"
        )


def _fall_back(tools: Toolbox, record: Record, error: HpmError) -> dict[str, Any]:
    """Work in the clean, unheld checkout on the task's branch when no worktree can be made."""
    root = tools.repository.root
    unusable = tools.role == "qa" or tools.repository.dirty(root)
    if unusable or _try_checkout(tools, record if record.switch_back else None) is not None:
        raise StepProblem(f"no worktree for task {record.task_id}: {error.message}", error.hint) from error
    turns.begin(tools, key_of(record))
    # Intent first: killed after the switch, the next start must know where the checkout was.
    before = record.switch_back or tools.repository.head(root).branch
    tools.persistence.update(switch_back=before, checkout_at=time.time())
    try:
        branch = tools.worktrees.switch_checkout(key_of(record), branch=record.task_data.get("branch"))
    except CannotCreate as second:
        release_checkout(tools)
        raise StepProblem(f"no branch for task {record.task_id}: {second.message}", second.hint) from second
    own_moves.note_switch(tools, record, before, branch)
    failpoints.reach("checkout.switched")
    why = f"{error.message}; {error.hint}" if error.hint else error.message
    tools.ui.warn(f"no worktree could be made ({why}); task {record.task_id} is worked in the checkout")
    return {**_in_checkout(tools), "branch_name": branch, "in_place": True, "switch_back": before}
