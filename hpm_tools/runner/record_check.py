"""Whether what a record says of its task's place can be true: an agent may have written it, or a disk garbled it.

A record is believed where git or this configuration shows the same. What neither shows is damage like a torn file
(state/persistence.py): nothing is done in a place that is not provably the task's.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpm_tools.board.models import Task
from hpm_tools.errors import BadData, HpmError, Misconfigured
from hpm_tools.executor.verdict import Verdict
from hpm_tools.names import STATUSES
from hpm_tools.runner.ending import Ending
from hpm_tools.state.record import seconds_since_epoch
from hpm_tools.worktree import registration
from hpm_tools.worktree.evidence import Snapshot
from hpm_tools.worktree.layout import SALVAGE
from hpm_tools.worktree.mending import KEPT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record
    from hpm_tools.worktree.repository import Repository

PATHS = ("repo", "checkout", "worktree_path", "stays")
NEED_PLACE = ("starting", "working")
"""The steps that come after the place was made and before anything may take it away."""
OID = re.compile("[0-9a-f]{40}(?:[0-9a-f]{24})?")
OF_TEXTS = ("refs", "registration", "prepared", "submodules", "stash")
"""The fields of a snapshot that hold nothing but texts."""
TEXT, OBJECT, LIST = (str, type(None)), (dict, type(None)), (list, tuple)
OF_SNAPSHOT: dict[str, tuple[type, ...]] = {
    "run_id": (str,),
    "directory": (str,),
    "git_dir": (str,),
    "common_dir": (str,),
    "head": TEXT,
    "branch": TEXT,
    "refs": (dict,),
    "marks": (dict,),
    "registration": (dict,),
    "reflog": (int,),
    "attributed": (bool,),
    "prepared": (dict,),
    "stash": LIST,
    "submodules": OBJECT,
    "at": (int, float),
    "copies": (str,),
    "refs_file": (str,),
    "overlooked": OBJECT,
    "identity": (str,),
}
"""What each field of a snapshot may be."""


def objection(tools: Toolbox, record: Record) -> str:
    """Why ``record`` cannot be true, as the end of "the record's …"; "" where nothing says so."""
    return next(_objections(tools, record), "")


def _objections(tools: Toolbox, record: Record) -> Iterator[str]:
    for name in PATHS:
        path = record.get(name)
        if path is not None and not os.path.isabs(path):
            yield f"{name} is no absolute path"
    for name in ("base", "commit"):
        if record.get(name) and not OID.fullmatch(record[name]):
            yield f"{name} is no commit's id"
    yield from _of_task(record)
    yield from _of_judgements(record)
    if record.step in NEED_PLACE and not record.checkout:
        yield f"step is {record.step}, but no place was made"
    if record.salvage is not None and not _is_salvage_of(record.salvage, int(record.task_id)):
        yield f"salvage is none of task {record.task_id}"
    if record.stays is not None and record.stays != record.checkout:
        yield "stays is not where the task was worked"
    if not (record.checkout or record.worktree_path or record.snapshot):
        return
    try:
        repository = tools.repository
    except Misconfigured:
        return  # the command is given elsewhere, and does nothing in the task's place
    yield from _of_place(tools, repository, record)


def _of_task(record: Record) -> Iterator[str]:
    if record.board:  # else it was written by hand, or locked on this host alone
        try:
            Task.parse(record.task_data)
        except BadData as error:
            yield f"task_data is damaged: {error.message}"
    if record.board_status_before not in (None, *STATUSES):
        yield "board_status_before is no status"
    if record.board_locked_at and seconds_since_epoch(record.board_locked_at) is None:
        yield "board_locked_at is no time"


def _of_judgements(record: Record) -> Iterator[str]:
    try:
        if record.verdict:
            Verdict.from_json(record.verdict)
    except HpmError as error:
        yield f"verdict is damaged: {error.message}"
    if not record.ending:
        return
    try:
        ending = Ending.from_json(record.ending)
    except (TypeError, ValueError) as error:
        yield f"ending is damaged: {error}"
    else:
        texts = (ending.reason, ending.status, ending.pauses)
        truths = (ending.skip, ending.elsewhere, ending.unfit)
        sound = all(isinstance(text, str) for text in texts) and all(isinstance(one, bool) for one in truths)
        if not (sound and type(ending.exit_code) is int and -1 <= ending.exit_code < 256):
            yield "ending is damaged"


def _is_salvage_of(ref: str, task_id: int) -> bool:
    agent, _, rest = ref.removeprefix(SALVAGE).partition("/")
    task, _, stamp = rest.partition("/")
    plain = ref.isprintable() and " " not in ref and ".." not in ref
    return bool(ref.startswith(SALVAGE) and agent and stamp and task == str(task_id) and plain)


def _of_place(tools: Toolbox, repository: Repository, record: Record) -> Iterator[str]:
    task, root = int(record.task_id), str(repository.root)
    for name in ("checkout", "worktree_path"):
        path = record.get(name)
        if path and (other := _other_task(repository, path, task)) is not None:
            yield f"{name} is the worktree of task {other}"
    if record.repo and record.repo != root:
        return  # refused before anything is done there (recovery.py), and unknown to git here
    if record.checkout is not None and os.path.realpath(record.checkout) == root:
        if record.worktree_path is not None or not (record.in_place or record.switch_back):
            yield "checkout is the repository's own, and it says that the task was worked elsewhere"
    elif record.checkout is not None and (record.in_place or record.worktree_path != record.checkout):
        yield f"checkout {record.checkout} is not the place that it names besides"
    elif record.worktree_path and not _is_worktree(tools, repository, record.worktree_path, task):
        yield f"worktree_path {record.worktree_path} is no place of task {task}"
    if record.snapshot:
        yield from _of_snapshot(tools, repository, record)


def _other_task(repository: Repository, path: str, task: int) -> int | None:
    """The other task whose worktree is at ``path``."""
    found = registration.at(repository.common_dir, Path(path))
    return found.key.id if found is not None and found.key is not None and found.key.id != task else None


def _is_worktree(tools: Toolbox, repository: Repository, path: str, task: int) -> bool:
    """Whether the task has, or would have, its worktree there, or git knows a worktree there that a person made."""
    own = (str(tools.worktrees.path_of(task, review=review)) for review in (False, True))
    return path in own or registration.at(repository.common_dir, Path(path)) is not None


def _of_snapshot(tools: Toolbox, repository: Repository, record: Record) -> Iterator[str]:
    data: dict[str, Any] = record.snapshot or {}
    wrong = [
        name for name, kinds in OF_SNAPSHOT.items() if name in data and not isinstance(data[name], kinds)
    ]
    if wrong:
        yield f"snapshot has a damaged {wrong[0]}"
        return
    if not all(_is_of_texts(data.get(name)) for name in OF_TEXTS):
        yield "snapshot holds something else than texts"
        return
    if not _is_marks(data.get("marks") or {}):
        yield "snapshot has damaged marks"
        return
    if data.get("head") and not OID.fullmatch(data["head"]):
        yield "snapshot's head is no commit's id"
        return
    try:
        snapshot = Snapshot.from_json(data)
    except HpmError as error:
        yield f"snapshot is damaged: {error.message}"
        return
    place, common = snapshot.place, repository.common_dir
    own = place.git_dir == repository.place.git_dir or place.git_dir.parent == common / "worktrees"
    if place.common_dir != common or not own:
        yield f"snapshot is of another repository than {repository.root}"
    above, name = os.path.split(record.checkout or "")
    if snapshot.directory != os.path.join(os.path.realpath(above), name):
        yield f"snapshot is of {snapshot.directory}, not of {record.checkout}"
    if not set(snapshot.registration) <= set(KEPT):
        yield "snapshot has files that are none of a worktree's"
    if snapshot.copies not in ("", tools.state.before):
        yield f"snapshot names {snapshot.copies}, where no copies are kept"
    if snapshot.refs_file not in ("", tools.state.refs_file(record.run_id)):
        yield f"snapshot names {snapshot.refs_file}, where no refs are kept"


def _is_of_texts(value: Any) -> bool:
    return all(isinstance(text, str) for text in (value.values() if isinstance(value, dict) else value or ()))


def _is_marks(marks: dict[str, Any]) -> bool:
    """Whether ``marks`` has what is read of it without looking whether it is there (tampering.fingerprint)."""
    compared = all(
        isinstance(marks.get(name), dict) and _is_of_texts(marks[name])
        for name in ("files", "config", "settings")
    )
    local = marks.get("local", {})
    return (
        compared
        and isinstance(marks.get("repository"), str)
        and isinstance(local, dict)
        and _is_of_texts(local)
    )
