"""The runner's first step: find what an earlier process of this agent left, and make it ours.

Ownership passes by proof only: a free guard, or a process that is gone (docs/reliability.md, Promises).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.board import lease
from hpm_tools.board.offering import OFFERED, offered_statuses
from hpm_tools.errors import BoardUnreachable, Held, Misconfigured
from hpm_tools.process.identity import ancestors, boot_id
from hpm_tools.process.tree import end_run
from hpm_tools.runner import money, recheck, taking
from hpm_tools.runner.ending import Ending, EndingKind
from hpm_tools.runner.held_up import of_lost
from hpm_tools.runner.orphans import AFTER_REPORT, GRACE, end_leftovers
from hpm_tools.runner.processes import others_with_agent_id
from hpm_tools.runner.telling import tell_lost
from hpm_tools.state import prompts
from hpm_tools.state.persistence import all_records, holder_alive
from hpm_tools.state.record import HAND, CorruptRecord

if TYPE_CHECKING:
    from hpm_tools.board.models import Task
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record

NEXT_STEP = {
    "locking": "pre_task",
    "pre_hook": "pre_task",
    "workspace": "worktree.add",
    "starting": "claude.exec",
    "working": "claude.exec",
    "committing": "finish",
    "detaching": "finish",
    "reporting": "finish",
    "post_hook": "post_task",
    "cleaning": "worktree.remove",
    "unlocking": "unlock",
}
"""For each step of the journal, the command (or the hook) by which a script goes on."""


def take_over(
    tools: Toolbox, *, holder: str, owner_pid: int | None = None, adopt: bool = False
) -> Record | None:
    """Make the holder of this agent's record us, ending what its dead holder left running.

    The caller holds the agent's guard. None: there is nothing to resume. Held: its holder lives, or
    cannot be proven dead and neither ``adopt`` nor the guide's exception applies.
    """
    prompts.withdraw(tools.state, tools.agent_id)
    left = True
    try:
        record = tools.persistence.record()
    except CorruptRecord as error:
        tools.ui.warn(f"{error.message}; rebuilding it from the board")
        _end_lost_run(tools, error.hints.get("run_id"))
        record, left = rebuild(tools, holder=holder, owner_pid=owner_pid), False
    if record is None and adopt:
        record, left = rebuild(tools, holder=holder, owner_pid=owner_pid), False
    if record is None:
        return None
    if left:  # what we have just made names us as its holder
        _refuse_unproven(tools, record, holder, adopt=adopt)
    _refuse_other_repository(tools, record)
    tools.resume_as(record)
    end_leftovers(record)
    failpoints.reach("recovery.ended")
    if not _guard_or_forget(tools, record):
        return None
    fields: dict[str, object] = {"child": None, "step": record.step or "locking"}
    if record.schema is None or not record.board:
        fields |= _fields_of_old_record(tools, record)
    record = tools.persistence.adopt(holder, owner_pid, **fields)
    failpoints.reach("recovery.adopted")
    money.book_again(tools, record)
    return _regain(tools, record)


def _end_lost_run(tools: Toolbox, run_id: str | None) -> None:
    """End what carries the run id that a corrupt record still shows, unless another agent's record has it, too."""
    views = (view for view in all_records(tools.state) if view.agent_id != tools.agent_id)
    if any(view.record is not None and view.record.run_id == run_id for view in views):
        return
    survivors = end_run(None, run_id, boot_id(), GRACE) if run_id else []
    if survivors:
        numbers = ", ".join(map(str, survivors))
        raise Held(f"processes {numbers} of {tools.agent_id}'s lost run cannot be ended", "end them by hand")


def _refuse_other_repository(tools: Toolbox, record: Record) -> None:
    if record.repo and record.step not in AFTER_REPORT and record.repo != str(tools.repository.root):
        raise Misconfigured(
            f"task {record.task_id} was begun in {record.repo}, not in {tools.repository.root}",
            f"start again with --repo {record.repo}, or: hpm unlock --agent-id {tools.agent_id}",
        )


def _guard_or_forget(tools: Toolbox, record: Record) -> bool:
    """Take the task's guard. Where another runner here works on the task by now, the record is history.

    False then, and it is gone. Held if the board still says that the task is this agent's.
    """
    try:
        taking.guard_task(tools, int(record.task_id), record.created_at or "")
    except Held as error:
        task = tools.board.find_task(int(record.task_id))
        if task is not None and task.locked_by == tools.agent_id:
            raise
        left = of_lost(record, tools.repository.root)
        tell_lost(tools, record, f"{error.message}{f'; {left}' if left else ''}")
        tools.persistence.release_lock()
        return False
    return True


