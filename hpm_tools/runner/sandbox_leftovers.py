"""What the sandbox of a run left in its place and in git's directories: listed before the run, removed after it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools.errors import HpmError
from hpm_tools.process.tree import all_carriers, process_numbers
from hpm_tools.state.guard import agent_guard
from hpm_tools.state.persistence import all_records
from hpm_tools.worktree import placeholders
from hpm_tools.worktree.evidence import Snapshot
from hpm_tools.worktree.place import registrations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record
    from hpm_tools.state.views import RecordView
    from hpm_tools.worktree.place import Place
    from hpm_tools.worktree.placeholders import Entries

MOST_OF_MOUNTS = 4 << 20


def entries_before(tools: Toolbox, place: Place) -> Entries:
    """What is in ``place`` and its repository before an agent starts; for the record.

    Where another run is at work in the repository, its own list counts: the placeholders of its sandbox
    are there already, and are to go with those of this one.
    """
    for view in all_records(tools.state):
        record = view.record
        if record is None or view.agent_id == tools.agent_id or not isinstance(record.entries, Mapping):
            continue
        same = (record.snapshot or {}).get("common_dir") == str(place.common_dir)
        if same and (view.guard_held or view.liveness == "alive"):
            return placeholders.take(place, record.entries)
    return placeholders.take(place)


def remove_placeholders(record: Record) -> list[Path]:
    """Remove what is new and empty since the record's agent was first started; the paths removed.

    To be called only when no process of the run is left, for a living sandbox needs them. Safe to repeat.
    """
    if not record.entries or not record.snapshot:
        return []
    try:
        place = Snapshot.from_json(record.snapshot).place
        found = placeholders.find(place, record.entries)
    except (HpmError, TypeError, ValueError):  # the record was damaged: nothing says what is new
        return []
    if not found:
        return []
    roots = [place.root, *_checkouts(place)]
    alone = not _others_live(roots, record.run_id) and not _is_mounted(found)
    return placeholders.remove(found, alone=alone)


def remove_of_dead(tools: Toolbox) -> None:
    """Remove what the sandboxes of dead runs left whose agent ids nobody has started again yet."""
    for view in all_records(tools.state):
        record = view.record
        if record is None or view.agent_id == tools.agent_id or not record.entries:
            continue
        if record.repo == str(tools.repository.root) and not _lives(view):
            guard = agent_guard(tools.state, view.agent_id)
            if guard.acquire(wait=0.0):
                try:
                    remove_placeholders(record)
                finally:
                    guard.release()


def _lives(view: RecordView) -> bool:
    record = view.record
    return view.liveness != "dead" or (record is not None and record.run_id in all_carriers())


def _checkouts(place: Place) -> Iterator[Path]:
    yield place.common_dir.parent if place.common_dir.name == ".git" else place.common_dir
    for _, dot_git in registrations(place.common_dir):
        yield dot_git.parent


def _others_live(roots: list[Path], run_id: str) -> bool:
    """Whether a process of another run stands in one of the repository's checkouts."""
    for cookie, processes in all_carriers().items():
        for process in processes if cookie != run_id else ():
            try:
                here = Path(os.readlink(f"/proc/{process.pid}/cwd"))
            except OSError:
                continue
            if any(here.is_relative_to(root) for root in roots):
                return True
    return False


def _is_mounted(found: list[placeholders.Found]) -> bool:
    """Whether something is mounted on one of them in a mount namespace of this machine: a person's own sandbox, say.

    Source: proc(5), /proc/<pid>/mountinfo, whose fifth field is the mount point.
    """
    wanted = {os.fsencode(path) for one in found for path in (*one.files, *one.directories)}
    seen = {_namespace("self")}
    for number in process_numbers():
        namespace = _namespace(str(number))
        if namespace is None or namespace in seen:
            continue
        seen.add(namespace)
        try:
            with open(f"/proc/{number}/mountinfo", "rb") as file:
                mounts = file.read(MOST_OF_MOUNTS)
        except OSError:
            continue
        if not wanted.isdisjoint(line.split(b" ", 5)[4] for line in mounts.splitlines()):
            return True
    return False


def _namespace(process: str) -> str | None:
    try:
        return os.readlink(f"/proc/{process}/ns/mnt")
    except OSError:
        return None
