"""The steps of one task, each written so that it may be begun again after any crash.

``record.step`` names the step to be done next: it is written before the step's act and replaced after
it, so that the journal always says what may have happened and what has (docs/design.md, Steps). A step takes the
record and returns it as journalled; what it raises leaves the journal pointing at itself.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpm_tools import failpoints
from hpm_tools.board import lease, twins
from hpm_tools.config.model import DAY
from hpm_tools.errors import CannotCreate, Held, HpmError, NotFound
from hpm_tools.hook import hints
from hpm_tools.hook.runner import task_facts
from hpm_tools.runner import (
    alone,
    interference,
    occupancy,
    orphans,
    own_moves,
    places,
    recheck,
    reports,
    taking,
    turns,
    work_outside,
)
from hpm_tools.runner.ending import Ending, EndingKind, StepProblem, is_no_change
from hpm_tools.runner.noted import TAMPERING
from hpm_tools.runner.report_step import reporting
from hpm_tools.runner.sandbox_leftovers import remove_placeholders
from hpm_tools.runner.telling import run_hook
from hpm_tools.worktree import clones, displaced, pruning, submodule_work
from hpm_tools.worktree import evidence as git_evidence
from hpm_tools.worktree.checkout import clean_to_head, switch_back
from hpm_tools.worktree.evidence import Snapshot
from hpm_tools.worktree.git import Git
from hpm_tools.worktree.place import NoCheckout
from hpm_tools.worktree.salvage import CannotSalvage, TooMuch, salvage
from hpm_tools.worktree.specials import Unsound

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record
    from hpm_tools.worktree.bounds import Bounds

REASON_IN_HOOK = 2000
CannotKeep = (CannotCreate, CannotSalvage, NoCheckout, Unsound)
"""What git says of a place that it cannot take in: GitError and its kin."""


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
            hints.mend(tools.config, outcome),
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
    other_git = displaced.git_replaced(snapshot) if snapshot else None
    if other_git is not None:
        return _leave_with(tools, record, ending, other_git)
    replaced = displaced.replaced_by_link(snapshot) if snapshot else None
    back = displaced.put_back(snapshot) if snapshot and replaced is None else None
    record = TAMPERING.note(tools, record, [back] if back else [])
    record = work_outside.settle(tools, record)
    if replaced is not None and ending.kind is not EndingKind.LOST:
        reason = tools.clean(f"{replaced}, while the agent worked")
        fields["ending"] = Ending(EndingKind.PARKED, reason).to_json()
        fields["stays"] = displaced.moved_to(snapshot) if snapshot else None
    elif record.checkout and Path(record.checkout).is_dir():
        kept = _keep_or_leave(tools, record, ending)
        # What was found outside the place is the task's salvage where the place itself left none.
        fields |= kept if kept.get("salvage") else {**kept, "salvage": record.salvage}
    elif record.checkout and ending.kind is EndingKind.REPORTED and record.role != "qa":
        # The agent's word was about files that nobody can look at any more.
        parked = Ending(EndingKind.PARKED, f"{record.checkout} was removed while the agent worked")
        fields["ending"] = parked.to_json()
    if snapshot:
        with suppress(HpmError):  # an agent may have taken the repository away
            snapshot.release()
    return tools.persistence.update(**fields)


def _leave_with(tools: Toolbox, record: Record, ending: Ending, why: str) -> Record:
    """Park a task whose repository was replaced: what git keeps there now is gone as soon as the right one is back."""
    record = TAMPERING.note(tools, record, [why])
    if ending.kind is not EndingKind.LOST:
        ending = Ending(EndingKind.PARKED, tools.clean(f"while the agent worked, {why}"))
    stays = record.checkout if Path(record.checkout).is_dir() else None
    return tools.persistence.update(step="reporting", work=None, ending=ending.to_json(), stays=stays)


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
    told = error.hint == error.usual_hint or error.hint in error.message
    way_out = "" if told else f" ({error.hint})"
    reason = f"its work stays in {record.checkout}, because git cannot keep it: {error.message}{way_out}"
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
    # Else what lies in the checkout is another task's, or a person's, who had it since.
    ours = not record.in_place or not turns.left_by_others(tools, record)
    made: str | None = None
    fields: dict[str, Any] = {}
    if found is not None:
        record = interference.note(tools, record, found)
    if found is not None and found.moved_by_someone and record.role != "qa":
        saved = _salvage(tools, record, bounds) if ours else None
        parked = Ending(EndingKind.PARKED, f"{found.moved_by_someone} while the agent worked")
        ending = parked if ending.kind is not EndingKind.LOST else ending
        # A person is at work there: what may be theirs as well is not taken out of the checkout.
        stays = record.checkout if saved and record.in_place else None
        return {**fields, "salvage": saved, "stays": stays, "ending": ending.to_json()}
    if found is not None and found.submodules:
        return {**fields, **_keep_submodules(tools, record, found.submodules, ending)}
    ending, more = recheck.with_evidence(tools, record, ending, found)
    fields |= more
    clean = found is not None and not found.dirty and found.unfinished is None
    done = ending.kind is EndingKind.REPORTED
    if done and ours and not clean and (own_branch or record.in_place):
        # No commit can hold such a state, so that what is reported would lack it.
        why = git_evidence.unresolved(place)
        if why is not None:
            done, ending = False, Ending(EndingKind.PARKED, tools.clean(f"{why} while the agent worked"))
            fields["ending"] = ending.to_json()
    keeps = ending.kind is not EndingKind.LOST and bool(own_branch or (record.in_place and done))
    if not ours:
        clean = True
    elif keeps and not clean:
        before = tools.repository.head(place)
        made = git_evidence.commit_leftovers(
            place,
            reports.commit_message(record, finished=done, secrets=tools.secrets),
            snapshot.prepared if snapshot else None,
            bounds,
        )
        if snapshot is not None:
            runs = own_moves.together(tools, record, snapshot).run_ids
            own_moves.note(tools, record, git_evidence.own_moves(snapshot, made, runs))
        elif made is not None:
            own_moves.note_commit(tools, record, before, made)
        if made is None and not done:
            # Conflicts, say: kept now, while it can still be told where.
            fields["salvage"] = _salvage(tools, record, bounds)
    elif not clean and tools.repository.dirty(place):
        fields["salvage"] = _salvage(tools, record, bounds)
        if record.in_place:
            _clean_checkout(tools, record, fields["salvage"])
    if found is not None and snapshot is not None and clones.inside(snapshot, found.dirty):
        fields["stays"] = record.checkout  # nothing but the directory itself keeps a repository inside
    if record.role == "qa":
        # What was judged, wherever the agent left its HEAD.
        return {**fields, "commit": record.base}
    commit, branch = (found.head, found.branch) if found and clean else tools.repository.head(place)
    if snapshot is not None and (work := turns.look(tools, record)) is not None:
        # HEAD may be where another task's runner put it, after this one was killed.
        own = work.commits[-1] if work.commits else None if work.changed else snapshot.head
        commit = made or own or commit
    return {**fields, "commit": commit, "branch_name": record.branch_name or branch}


def _salvage(tools: Toolbox, record: Record, bounds: Bounds) -> str | None:
    place = Path(record.checkout)
    return salvage(place, agent_id=tools.agent_id, task_id=record.task_id, bounds=bounds)


def _keep_submodules(tools: Toolbox, record: Record, paths: Sequence[str], ending: Ending) -> dict[str, Any]:
    """Salvage what was done inside submodules, which no commit of the task's branch can hold, and park the task."""
    place, git = Path(record.checkout), Git(Path(record.checkout))
    agent, task = tools.agent_id, int(record.task_id)
    said = [submodule_work.keep(git, path, agent_id=agent, task_id=task) for path in paths]
    unseen = any(submodule_work.holds_files(git, path) for path in paths)
    saved = None
    if unseen and record.worktree_path:
        # Archived now, as its removal would, while it can still be told where.
        saved = tools.worktrees.keep(place, agent_id=agent).salvage
    saved = saved or salvage(place, agent_id=agent, task_id=task)
    if ending.kind is not EndingKind.LOST:
        ending = Ending(EndingKind.PARKED, f"{' '.join(said)} while the agent worked")
    fields: dict[str, Any] = {"salvage": saved, "ending": ending.to_json()}
    if record.in_place:
        _clean_checkout(tools, record, saved)
        if unseen or tools.repository.dirty(place):
            fields["stays"] = record.checkout  # git resets and removes nothing inside a submodule
    return fields


