"""Telling the moves of refs that this host's own runs made from those that nobody answers for."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.errors import HpmError, Interrupted
from hpm_tools.runner import turns
from hpm_tools.state.ref_moves import RefMoves
from hpm_tools.state.views import all_records
from hpm_tools.worktree import attribution, refs
from hpm_tools.worktree.evidence import Snapshot, delta
from hpm_tools.worktree.own_work import ALONE, Together

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.paths import StateDir
    from hpm_tools.state.record import Record
    from hpm_tools.worktree.bounds import Bounds
    from hpm_tools.worktree.evidence import Evidence
    from hpm_tools.worktree.repository import Head


def evidence(tools: Toolbox, record: Record, bounds: Bounds | None = None) -> Evidence:
    """What the agent of ``record``, which has a snapshot, did in its place; other runs' moves are no part of it.

    Without ``bounds`` no signal breaks it off: what an agent did is paid for, and is to be judged.
    """
    snapshot = Snapshot.from_json(record.snapshot)
    within = bounds or tools.bounds().unbroken()
    beside = together(tools, record, snapshot)
    return delta(Path(record.checkout), snapshot, within, known(tools, record), beside)


def together(tools: Toolbox, record: Record, snapshot: Snapshot) -> Together:
    """Who else worked in the shared checkout of ``snapshot`` since, while its runner was dead; nobody elsewhere.

    Each run is unfinished, or has noted what it moved. The marks of agents in worktrees are a stranger's there.
    """
    if snapshot.place.linked or snapshot.own_ref is None:
        return ALONE
    at_work = _in_checkout(others(tools.state, snapshot.common_dir, snapshot.run_id))
    # After the records: a run that ends in between has noted its moves there first.
    runs = at_work | RefMoves(tools.state, snapshot.common_dir).runs(snapshot.own_ref, snapshot.at)
    return Together(runs, turns.since(tools, record, snapshot), turns.has_newest(tools, record))


def _in_checkout(snapshots: Iterable[Snapshot]) -> frozenset[str]:
    return frozenset(other.run_id for other in snapshots if not other.place.linked)


def known(tools: Toolbox, record: Record) -> refs.Known:
    """Says of a ref whether other runs of this host moved it while the run of ``record`` was at work.

    What a run has noted counts, and for one that is still at work the reflog of its checkout's HEAD, which git writes to
    in that checkout alone. An agent that is not sandboxed could write there, too (docs/security.md).
    """
    snapshot = Snapshot.from_json(record.snapshot)
    journal = RefMoves(tools.state, snapshot.common_dir)
    at_work: list[Snapshot] | None = None

    def by_a_run(ref: str, old: str, new: str | None) -> bool:
        nonlocal at_work
        if at_work is None:
            # Read before the journal: a run that ends in between has noted its moves there first.
            at_work = list(others(tools.state, snapshot.common_dir, snapshot.run_id))
        return is_known(at_work, journal, snapshot.at, ref=ref, old=old, new=new)

    return by_a_run


def is_known(
    at_work: Collection[Snapshot], journal: RefMoves, since: float, *, ref: str, old: str, new: str | None
) -> bool:
    """Whether runs of this host moved ``ref`` from ``old`` to ``new`` after ``since``; ``at_work``: unfinished ones."""
    together = _in_checkout(at_work) | journal.runs(ref, since)
    moving = any(_is_moving(other, together, ref, old, new) for other in at_work)
    return moving or journal.explains(ref, old, new, since)


def note(tools: Toolbox, record: Record, values: Sequence[str]) -> None:
    """Write down that the run of ``record`` moved its own ref from the first of ``values`` to the last."""
    snapshot = Snapshot.from_json(record.snapshot)
    if len(values) > 1 and snapshot.own_ref is not None:
        _note(tools, snapshot.common_dir, snapshot.own_ref, values, snapshot.run_id)


def note_commit(tools: Toolbox, record: Record, before: Head, commit: str) -> None:
    """Write down that a command committed what it found in the task's place, of which no snapshot was taken."""
    if before.branch and before.commit:
        ref, who = f"{refs.HEADS}{before.branch}", str(record.run_id)
        _note(tools, str(tools.repository.common_dir), ref, [before.commit, commit], who)


def forget(tools: Toolbox, record: Record) -> None:
    """Remove what the run's snapshot keeps outside its record: nobody compares with it any more."""
    with suppress(OSError), failpoints.around("state"):
        os.unlink(tools.state.refs_file(record.run_id))


def note_switch(tools: Toolbox, record: Record, *branches: str | None) -> None:
    """Write down that the main checkout was put on one after the other of ``branches``, the last time by a runner.

    Safe to repeat, also where an earlier call came no further than the switch: the branch that the record names
    says then from where it was.
    """
    values = [f"{refs.SYMBOLIC}{refs.HEADS}{branch}" for branch in branches if branch]
    steps = [value for number, value in enumerate(values) if number == 0 or value != values[number - 1]]
    _note(tools, str(tools.repository.common_dir), refs.MAIN_HEAD, steps, f"{record.run_id} {branches[-1]}")


def _note(tools: Toolbox, common_dir: str, ref: str, values: Sequence[str], run_id: str) -> None:
    """Note it, or warn: that others tell it as an agent's act is worth a word, and no task's end."""
    try:
        RefMoves(tools.state, common_dir).note(ref, values, run_id)
    except Interrupted:
        raise
    except HpmError as error:
        tools.ui.warn(f"other runs may tell of {ref} that an agent moved it: {error.message}")


def others(state: StateDir, common_dir: str, run_id: str | None) -> Iterator[Snapshot]:
    """The snapshots of this host's unfinished runs in the repository of ``common_dir``, but for that of ``run_id``."""
    wanted = os.path.realpath(common_dir)
    for view in all_records(state):
        if view.record is None or not isinstance(view.record.snapshot, dict):
            continue
        try:
            other = Snapshot.from_json(view.record.snapshot)
        except HpmError:
            continue
        if other.run_id != run_id and os.path.realpath(other.common_dir) == wanted:
            yield other


def _is_moving(other: Snapshot, together: frozenset[str], ref: str, old: str, new: str | None) -> bool:
    if ref == refs.MAIN_HEAD and not other.place.linked:
        return True  # whoever works in the main checkout is judged by where its HEAD is then
    if ref != other.own_ref:
        return False
    own = frozenset((other.run_id,)) | (frozenset() if other.place.linked else together)
    run_ids = own if other.attributed else None
    values = attribution.values_since(other.place.git_dir, other.reflog, other.head, run_ids)
    return values is not None and old in values[:-1] and new == values[-1]
