"""Evidence for a "done" that this process did not judge itself, computed again before the board is told.

A record that was read back may be damaged, or written by an agent with a shell. What can be proved of it is
proved: that its role may report that status, that its agent said so, and that a maker's commits hold work.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpm_tools.board import history, lease
from hpm_tools.board.errors import BadAnswer, InUse
from hpm_tools.errors import CannotCreate, HpmError, Misconfigured
from hpm_tools.executor.verdict import QA, VerdictKind
from hpm_tools.runner import places, policy, turns
from hpm_tools.runner.agents import carried
from hpm_tools.runner.ending import Ending, EndingKind, says_no_change
from hpm_tools.runner.orphans import AFTER_REPORT
from hpm_tools.worktree import reported_work
from hpm_tools.worktree.evidence import Evidence, Snapshot, differs

if TYPE_CHECKING:
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record

NOTHING_DONE = f"{policy.PARKED_BECAUSE[VerdictKind.NOTHING_DONE]}: the record says done, but "


def with_evidence(
    tools: Toolbox, record: Record, ending: Ending, found: Evidence | None
) -> tuple[Ending, dict[str, Any]]:
    """``ending`` as the evidence in the task's place, which ``found`` is if it has a snapshot, allows it; what to journal."""
    if ending.kind is not EndingKind.REPORTED or record.role == QA:
        return ending, {}
    place = Path(record.checkout)
    worked = found.worked if found is not None else differs(place, record.base)
    worked = worked or carried(tools.log_of(record), found.base if found else record.base) is not None
    if says_no_change(record):
        return ending, _not_unchanged(record) if worked else {}
    if worked:
        return ending, {}
    parked = Ending(EndingKind.PARKED, f"{NOTHING_DONE}nothing is changed in {place}")
    return parked, {"ending": parked.to_json()}


def believed(tools: Toolbox, record: Record) -> Record:
    """``record``, which is to be reported, as far as it can be believed.

    Where its ending claims work whose agent this process did not judge itself, and nothing shows it, the task is
    parked, and its record goes back to where what lies in its place is put into git.
    """
    ending = Ending.from_json(record.ending)
    if ending.kind is not EndingKind.REPORTED or tools.judged_run == record.run_id:
        return record
    parked, fields = _look_again(tools, record, ending)
    if parked is None:
        return tools.persistence.update(**fields)
    tools.ui.warn(f"task {record.task_id}: {parked.reason}")
    away = record.switch_back and tools.repository.branch_of() != record.branch_name
    return tools.persistence.update(ending=parked.to_json(), step="reporting" if away else "committing")


def back_to_report(tools: Toolbox, record: Record) -> Record:
    """``record``, which says that its report is over; at its report where the board still has it as our work."""
    ending = Ending.from_json(record.ending) if record.ending else None
    if ending is None or ending.kind is EndingKind.LOST:
        return record
    before = record.board_status_before or lease.DEFAULT_BEFORE
    told = {EndingKind.PARKED: lease.PARKED, EndingKind.GIVEN_BACK: before}.get(ending.kind, ending.status)
    try:
        task = tools.board.find_task(int(record.task_id), status=(told, lease.UNDER_WORK))
    except HpmError:
        return record
    ours = task is not None and task.created_at == record.created_at and task.locked_by == tools.agent_id
    if task is None or task.status != lease.UNDER_WORK or not ours:
        return record
    tools.ui.warn(f"task {task.id}: its record says that it was reported, but the board was never told")
    return tools.persistence.update(step="reporting")


def not_lost(tools: Toolbox, record: Record) -> Record:
    """``record``; one that says that its task was lost, while the board still has it as ours, goes on to be parked.

    Forgotten, the task would stay locked for ever. A twin's task (75) is left to the twin, which has our agent id.
    """
    ending = Ending.from_json(record.ending) if record.ending else None
    if ending is None or ending.kind is not EndingKind.LOST or ending.exit_code == InUse.exit_code:
        return record
    try:
        lease.confirm(tools.board, lease.of_record(record), lease.UNDER_WORK)
    except lease.NOT_TAKEN:
        return record
    why = "its record says that the task was lost, but the board says that it is ours"
    tools.ui.warn(f"task {record.task_id}: {why}")
    parked = Ending(EndingKind.PARKED, why)
    step = "reporting" if record.step in AFTER_REPORT else "committing"
    return tools.persistence.update(ending=parked.to_json(), step=step)