def _clean_checkout(tools: Toolbox, record: Record, saved: str | None) -> None:
    """Put the shared checkout back to its HEAD, for what was uncommitted there is ``saved``."""
    # Journalled first: once the checkout is clean nothing else leads to it.
    tools.persistence.update(salvage=saved)
    tools.log_of(record).update(to_restore=saved)
    clean_to_head(Path(record.checkout))
    failpoints.reach("checkout.cleaned")


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
        hint = hints.mend(tools.config, outcome)
        tools.ui.warn(f"the post_task hook failed for task {record.task_id}: {outcome.reason} ({hint})")
    return tools.persistence.update(step="cleaning")


def cleaning(tools: Toolbox, record: Record) -> Record:
    """Remove the worktree, salvaging first whatever no commit keeps."""
    if record.worktree_path:
        _remove_worktree(tools, record, Path(record.worktree_path))
    _remove_forgotten(tools, record)
    if days := tools.config.worktree.archive_days:
        pruning.delete_expired(tools.repository.git, days * DAY)
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
        if found.key is not None and found.key == turns.key_of(record) and not own:
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
    if removed.archive and Ending.from_json(record.ending).kind is EndingKind.REPORTED:
        pruning.note_finished(removed.archive)
    if removed.kept_because:
        told = removed.way_out in removed.kept_because
        way_out = "" if told else f" ({removed.way_out})"
        tools.ui.warn(f"{path} stays: {removed.kept_because}{way_out}")


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
