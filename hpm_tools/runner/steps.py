"""The steps of one task, each written so that it may be begun again after any crash.

``record.step`` names the step to be done next: it is written before the step's act and replaced after
it, so that the journal always says what may have happened and what has (docs/design.md, Steps). A step takes the
record and returns it as journalled; what it raises leaves the journal pointing at itself.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpm_tools import failpoints
from hpm_tools.board import lease, twins
from hpm_tools.board.offering import is_offered, would_set_back
from hpm_tools.errors import CannotCreate, Held, HpmError, NotFound
from hpm_tools.hook.runner import task_facts
from hpm_tools.runner import (
    alone,
    interference,
    money,
    occupancy,
    orphans,
    own_moves,
    pickup,
    places,
    policy,
    recheck,
    reports,
    strays,
    taking,
    whereabouts,
)
from hpm_tools.runner.agents import carried
from hpm_tools.runner.ending import Ending, EndingKind, StepProblem, is_no_change
from hpm_tools.runner.placeholders import remove_placeholders
from hpm_tools.runner.telling import outcome_of, run_hook, tell_lost
from hpm_tools.state.pickup import NO_OUTCOME
from hpm_tools.worktree import evidence as git_evidence
from hpm_tools.worktree import submodule_work
from hpm_tools.worktree.checkout import clean_to_head, switch_back
from hpm_tools.worktree.evidence import Snapshot
from hpm_tools.worktree.git import Git
from hpm_tools.worktree.salvage import CannotSalvage, TooMuch, salvage
from hpm_tools.worktree.specials import Unsound

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record

REASON_IN_HOOK = 2000
CannotKeep = (CannotCreate, CannotSalvage, Unsound)
"""What git says of a place that it cannot take in: GitError and its kin."""
NOT_OURS = (lease.LockLost, lease.TaskMoved, NotFound)
"""What the board's answer means where a task is not ours any more, or its lock lapsed."""


def hook_data(tools: Toolbox, record: Record) -> dict[str, Any]:
    """What every hook is told on stdin."""
    return task_facts(
        record.task_data,
        agent_id=tools.agent_id,
        role=record.role,
        worktree_path=record.worktree_path,
        branch=record.branch_name,
        commit=record.commit,
        repo=str(tools.repository.root),
        run_id=record.run_id,
    )


def pre_hook(tools: Toolbox, record: Record) -> Record:
    """Run pre_task; its refusal means that this machine is unfit, never that the task is bad."""
    outcome = run_hook(tools, "pre_task", hook_data(tools, record), record, should_stop=tools.stop.reason)
    tools.stop.check()
    if not outcome.ok:
        raise StepProblem(
            f"the pre_task hook refused task {record.task_id}: {outcome.reason}",
            "mend what it names, then: hpm hooks.run --name pre_task",
            unfit=True,
        )
    return tools.persistence.update(step="workspace")


def workspace(tools: Toolbox, record: Record) -> Record:
    """Make the worktree, or claim the checkout."""
    fields = places.prepare_place(tools, record)
    tools.tell(
        "workspace",
        record=record,
        path=fields["checkout"],
        branch=fields["branch_name"],
        text=f"task {record.task_id}: works in {fields['checkout']}"
        + (f" on {fields['branch_name']}" if fields["branch_name"] else ""),
    )
    return tools.persistence.update(step="starting", **fields)


def starting(tools: Toolbox, record: Record) -> Record:
    """Set under_work and read back once more, immediately before the agent starts; InUse if there is a twin."""
    held = lease.of_record(record)
    alone.refuse_twin(tools)
    lease.begin_work(tools.board, held)
    twins.settle(tools.board, tools.agent_id)
    return tools.persistence.update(step="working")


def committing(tools: Toolbox, record: Record) -> Record:
    """Put what the agent left into git: a commit where the branch is the task's, a salvage ref elsewhere."""
    ending = Ending.from_json(record.ending)
    fields: dict[str, Any] = {"step": "detaching", "work": None, "stays": None}
    snapshot = Snapshot.from_json(record.snapshot) if record.snapshot else None
    replaced = git_evidence.replaced_by_link(snapshot) if snapshot else None
    record = strays.settle(tools, record)
    if replaced is not None and ending.kind is not EndingKind.LOST:
        reason = tools.clean(f"{replaced}, while the agent worked")
        fields["ending"] = Ending(EndingKind.PARKED, reason).to_json()
    elif record.checkout and Path(record.checkout).is_dir():
        kept = _keep_or_leave(tools, record, ending)
        # What was found outside the place is the task's salvage where the place itself left none.
        fields |= kept if kept.get("salvage") else {**kept, "salvage": record.salvage}
    if snapshot:
        with suppress(HpmError):  # an agent may have taken the repository away
            snapshot.release()
    return tools.persistence.update(**fields)


