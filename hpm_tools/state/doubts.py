"""Refs that were moved while an agent worked, and by nobody that git's reflog names: no task starts from those.

Kept in the state directory, where no agent writes. A ref is believed again once it has a value that no agent
gave it: after a fetch that brings something new, or after the command that undoes the move.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from hpm_tools.errors import HpmError
from hpm_tools.state import files, quickjson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hpm_tools.state.paths import StateDir

READ_LIMIT = 4 << 20
MOST = 1000


class Doubts:
    """What is doubted in the repository whose common git directory is ``common_dir``."""

    def __init__(self, state: StateDir, common_dir: str) -> None:
        self._state = state
        name = hashlib.sha256(os.fsencode(os.path.realpath(common_dir))).hexdigest()[:16]
        self._path = os.path.join(state.home, "doubts", f"{name}.json")

    def note(self, moves: Mapping[str, tuple[str | None, str | None]]) -> None:
        """Doubt each of ``moves``, ref → (value before, value after); None where it was made or deleted."""
        known = self._read()
        told = {name: move for name, move in moves.items() if move[1] not in _seen(known.get(name))}
        if not told:
            return
        for name, (old, new) in told.items():
            entry = known.setdefault(name, {"believed": old, "seen": []})
            entry["seen"] = [*_seen(entry), new]
        self._state.prepare(os.path.dirname(self._path))
        kept = dict(list(known.items())[-MOST:])
        files.atomic_write(self._path, quickjson.dumps(kept))

    def believed(self, name: str, now: str | None) -> tuple[str | None] | None:
        """The value to use in the place of ``now`` for the ref ``name``, in a tuple; None if ``now`` is no doubt."""
        entry = self._read().get(name)
        return (entry.get("believed"),) if entry and now in _seen(entry) else None

    def __bool__(self) -> bool:
        return os.path.exists(self._path)

    def _read(self) -> dict[str, Any]:
        try:
            found = quickjson.loads(files.read_capped(self._path, READ_LIMIT) or b"{}")
        except (ValueError, HpmError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {name: entry for name, entry in found.items() if isinstance(entry, dict)}


def _seen(entry: Any) -> list[str | None]:
    return list(entry.get("seen") or []) if isinstance(entry, dict) else []