def _look_again(tools: Toolbox, record: Record, ending: Ending) -> tuple[Ending | None, dict[str, Any]]:
    """How a task ends whose record cannot be believed, or None where it can; and what is to be journalled of its work.

    A place of the task may be gone by now: only branches, commits and the board are asked.
    """
    why, commit = _contradiction(tools, record, ending), record.commit
    fields: dict[str, Any] = {}
    if not why and record.role != QA:
        why, commit = _objection(tools, record)
        if says_no_change(record):
            fields = {} if why else _not_unchanged(record)
            why, commit = "", record.commit if why else commit
    # What was told is over, whatever became of the branch since.
    if not why or lease.was_told(tools.board, lease.of_record(record), ending.status):
        return None, {**fields, "commit": commit or record.commit}
    return Ending(EndingKind.PARKED, tools.clean(why)), fields


def _not_unchanged(record: Record) -> dict[str, Any]:
    return {"verdict": {**(record.verdict or {}), "no_change": False}}


def _contradiction(tools: Toolbox, record: Record, ending: Ending) -> str:
    """What the record says that cannot be, or ""."""
    role, kind = record.role or tools.role, (record.verdict or {}).get("kind")
    expected = {VerdictKind.DONE: policy.done_status(role)}
    if role == QA:
        expected[VerdictKind.REJECTED] = policy.REOPENED
    if ending.status not in expected.values():
        return _unproved(ending.status, f"that is not for a {role} to report")
    if kind not in expected or expected[kind] != ending.status:
        said = f"the verdict on its agent is {kind}" if kind else "there is no verdict on any agent of it"
        return _unproved(ending.status, said)
    taken_from = _taken_from(tools, record) if role == QA else None
    if taken_from not in (None, policy.MAKER_DONE):
        return _unproved(ending.status, f"it was {taken_from} when it was taken: nothing for qa")
    return ""


def _unproved(status: str, why: str) -> str:
    return f"its record says {status}, but {why}"


def _taken_from(tools: Toolbox, record: Record) -> str | None:
    """The status from which the board's changelog says that the task was taken; None where it does not say."""
    try:
        rows = history.changes(tools.board, record.created_at).rows
    except BadAnswer:
        return None
    own = (row for row in rows if (row.task_id, row.changed_by) == (record.task_id, tools.agent_id))
    taken = (row.old_status for row in own if row.new_status == lease.UNDER_WORK)
    return next((status for status in taken if status != lease.UNDER_WORK), None)


def _objection(tools: Toolbox, record: Record) -> tuple[str, str | None]:
    """Why the commits of a maker's record show no work, and the commit to report."""
    status = policy.done_status(record.role or tools.role)
    try:
        snapshot = Snapshot.from_json(record.snapshot) if record.snapshot else None
        base = record.base if snapshot is None or snapshot.head is None else str(snapshot.head)
        found = reported_work.look(tools.repository, _claim(tools, record, snapshot, base))
    except (CannotCreate, Misconfigured) as error:
        return _unproved(status, f"its work cannot be looked at: {_told(error)}"), None
    if found.objection == reported_work.UNCHANGED:
        if carried(tools.log_of(record), found.base) is not None:
            return "", found.commit
        return NOTHING_DONE + found.objection, found.commit
    return (_unproved(status, found.objection) if found.objection else ""), found.commit


def _claim(
    tools: Toolbox, record: Record, snapshot: Snapshot | None, base: str | None
) -> reported_work.ClaimedWork:
    own = record.worktree_path == str(places.worktree_of(tools, record)) or record.switch_back is not None
    # By what was done, not by what the record says of it: an agent's run in the checkout always has its marks.
    shared = snapshot is not None and record.worktree_path is None
    return reported_work.ClaimedWork(
        key=turns.key_of(record),
        branch=record.branch_name,
        base=base,
        commit=record.commit,
        known=snapshot.prepared if snapshot and isinstance(snapshot.prepared, dict) else {},
        own_branch=own,
        run_id=record.run_id if shared else None,
        beside=turns.look(tools, record) if shared else None,
    )


def _told(error: HpmError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message