def _keep_or_leave(tools: Toolbox, record: Record, ending: Ending) -> dict[str, Any]:
    # Twice: files may still have been changing, or a git of the agent's just ending.
    try:
        return _keep_work(tools, record, ending)
    except TooMuch as error:
        return _left_as_it_is(tools, record, ending, error)
    except CannotKeep:
        tools.stop.wait(1.0)
    try:
        return _keep_work(tools, record, ending)
    except CannotKeep as error:
        return _left_as_it_is(tools, record, ending, error)


def _left_as_it_is(tools: Toolbox, record: Record, ending: Ending, error: HpmError) -> dict[str, Any]:
    """Park a task whose work git cannot take in, its place untouched: the next task may fare better."""
    reason = f"its work stays in {record.checkout}, because git cannot keep it: {error.message}"
    tools.ui.warn(f"task {record.task_id}: {reason}")
    if ending.kind is not EndingKind.LOST:
        ending = Ending(EndingKind.PARKED, tools.clean(reason))
    return {"step": "reporting", "ending": ending.to_json(), "stays": record.checkout}


def _keep_work(tools: Toolbox, record: Record, ending: Ending) -> dict[str, Any]:
    place = Path(record.checkout)
    remove_placeholders(record)
    bounds = tools.bounds()
    snapshot = Snapshot.from_json(record.snapshot) if record.snapshot else None
    found = own_moves.evidence(tools, record, bounds) if snapshot else None
    own_branch = record.worktree_path and record.role != "qa"
    fields: dict[str, Any] = {}
    if found is not None:
        record = interference.note(tools, record, found)
    if found is not None and found.moved_by_someone and record.role != "qa":
        saved = salvage(place, agent_id=tools.agent_id, task_id=record.task_id, bounds=bounds)
        parked = Ending(EndingKind.PARKED, f"{found.moved_by_someone} while the agent worked")
        ending = parked if ending.kind is not EndingKind.LOST else ending
        return {**fields, "salvage": saved, "ending": ending.to_json()}
    if found is not None and found.submodules:
        return {**fields, **_keep_submodules(tools, record, found.submodules, ending)}
    ending, more = recheck.with_evidence(tools, record, ending, found)
    fields |= more
    done = ending.kind is EndingKind.REPORTED
    clean = found is not None and not found.dirty and found.unfinished is None
    keeps = ending.kind is not EndingKind.LOST and bool(own_branch or (record.in_place and done))
    if keeps and not clean:
        made = git_evidence.commit_leftovers(
            place,
            reports.commit_message(record, finished=done, secrets=tools.secrets),
            snapshot.prepared if snapshot else None,
            bounds,
        )
        if snapshot is not None:
            own_moves.note(tools, record, git_evidence.own_moves(snapshot, made))
        if made is None and not done:
            # Conflicts, say: kept now, while it can still be told where.
            fields["salvage"] = salvage(place, agent_id=tools.agent_id, task_id=record.task_id, bounds=bounds)
    elif not clean and tools.repository.dirty(place):
        fields["salvage"] = salvage(place, agent_id=tools.agent_id, task_id=record.task_id, bounds=bounds)
        if record.in_place:
            # Journalled first: once the checkout is clean nothing else leads to it.
            tools.persistence.update(salvage=fields["salvage"])
            tools.log_of(record).update(to_restore=fields["salvage"])
            clean_to_head(place)
            failpoints.reach("checkout.cleaned")
    if record.role == "qa":
        # What was judged, wherever the agent left its HEAD.
        return {**fields, "commit": record.base}
    commit, branch = (found.head, found.branch) if found and clean else tools.repository.head(place)
    return {**fields, "commit": commit, "branch_name": record.branch_name or branch}


def _keep_submodules(tools: Toolbox, record: Record, paths: Sequence[str], ending: Ending) -> dict[str, Any]:
    """Salvage what was done inside submodules, which no commit of the task's branch can hold, and park the task."""
    place, git = Path(record.checkout), Git(Path(record.checkout))
    agent, task = tools.agent_id, int(record.task_id)
    said = [submodule_work.keep(git, path, agent_id=agent, task_id=task) for path in paths]
    saved = salvage(place, agent_id=agent, task_id=task)
    if ending.kind is not EndingKind.LOST:
        ending = Ending(EndingKind.PARKED, f"{' '.join(said)} while the agent worked")
    return {"salvage": saved, "ending": ending.to_json()}


