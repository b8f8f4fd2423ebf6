"""Agents that outlived the runner, or the command, that had started them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpm_tools.board.lease import UNDER_WORK
from hpm_tools.errors import Held
from hpm_tools.executor.scratch import remove_forgotten, remove_scratch
from hpm_tools.process.identity import COOKIE
from hpm_tools.process.tree import ProcessRef, all_carriers, end_carriers, end_run
from hpm_tools.runner.sandbox_leftovers import remove_placeholders
from hpm_tools.state.guard import agent_guard
from hpm_tools.state.last_seen import LastSeen
from hpm_tools.state.persistence import all_records, holder_alive
from hpm_tools.state.record import CorruptRecord
from hpm_tools.state.tasklog import ended_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpm_tools.board.models import Task
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record
    from hpm_tools.state.views import RecordView

GRACE = 10.0
AFTER_REPORT = ("post_hook", "cleaning", "unlocking")


def records_of_others(tools: Toolbox, task_id: int, created_at: str | None) -> Iterator[RecordView]:
    """What other agents' records on this host say of the same task of the same board."""
    for view in all_records(tools.state):
        record = view.record
        if record is None or view.agent_id == tools.agent_id or record.task_id != task_id:
            continue
        if (record.board or tools.board_key) == tools.board_key and record.created_at == created_at:
            yield view


def recorded_here(tools: Toolbox, task: Task) -> RecordView | None:
    """A record on this host, of any agent, that has ``task`` and has not been reported yet; None if there is none."""
    for view in all_records(tools.state):
        record = view.record
        if record is None or record.task_id != task.id or record.step in AFTER_REPORT:
            continue
        same_board = (record.board or tools.board_key) == tools.board_key
        if same_board and record.created_at in (None, "", task.created_at):
            return view
    return None


def held_without_record(tools: Toolbox) -> list[Task]:
    """The tasks under work that the board says an agent of this host holds, and of which no record here knows."""
    seen = LastSeen(tools.state, tools.board_key)
    held = [task for task in tools.board.tasks(status=UNDER_WORK) if task.locked_by]
    found = [
        task
        for task in held
        if seen.own(str(task.locked_by)) is not None and recorded_here(tools, task) is None
    ]
    if not found:
        return []
    # Its record may have gone with its report since the board was asked.
    still = {(task.id, task.locked_at) for task in tools.board.tasks(status=UNDER_WORK)}
    return [task for task in found if (task.id, task.locked_at) in still]


def end_others(tools: Toolbox, record: Record) -> None:
    """End what dead holders on this host left running for the task of ``record``, which is ours now.

    The board clears the lock of an agent that is silent for 30 minutes; its program may still be at work.
    Held if one cannot be ended, or if its holder is just being recovered.
    """
    for view in records_of_others(tools, record.task_id, record.created_at):
        guard = agent_guard(tools.state, view.agent_id)
        if view.record is None or not guard.acquire(wait=0.0):
            raise Held(f"task {record.task_id} is held by agent {view.agent_id} on this host")
        try:
            end_leftovers(view.record)
        finally:
            guard.release()


def end_own(tools: Toolbox) -> None:
    """End the agent of this agent id's dead holder, before anything else can go wrong.

    The caller holds the agent's guard. Nothing else is changed; `recovery.take_over` goes on with the record.
    """
    try:
        record = tools.persistence.record()
    except CorruptRecord:
        return
    if record is not None and holder_alive(record, False, tools.state.home) == "dead":
        end_leftovers(record)


def end_of_finished(tools: Toolbox) -> None:
    """End what began for a run of this host after its end: a server that was handed the work may start it late.

    What carries the cookie of a run that was never wound up is left alone: its record may be lost, and its agent at work.
    """
    runs = all_carriers()  # before the records, for a run is recorded before its first process
    runs.pop(os.environ.get(COOKIE, ""), None)
    recorded = {view.record.run_id for view in all_records(tools.state) if view.record is not None}
    unknown = runs.keys() - recorded
    for run_id in sorted(unknown & ended_runs(tools.state)) if unknown else ():
        numbers = ", ".join(str(process.pid) for process in runs[run_id])
        survivors = end_carriers(run_id, GRACE)
        said = "cannot be ended" if survivors else "was ended"
        tools.ui.warn(f"what a run left at work after its end {said}: process {numbers} of the run {run_id}")


def remove_forgotten_scratch(tools: Toolbox) -> None:
    """Remove the temporary directories of runs that are over and that no record here knows."""
    records = (view.record for view in all_records(tools.state))
    remove_forgotten(os.environ, {str(record.run_id) for record in records if record is not None})


def end_leftovers(record: Record) -> None:
    """End the agent of a dead holder and remove what only its own end would have removed.

    Two agents must never work on one task; Held if one cannot be ended.
    """
    if not record.run_id:
        return
    child = record.child or {}
    first = (
        ProcessRef(int(child["pid"]), str(child["start"]))
        if child.get("pid") and child.get("start")
        else None
    )
    survivors = end_run(first, record.run_id, record.boot_id or "", GRACE)
    if survivors:
        raise Held(
            f"processes {', '.join(map(str, survivors))} of task {record.task_id} cannot be ended",
            "end them by hand, then start again",
        )
    remove_scratch(record.run_id, os.environ)
    remove_placeholders(record)
