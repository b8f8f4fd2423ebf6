"""What an agent made outside its place, on the way to the report: brought home, kept, named, and tidied up.

Looked for twice: before a run is called "no changes", and while its leftovers are put into git. What was there
before the run stands in the record, so a runner that takes over finds the same.
"""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools.errors import HpmError, Interrupted
from hpm_tools.executor.verdict import VerdictKind
from hpm_tools.runner import occupancy, own_moves, turns
from hpm_tools.runner.noted import OUTSIDE
from hpm_tools.text import counted, one_line
from hpm_tools.worktree import clones, hidden, homecoming
from hpm_tools.worktree.copies import Copies
from hpm_tools.worktree.displaced import git_replaced
from hpm_tools.worktree.evidence import Snapshot
from hpm_tools.worktree.git import Git
from hpm_tools.worktree.repository import CHECKOUT_GUARD
from hpm_tools.worktree.strays import Around, Strays, find, path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record
    from hpm_tools.worktree.evidence import Evidence
    from hpm_tools.worktree.removal import Removed
    from hpm_tools.worktree.strays import Stash, StrayWorktree

MOST_FILES = 10


def around(tools: Toolbox, record: Record) -> dict[str, object]:
    """What lies around the record's place before its agent is started, for the record."""
    place = Git(Path(record.checkout)).place
    return Around.look(place, tools.repository.place).to_json()


def resolve(
    tools: Toolbox, record: Record, found: Evidence, *, no_change: bool
) -> tuple[Record, Evidence, str]:
    """Where nothing changed in the task's place: look for its work elsewhere, and bring it home if that is plain.

    The evidence as it is now, and where the work is that could not be brought home ("" if there is none). Where the agent
    says that ``no_change`` was needed, stash entries that it dropped and repositories of its own are no work.
    """
    strays = _find(tools, record, dropped=not no_change)
    snapshot = Snapshot.from_json(record.snapshot) if strays is not None and not no_change else None
    own = _own(snapshot, found) if snapshot is not None else []
    if strays is None or not (strays.work or own):
        return record, found, ""
    place = Path(record.checkout)
    still = not own and found.moved_by_someone is None and found.unfinished is None and not found.dirty
    if still and found.branch is not None and place.is_dir():
        git = Git(place)
        branch = homecoming.only_branch(git, strays)
        if branch is not None and homecoming.fast_forward(git, branch):
            said = f"the agent worked on {branch}, which {found.branch} was moved forward to"
            record = OUTSIDE.note(tools, record, [said])
            return record, own_moves.evidence(tools, record), ""
    return record, found, f"the work is in {_listed([*strays.work, *own])}"


def _own(snapshot: Snapshot, found: Evidence) -> list[str]:
    """Repositories that the agent made, and files that git ignores since it changed the rules, in words."""
    repositories = [*clones.inside(snapshot, found.dirty), *clones.beside(snapshot)]
    said = [f"the repository {path}, which is its own" for path in repositories]
    if snapshot.place.root.is_dir() and found.moved_by_someone is None:
        copies = Copies(Path(snapshot.copies) if snapshot.copies else None)
        ignored = hidden.ignored_since(Git(snapshot.place), snapshot.marks, copies)
        said += [f"{path}, which git ignores since info/exclude was changed" for path in ignored]
    return said


def settle(tools: Toolbox, record: Record) -> Record:
    """Keep with the task, and name, what the agent made outside its place; remove the worktrees that it made.

    Safe to repeat. What fails is told and stops nothing: the task's own work is to be kept, too.
    """
    try:
        tools.worktrees.sweep()
        misplaced = (record.verdict or {}).get("kind") == VerdictKind.MISPLACED
        found = _find(tools, record, dropped=misplaced)
        return record if found is None else _settle(tools, record, found)
    except Interrupted:
        raise
    except HpmError as error:
        return OUTSIDE.note(tools, record, [f"not all could be looked for: {error.message}"])


def _find(tools: Toolbox, record: Record, *, dropped: bool) -> Strays | None:
    before = Around.from_json(record.around)
    if before is None or not record.snapshot:
        return None
    snapshot = Snapshot.from_json(record.snapshot)
    if git_replaced(snapshot) is not None:
        return None
    return find(snapshot, before, tools.repository.place, dropped=dropped)


def _kept(tools: Toolbox, record: Record, keep: Callable[[], str | None]) -> str:
    """Where ``keep`` put it, in words; a task whose work is nowhere else has it as its salvage."""
    try:
        ref = keep()
    except Interrupted:
        raise
    except HpmError as error:
        return f", not salvaged: {error.message}"
    if ref is None:
        return ""
    if (record.verdict or {}).get("kind") == VerdictKind.MISPLACED and not _now(tools, record).salvage:
        tools.persistence.update(salvage=ref)
    return f", kept as {ref}"