def detaching(tools: Toolbox, record: Record) -> Record:
    """Free the branch before the report, for a report wakes the next agent at once."""
    if record.worktree_path and Path(record.worktree_path).is_dir():
        tools.worktrees.detach(Path(record.worktree_path))
        failpoints.reach("worktree.detached")
    elif record.in_place and record.switch_back:
        try:
            before = tools.repository.head(Path(record.checkout)).branch
            switch_back(Path(record.checkout), record.switch_back)
            failpoints.reach("checkout.switched_back")
            own_moves.note_switch(tools, record, record.branch_name, before, record.switch_back)
        except CannotCreate as error:
            tools.ui.warn(f"{record.checkout} stays on {record.branch_name}: {error.message}")
    return tools.persistence.update(step="reporting")


def reporting(tools: Toolbox, record: Record) -> Record:
    """Tell the board how it ended, once: the board is read before anything is repeated."""
    record = recheck.believed(tools, record)
    if record.step != "reporting":
        return record
    ending = _never_back(record, Ending.from_json(record.ending))
    if record.work is None:
        # Once: a comment that was made just before a crash is known again by its words.
        record = tools.persistence.update(work=whereabouts.look(tools, record).to_json())
    # The report unlocks the task, which a beat in between would take for a loss.
    tools.end_heartbeat()
    try:
        _tell_under_lock(tools, record, ending)
    except NOT_OURS as error:
        tell_lost(tools, record, error.message)
        ending = Ending(EndingKind.LOST, error.message)
    _mind(tools, record, ending)
    return tools.persistence.update(step="post_hook", ending=ending.to_json())


def _never_back(record: Record, ending: Ending) -> Ending:
    """``ending``, or giving the task back where it would undo what others reported of the task before us.

    That is only so for a task that was not offered to this role: `lock --force` or an earlier version took it.
    """
    before = record.board_status_before or lease.DEFAULT_BEFORE
    ends_as = {EndingKind.PARKED: lease.PARKED, EndingKind.REPORTED: ending.status}.get(ending.kind, before)
    role = record.role or ""
    if is_offered(before, str(record.task_data.get("target_role") or role), role):
        return ending
    if not would_set_back(before, ends_as):
        return ending
    reason = f"it was {before} when it was taken, so it is not set to {ends_as} ({ending.reason})"
    return Ending(EndingKind.GIVEN_BACK, reason)


def _tell_under_lock(tools: Toolbox, record: Record, ending: Ending) -> None:
    """Tell the board; where its lock had merely lapsed it is taken again first, once."""
    try:
        _tell(tools, record, ending, lease.of_record(record))
    except NOT_OURS as error:
        again = taking.regain_or_none(tools, record, error.message)
        if again is None:
            raise
        _tell(tools, again, ending, lease.of_record(again))


def _mind(tools: Toolbox, record: Record, ending: Ending) -> None:
    """Remember beyond the record's life what keeps this task from being taken again at once, or in vain."""
    log = tools.log_of(record)
    if ending.kind is not EndingKind.LOST:
        money.remember_session(log, record, ending.reason)
    if ending.kind is EndingKind.REPORTED:
        log.update(carried=None, to_restore=None)
    elif record.role != "qa" and _left_work(tools, record):
        base = whereabouts.began_with(tools, record)
        log.update(carried={"commit": record.commit, "reason": ending.reason, "base": base})
    if ending.elsewhere:
        log.update(elsewhere=taking.reported_where(taking.task_of(record)))
    elif ending.skip:
        task = tools.board.find_task(int(record.task_id))
        if task is not None:
            log.update(skip={"reason": ending.reason, "updated_at": task.updated_at})
    elif ending.kind is EndingKind.GIVEN_BACK:
        # Offered again at once, and perhaps given back at once again: not in a hot loop.
        times = int(log.given_back or 0)
        wait = policy.let_others_pass if ending.unfit or ending.pauses else policy.back_off
        until = time.time() + wait(times, tools.config.retry_pause)
        log.update(given_back=times + 1, skip={"reason": ending.reason, "until": until})
    elif ending.kind is EndingKind.PARKED:
        # A person looks at it before it comes back, so its attempts count anew.
        log.update(failures=0, given_back=0)


def _left_work(tools: Toolbox, record: Record) -> bool:
    """Whether the commits of this take, or of those that it went on with, hold anything."""
    if record.commit in (None, record.base):
        return False
    tree, before = (tools.repository.tree(commit) for commit in (record.commit, record.base))
    return tree != before or carried(tools.log_of(record), record.base) is not None


