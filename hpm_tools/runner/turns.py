"""Whose turn it is in the checkout that tasks share, and so whose are the commits and files that are found there."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from hpm_tools.errors import HpmError, Interrupted
from hpm_tools.state.turns import Turns
from hpm_tools.worktree import own_work, prepared
from hpm_tools.worktree.evidence import Snapshot
from hpm_tools.worktree.git import Git
from hpm_tools.worktree.standing import commits_between
from hpm_tools.worktree.status import take_status
from hpm_tools.worktree.task_key import TaskKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record

MOST_NAMED = 3


def key_of(record: Record) -> TaskKey:
    """What names the recorded task for good."""
    return TaskKey(record.board or "", int(record.task_id), record.created_at or "")


def begin(tools: Toolbox, key: TaskKey) -> None:
    """Write down that the task ``key``, whose runner holds the checkout's guard, has the checkout from now on.

    Or warn: that others' commits may count as its own, should it be killed, is worth a word, and no task's end.
    """
    head = tools.repository.head(tools.repository.root).commit
    try:
        _of(tools).begin(key.to_json(), head)
    except Interrupted:
        raise
    except HpmError as error:
        tools.ui.warn(f"task {key.id}: whose turn it is in the checkout cannot be noted: {error.message}")


def has_newest(tools: Toolbox, record: Record) -> bool:
    """Whether what lies uncommitted in the checkout is the recorded task's own: nobody had a turn there since."""
    newest = _of(tools).newest()
    if newest is None or newest.task == key_of(record).to_json():
        return True
    return newest.at < float(record.checkout_at or 0.0)  # its own turn could not be noted


def since(tools: Toolbox, record: Record, snapshot: Snapshot) -> list[own_work.Turn]:
    """The turns in the checkout of ``snapshot``, which is of the recorded task's agent, that began after it was taken."""
    own = key_of(record).to_json()
    return [
        own_work.Turn(turn.task == own, turn.head)
        for turn in Turns(tools.state, snapshot.common_dir).since(snapshot.at)
    ]


def look(tools: Toolbox, record: Record) -> own_work.OwnWork | None:
    """What the recorded task did in the shared checkout; None where no other task had a turn since, or elsewhere.

    Raises Misconfigured for a damaged snapshot, and GitError.
    """
    snapshot = Snapshot.from_json(record.snapshot) if record.snapshot else None
    if snapshot is None or snapshot.place.linked or not (turns := since(tools, record, snapshot)):
        return None
    git, head = tools.repository.git, tools.repository.head(tools.repository.root).commit
    own = own_work.stretches(snapshot.head, head, turns)
    among, _ = commits_between(git, snapshot.head, head)
    return own_work.look(git, own, head, among, snapshot.prepared)


def left_by_others(tools: Toolbox, record: Record) -> list[str]:
    """The uncommitted files in the checkout that were left after the recorded task had its last turn there.

    Another task began with a clean checkout since, so they are that one's, or a person's.
    """
    if has_newest(tools, record):
        return []
    git = Git(tools.repository.root)
    # What would be committed: no droppings, no repositories inside the checkout.
    return [path for path in prepared.worked_on(git, take_status(git), {}) if not path.endswith("/")]


def sentence(tools: Toolbox, record: Record, left: Sequence[str]) -> str:
    """That ``left`` is in the way of the recorded task, and what a person does about it."""
    more = f" and {len(left) - MOST_NAMED} more" if len(left) > MOST_NAMED else ""
    root = shlex.quote(str(tools.repository.root))
    return (
        f"the checkout holds uncommitted files that are not task {record.task_id}'s ({', '.join(left[:MOST_NAMED])}{more}): "
        f"commit them, or put them away: git -C {root} stash push --include-untracked"
    )


def _of(tools: Toolbox) -> Turns:
    return Turns(tools.state, str(tools.repository.common_dir))
