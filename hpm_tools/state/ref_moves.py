"""Which refs of a repository this host's own runs moved, so that none of them is told to others as an agent's act.

Kept in the state directory, where no agent writes: a reflog would say the same, and an agent can write to it.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from hpm_tools.errors import HpmError
from hpm_tools.state import files, quickjson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpm_tools.state.paths import StateDir

READ_LIMIT = 8 << 20
MOST = 1000
"""Entries kept of a repository, the newest ones."""
MOST_VALUES = 100
"""Values kept of an entry: the first one and the newest ones."""
KEPT_DAYS = 30.0
"""No run lasts longer than that."""


@dataclass(frozen=True, slots=True)
class RefMove:
    """One run's moves of one ref: the values that it had, from the one before the run to the newest."""

    ref: str
    values: Sequence[str]
    run_id: str
    at: float


class RefMoves:
    """The journal of the repository whose common git directory is ``common_dir``."""

    def __init__(self, state: StateDir, common_dir: str) -> None:
        self._state = state
        name = hashlib.sha256(os.fsencode(os.path.realpath(common_dir))).hexdigest()[:16]
        self._path = os.path.join(state.home, "moves", f"{name}.json")
        self._entries: list[RefMove] | None = None

    def note(self, ref: str, values: Sequence[str], run_id: str) -> None:
        """Write down that the run ``run_id`` moved ``ref`` from the first of ``values`` to the last, durably.

        What it says replaces what was noted of the same run and ref before. Raises CannotCreate, Held.
        """
        if len(values) < 2:
            return
        self._state.prepare(os.path.dirname(self._path))
        with files.Exclusive(self._path, create=True) as file:
            known = _parse(file.read(READ_LIMIT))
            values = [values[0], *values[1:][-MOST_VALUES:]]
            if any((entry.ref, entry.run_id, list(entry.values)) == (ref, run_id, values) for entry in known):
                return
            now = time.time()
            kept = [
                entry
                for entry in known
                if (entry.ref, entry.run_id) != (ref, run_id) and entry.at > now - KEPT_DAYS * 86400.0
            ]
            kept.append(RefMove(ref, values, run_id, now))
            files.atomic_write(
                self._path, quickjson.dumps({"moves": [asdict(entry) for entry in kept[-MOST:]]})
            )

    def explains(self, ref: str, old: str, new: str | None, since: float) -> bool:
        """Whether runs of this host alone moved ``ref`` from ``old`` to ``new``, in entries written after ``since``.

        ``new`` must be where the newest of them left it: back to an earlier value no run has put it. Read once.
        """
        if self._entries is None:
            self._entries = self._read()
        entries = [entry for entry in self._entries if entry.ref == ref and entry.at >= since]
        if not entries or entries[-1].values[-1] != new:
            return False
        reached = {old}
        for entry in entries:
            for number, value in enumerate(entry.values):
                if value in reached:
                    reached.update(entry.values[number:])
                    break
        return new in reached

    def runs(self, ref: str, since: float) -> frozenset[str]:
        """The runs of which moves of ``ref`` were noted after ``since``."""
        if self._entries is None:
            self._entries = self._read()
        return frozenset(entry.run_id for entry in self._entries if entry.ref == ref and entry.at >= since)

    def _read(self) -> list[RefMove]:
        try:
            return _parse(files.read_capped(self._path, READ_LIMIT) or b"")
        except HpmError:
            return []


def _parse(data: bytes) -> list[RefMove]:
    """What can be read of ``data``: a lost entry costs a false alarm, never a task."""
    try:
        content = quickjson.loads(data or b"{}")
    except ValueError:
        return []
    rows = content.get("moves") if isinstance(content, dict) else None
    found = []
    for row in rows if isinstance(rows, list) else []:
        try:
            entry = RefMove(
                str(row["ref"]), [str(v) for v in row["values"]], str(row["run_id"]), float(row["at"])
            )
        except (TypeError, KeyError, ValueError):
            continue
        if len(entry.values) > 1:
            found.append(entry)
    return found
