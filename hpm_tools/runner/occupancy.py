"""Who else has the place of a task: a living holder, what is left of a dead one's run, or its uncommitted work.

The checkout's guard dies with the process that held it, but the agent of that process may live on, and
what it left uncommitted belongs to its task. So whoever has taken the guard asks here before using the place.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools.errors import Held
from hpm_tools.process.identity import COOKIE, boot_id, same_process
from hpm_tools.process.tree import all_carriers
from hpm_tools.runner import orphans
from hpm_tools.state.guard import agent_guard
from hpm_tools.state.persistence import all_records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpm_tools.process.tree import ProcessRef
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record
    from hpm_tools.state.views import RecordView

STARTED = ("working", "committing", "detaching")
"""The steps at which uncommitted changes in the checkout are the record's own: it was clean when claimed."""


def occupant(tools: Toolbox, own: Record | None) -> str | None:
    """Why the checkout is not ours to use, in words for the operator; None if it is.

    The caller holds the checkout's guard. ``own`` is the record of a task that is gone on with here: work
    that was begun in the checkout before it is then no obstacle. Agents of dead holders are ended.
    """
    views = list(records_here(tools))
    for view in views:
        if _came_after(view, own) and (view.guard_held or view.liveness == "alive"):
            return f"{_who(view)} works in the checkout"
    carriers = all_carriers()
    for view in views:
        if said := _end_rest_of(tools, view, carriers, "the checkout"):
            return said
    known = {own.run_id if own is not None else None, os.environ.get(COOKIE)}
    if said := _strangers(tools, all_carriers(), known):
        return said
    return _uncommitted(tools, views, own)


@dataclass(frozen=True, slots=True)
class Claim:
    """Another agent's claim on the checkout as it stands, in words; ``unfinished``: its runner is gone."""

    text: str
    unfinished: bool
    hint: str = ""


def claim(tools: Toolbox) -> Claim | None:
    """Who else has the checkout, by the records of this host; None if nobody has. Nothing is changed by looking."""
    views = list(records_here(tools))
    for view in views:
        if view.guard_held or view.liveness == "alive":
            return Claim(f"{_who(view)} works in the checkout", unfinished=False)
    left = _left_unfinished(tools, views, None)
    if left is None:
        return None
    text = f"the checkout holds the unfinished work of {_who(left)}"
    return Claim(text, unfinished=True, hint=_way_out(left))


def refuse_inhabited(tools: Toolbox, path: Path, run_id: str | None) -> None:
    """Make sure that no other run's agent is in the worktree ``path``, ending those of dead holders.

    Held if one is there that may not be ended. ``run_id`` is the run that may be there, and the caller's own.
    """
    root = Path(os.path.realpath(path))
    views = {view.record.run_id: view for view in all_records(tools.state) if view.record is not None}
    carriers = all_carriers()
    for cookie, processes in carriers.items():
        here = [str(process.pid) for process in processes if _is_in(process.pid, root)]
        if not here or cookie in (run_id, os.environ.get(COOKIE)):
            continue
        view = views.get(cookie)
        said = _end_rest_of(tools, view, carriers, root) if view is not None else _unknown(root, here)
        if said:
            raise Held(said, "end it, or try again later")


def records_here(tools: Toolbox) -> Iterator[RecordView]:
    """The records of other agents that work in the checkout, or left it unfinished."""
    root = tools.repository.root
    for view in all_records(tools.state):
        record = view.record
        if record is None or view.agent_id == tools.agent_id or record.step == "unlocking":
            continue
        # ``switch_back`` is written before the checkout is switched, ``in_place`` only after it.
        place = (
            record.repo
            if record.switch_back
            else (record.checkout or record.repo)
            if record.in_place
            else None
        )
        if _same(place, root):
            yield view


def _same(path: str | None, root: Path) -> bool:
    """Whether ``path`` is the checkout, however it is spelled (through a link, say)."""
    try:
        return path is not None and os.path.samefile(path, root)
    except OSError:
        return path == str(root)


def _who(view: RecordView) -> str:
    task = view.record.task_id if view.record is not None else "?"
    return f"agent {view.agent_id} (task {task})"


def _end_rest_of(
    tools: Toolbox, view: RecordView, carriers: dict[str, list[ProcessRef]], place: Path | str
) -> str | None:
    """End what a dead holder left running; what is said where that may not be done, or fails."""
    record = view.record
    if record is None or not _has_living(record, carriers):
        return None
    guard = agent_guard(tools.state, view.agent_id)
    # Not proven dead, or being taken over this moment: its processes are somebody's.
    if view.liveness != "dead" or not guard.acquire(wait=0.0):
        return f"{_who(view)} works in {place}"
    try:
        orphans.end_leftovers(record)
    except Held as error:
        return error.message
    finally:
        guard.release()
    return None


def _has_living(record: Record, carriers: dict[str, list[ProcessRef]]) -> bool:
    child = record.child or {}
    pid, start = child.get("pid"), child.get("start")
    if pid and start and same_process(int(pid), str(start), record.boot_id or boot_id()):
        return True
    return bool(carriers.get(record.run_id))


def _strangers(tools: Toolbox, carriers: dict[str, list[ProcessRef]], known: set[str | None]) -> str | None:
    """Agents at work in the checkout that no record here answers for: it was lost, damaged or never written."""
    for cookie, processes in carriers.items():
        if cookie in known:
            continue
        here = [str(process.pid) for process in processes if _is_in(process.pid, tools.repository.root)]
        if here:
            return f"{_unknown(tools.repository.root, here)}: end it, or wait"
    return None


def _unknown(place: Path, numbers: list[str]) -> str:
    return f"an agent that no record here names works in {place} (process {', '.join(numbers)})"


def _is_in(pid: int, root: Path) -> bool:
    """Whether the process stands in this checkout itself, not in a worktree or repository below it."""
    try:
        place = Path(os.readlink(f"/proc/{pid}/cwd"))
    except OSError:
        return False
    for directory in (place, *place.parents):
        if directory == root:
            return True
        if os.path.lexists(directory / ".git"):
            return False
    return False


def _uncommitted(tools: Toolbox, views: list[RecordView], own: Record | None) -> str | None:
    view = _left_unfinished(tools, views, own)
    if view is None:
        return None
    return f"the checkout holds the unfinished work of {_who(view)}: {_way_out(view)}"


def _left_unfinished(tools: Toolbox, views: list[RecordView], own: Record | None) -> RecordView | None:
    """The record of another task whose work waits in the checkout for its agent to be started again."""
    for view in views:
        record = view.record
        if record is None or not _came_after(view, own):
            continue
        switched = record.switch_back and record.step != "reporting"
        if switched or (record.step in STARTED and tools.repository.dirty(tools.repository.root)):
            return view
    return None


def _way_out(view: RecordView) -> str:
    return f"start that agent's runner again, or give its task back: hpm unlock --agent-id {view.agent_id}"


def _came_after(view: RecordView, own: Record | None) -> bool:
    """Whether the checkout was claimed for that task after it was for ours: what is left there is the latest one's."""
    if own is None or view.record is None:
        return True
    return float(view.record.checkout_at or 0.0) > float(own.checkout_at or 0.0)