def _settle(tools: Toolbox, record: Record, found: Strays) -> Record:
    agent, task, git = tools.agent_id, int(record.task_id), tools.repository.git
    # The inner ones first: a worktree goes only when no other is inside.
    for worktree in sorted(found.worktrees, key=lambda one: -len(one.registration.path.parts)):
        record = _take_away(tools, record, worktree)
    said = [str(branch) for branch in found.branches]
    for stash in found.stashes:
        if stash.operators:
            said.append(_give_back(tools, record, stash))
        elif stash.sure:
            keep = partial(homecoming.keep_stash, git, stash, agent_id=agent, task_id=task)
            said.append(f"{stash}{_kept(tools, record, keep)}")
        else:
            said.append(f"{stash}, made meanwhile, perhaps by somebody else")
    if found.commits:
        head = Snapshot.from_json(record.snapshot).head
        keep_all = partial(homecoming.keep_commits, git, found.commits, head, agent_id=agent, task_id=task)
        ids = ", ".join(commit[:12] for commit in found.commits)
        said.append(
            f"{counted(len(found.commits), 'commit')} on no branch ({ids}){_kept(tools, record, keep_all)}"
        )
    for held in found.held:
        # Whoever deletes the ref, as what is told of it says, is to lose nothing.
        head = Snapshot.from_json(record.snapshot).head
        keep_it = partial(homecoming.keep_commits, git, [held.commit], head, agent_id=agent, task_id=task)
        said.append(f"{held}{_kept(tools, record, keep_it)}")
    if found.files and not _others_in_checkout(tools):
        named = ", ".join(path_of(line) for line in found.files[:MOST_FILES])
        more = f" and {len(found.files) - MOST_FILES} more" if len(found.files) > MOST_FILES else ""
        said.append(
            f"uncommitted in {tools.repository.root} since it began, left alone: {named}{more} (its own, or yours)"
        )
    return OUTSIDE.note(tools, _now(tools, record), said)


def _take_away(tools: Toolbox, record: Record, worktree: StrayWorktree) -> Record:
    """Remove a worktree that the agent made; one that may be somebody else's, or holds what cannot be kept, stays."""
    path = worktree.registration.path
    if not worktree.proved:
        said = f"{worktree}, made meanwhile and left alone: git worktree remove {path} takes it away"
        return OUTSIDE.note(tools, record, [said])

    def journal(kept: Removed) -> None:
        # Before it goes: a runner that takes over does not find it any more.
        now = _now(tools, record)
        if not any(sentence.startswith(worktree.name) for sentence in OUTSIDE.of(now)):
            OUTSIDE.note(tools, now, [f"{worktree}{_kept(tools, now, lambda: kept.salvage)}"])

    try:
        occupancy.refuse_inhabited(tools, path, record.run_id)
        removed = tools.worktrees.remove_made_by_agent(
            worktree.registration, turns.key_of(record), journal, agent_id=tools.agent_id
        )
        why, way_out = removed.kept_because, removed.way_out
    except Interrupted:
        raise
    except HpmError as error:
        why, way_out = error.message, error.hint
    if why is None:
        return _now(tools, record)
    return OUTSIDE.note(
        tools, _now(tools, record), [f"{path} stays: {why}" + (f" ({way_out})" if way_out else "")]
    )


def _give_back(tools: Toolbox, record: Record, stash: Stash) -> str:
    """Undo that the agent stashed what the operator had in the main checkout."""
    root = tools.repository.root
    git = f"git -C {shlex.quote(str(root))}"
    files = counted(len(stash.entries), "file")
    guard = tools.repository.guard(CHECKOUT_GUARD)
    free = not _others_in_checkout(tools) and guard.acquire(wait=0.0)
    try:
        back = free and homecoming.give_back(tools.repository.place, stash)
    finally:
        if free:
            guard.release()
    if back:
        # By its commit: stash@{N} names another entry as soon as one is made. `git stash drop` takes no commit.
        drop = (
            f"{git} stash list --format='%H %gd' | sed -n 's/^{stash.commit} //p' | xargs -r {git} stash drop"
        )
        return f"what was uncommitted in {root} ({files}), stashed by the agent, put back; to delete the copy: {drop}"
    apply = f"{git} stash apply {stash.commit}"
    said = (
        f"what was uncommitted in {root} ({files}), stashed by the agent as {stash}; to get it back: {apply}"
    )
    tools.ui.warn(f"task {record.task_id}: {said}")
    return said


def _others_in_checkout(tools: Toolbox) -> bool:
    """Whether another runner's agent works in the main checkout, or left it unfinished."""
    return any(True for _ in occupancy.records_here(tools))


def _now(tools: Toolbox, record: Record) -> Record:
    return tools.persistence.record() or record


def _listed(parts: Sequence[str]) -> str:
    shown = list(parts) if len(parts) <= 5 else [*parts[:5], f"{len(parts) - 5} more"]
    return one_line(" and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]])), OUTSIDE.longest)