def _tell(tools: Toolbox, record: Record, ending: Ending, held: lease.Lease) -> None:
    task_id = record.task_id
    match ending.kind:
        case EndingKind.LOST:
            return
        case EndingKind.GIVEN_BACK:
            status = lease.give_back(tools.board, held, record.board_status_before)
            if ending.pauses == NO_OUTCOME:
                pickup.comment_on(tools, record, ending)
            tools.tell(
                "given_back",
                record=record,
                status=status,
                reason=ending.reason,
                **outcome_of(record),
                text=f"task {task_id} given back: {ending.reason}{whereabouts.beside(record)}",
            )
        case EndingKind.PARKED:
            lease.park(
                tools.board, held, reports.parked_comment(tools.agent_id, record, ending, tools.secrets)
            )
            tools.tell(
                "parked",
                record=record,
                reason=ending.reason,
                **outcome_of(record),
                text=f"task {task_id} parked: {ending.reason}; {whereabouts.words(record)}",
            )
        case EndingKind.REPORTED:
            lease.report(tools.board, held, ending.status, reports.notes(record, ending, tools.secrets))
            unchanged = is_no_change(record)
            tools.tell(
                "reported",
                record=record,
                status=ending.status,
                branch=None if unchanged else record.branch_name,
                commit=None if unchanged else record.commit,
                **outcome_of(record),
                text=f"task {task_id} is {ending.status}" + (", no change" if unchanged else ""),
            )


def post_data(tools: Toolbox, record: Record) -> dict[str, Any]:
    """What post_task is told on stdin: how the task ended, too."""
    ending = Ending.from_json(record.ending)
    verdict = record.verdict or {}
    return {
        **hook_data(tools, record),
        "success": ending.kind is EndingKind.REPORTED,
        "ending": str(ending.kind),
        "status": ending.status,
        "reason": ending.reason[:REASON_IN_HOOK],
        "no_change": is_no_change(record),
        "verdict": verdict.get("kind"),
        "cost_usd": verdict.get("cost_usd"),
        "seconds": reports.seconds_since_taken(record),
    }


def post_hook(tools: Toolbox, record: Record) -> Record:
    """Run post_task, which may fail without consequence."""
    outcome = run_hook(tools, "post_task", post_data(tools, record), record)
    if not outcome.ok:
        tools.ui.warn(f"the post_task hook failed for task {record.task_id}: {outcome.reason}")
    return tools.persistence.update(step="cleaning")


def cleaning(tools: Toolbox, record: Record) -> Record:
    """Remove the worktree, salvaging first whatever no commit keeps."""
    if record.worktree_path:
        _remove_worktree(tools, record, Path(record.worktree_path))
    _remove_forgotten(tools, record)
    places.release_checkout(tools)
    return tools.persistence.update(step="unlocking")


def _remove_forgotten(tools: Toolbox, record: Record) -> None:
    """Remove what a runner of this task left that was killed after its report and found the task taken since.

    We hold the task's guard, so nobody on this host is at work there.
    """
    if any(orphans.records_of_others(tools, int(record.task_id), record.created_at)):
        return
    for found in tools.worktrees.list():
        own = str(found.path) == record.worktree_path
        if found.key is not None and found.key == places.key_of(record) and not own:
            _remove_worktree(tools, record, found.path)


def _remove_worktree(tools: Toolbox, record: Record, path: Path) -> None:
    # Also where nothing stands any more: a removal that was killed leaves its registration, or its trash.
    try:
        occupancy.refuse_inhabited(tools, path, record.run_id)
    except Held as error:
        tools.ui.warn(f"{path} stays: {error.message}")
        return
    try:
        removed = tools.worktrees.remove(path, agent_id=tools.agent_id)
    except NotFound as error:
        tools.ui.warn(f"{path} stays: {error.message}")
        return
    if removed.salvage:
        tools.tell(
            "salvaged",
            record=record,
            ref=removed.salvage,
            text=f"task {record.task_id}: what was left uncommitted is kept as {removed.salvage}",
        )
    if removed.kept_because:
        tools.ui.warn(f"{path} stays: {removed.kept_because}")


def unlocking(tools: Toolbox, record: Record) -> Record:
    """Let go of the record and the guards."""
    own_moves.forget(tools, record)
    tools.log_of(record).note(ended_runs=record.run_id)
    taking.drop(tools)
    return record


STEPS: dict[str, Callable[[Toolbox, Record], Record]] = {
    "locking": taking.take_lock,
    "pre_hook": pre_hook,
    "workspace": workspace,
    "starting": starting,
    "committing": committing,
    "detaching": detaching,
    "reporting": reporting,
    "post_hook": post_hook,
    "cleaning": cleaning,
    "unlocking": unlocking,
}
"""Every step but ``working``, which the runner loops over and `claude.exec` does once."""