def _regain(tools: Toolbox, record: Record) -> Record | None:
    """Make sure that the board's lock is ours before the interrupted step is gone on with.

    The board may have cleared it while nobody registered (30 minutes): free and as we left it, it is
    taken again. A task that is another's now is lost: what was done for it is salvaged, nothing is told.
    """
    try:
        if record.step == "locking":
            return taking.take_lock(tools, record)
        record = recheck.not_lost(tools, record)
        if record.step in AFTER_REPORT:
            record = recheck.back_to_report(tools, record)
        if record.step in AFTER_REPORT:
            return record
        again = taking.regain(tools)
        if again is not None:
            return again
        if record.step in taking.BEFORE_WORK_ENDED:
            lease.confirm(tools.board, lease.of_record(record))
        return record
    except lease.NOT_TAKEN as error:
        if not tools.persistence.is_locked():
            tell_lost(tools, record, error.message)
            return None
        ending = Ending(EndingKind.LOST, error.message)
        return tools.persistence.update(ending=ending.to_json(), step="committing")


def _refuse_unproven(tools: Toolbox, record: Record, new_holder: str, *, adopt: bool) -> None:
    # The caller's own hold of the guard proves that no runner has it, so a runner's guard counts as free.
    life = holder_alive(record, guard_held=False, home=tools.state.home)
    if life == "dead" or (life == "alive" and new_holder == "process" and _is_ours(record)):
        return
    agent = tools.agent_id
    ways_out = f"hpm unlock --agent-id {agent} gives the task back; hpm recover --agent-id {agent} --adopt resumes it"
    if life == "alive":
        raise Held(f"agent {agent} is working on task {record.task_id} (process {record.pid})", ways_out)
    if adopt:
        return
    if record.holder == "unknown" and new_holder == "runner":
        others = others_with_agent_id(agent)
        if not others:
            return
        raise Held(
            f"agent {agent} has an old record of task {record.task_id}, and process {others[0]} names that agent",
            ways_out,
        )
    if record.holder == HAND or not record.host:
        raise Held(f"agent {agent} holds task {record.task_id} by hand", ways_out)
    raise Held(
        f"agent {agent} holds task {record.task_id} on {record.host}, and nothing here proves its {record.holder} dead",
        ways_out,
    )


def _is_ours(record: Record) -> bool:
    """Whether the script that we are called from holds the record: it may ask twice, after an outage say."""
    return record.holder == "process" and int(record.pid or 0) in ancestors()


def _fields_of_old_record(tools: Toolbox, record: Record) -> dict[str, object]:
    """What a record of the earlier runner lacks: it locked, and perhaps worked, without a journal."""
    task = tools.board.find_task(int(record.task_id))
    return {
        **({"task_data": task.to_json()} if task is not None else {}),
        "schema": 1,
        "step": "locking",
        "run_id": os.urandom(16).hex(),
        "board": tools.board_key,
        "board_status_before": _status_before(tools, record),
        "created_at": task.created_at if task is not None else str(record.created_at or ""),
        "role": tools.role,
        "level": tools.level,
        "in_place": False,
    }


def _status_before(tools: Toolbox, record: Record) -> str:
    status = str(record.task_data.get("status") or "created")
    return status if status in OFFERED else lease.status_before(tools.board, int(record.task_id))


def rebuild(tools: Toolbox, *, holder: str, owner_pid: int | None) -> Record | None:
    """A record for the task that the board says is ours, after the local one was lost."""
    task = _held_on_board(tools)
    if task is None:
        tools.persistence.settle_corrupt()
        return None
    before = lease.status_before(tools.board, task.id) if task.status == lease.UNDER_WORK else task.status
    return tools.persistence.lock_task(
        task.to_json(),
        holder=holder,
        owner_pid=owner_pid,
        rebuilt=True,
        step="locking",
        board=tools.board_key,
        board_status_before=before,
        created_at=task.created_at,
        role=tools.role,
        level=tools.level,
        in_place=False,
        executor=tools.config.executor,
    )


def _held_on_board(tools: Toolbox) -> Task | None:
    for status in (lease.UNDER_WORK, *offered_statuses(tools.role)):
        for task in tools.board.tasks(status=status):
            if task.locked_by == tools.agent_id:
                return task
    return None


def warn_of_lost_records(tools: Toolbox) -> None:
    """Say so when the board holds a task for this agent that no record here knows: perhaps another host's."""
    try:
        task = _held_on_board(tools)
    except BoardUnreachable:
        return
    if task is not None:
        tools.ui.warn(
            f"the board says that {tools.agent_id} holds task {task.id} ({task.status}), but there is no record of it "
            f"here: if no other machine runs this agent id, hpm recover --agent-id {tools.agent_id} --adopt resumes it"
        )
