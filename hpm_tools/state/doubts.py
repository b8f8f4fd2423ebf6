"""Refs that were moved while an agent worked, and by nobody that git's reflog names: no task starts from those.

Kept in the state directory, where no agent writes. A ref is believed again once it has a value that no agent
gave it: after a fetch that brings something new, after the command that undoes the move, or once the operator says so.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from hpm_tools.errors import HpmError
from hpm_tools.state import files, quickjson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hpm_tools.state.paths import StateDir

READ_LIMIT = 4 << 20
MOST = 1000
MOST_TRUSTED = 20


class Doubts:
    """What is doubted in the repository whose common git directory is ``common_dir``."""

    def __init__(self, state: StateDir, common_dir: str) -> None:
        self._state = state
        name = hashlib.sha256(os.fsencode(os.path.realpath(common_dir))).hexdigest()[:16]
        self._path = os.path.join(state.home, "doubts", f"{name}.json")

    def note(self, moves: Mapping[str, tuple[str | None, str | None]]) -> None:
        """Doubt each of ``moves``, ref → (value before, value after); None where it was made or deleted."""
        self._change(lambda known: _doubt(known, moves) if moves else False)

    def trust(self, name: str, now: str | None) -> bool:
        """Doubt the ref ``name`` no longer where it says ``now``, whoever moved it there; False if that was so already."""
        return self._change(lambda known: _trust(known, name, now))

    def is_trusted(self, name: str, now: str | None) -> bool:
        """Whether the operator said that the ref is right where it says ``now``."""
        return now in _values(self._read().get(name), "trusted")

    def _change(self, change: Callable[[dict[str, Any]], bool]) -> bool:
        self._state.prepare(os.path.dirname(self._path))
        with files.Exclusive(self._path, create=True) as file:
            known = _parse(file.read(READ_LIMIT))
            if not change(known):
                return False
            files.atomic_write(self._path, quickjson.dumps(dict(list(known.items())[-MOST:])))
        return True

    def believed(self, name: str, now: str | None) -> tuple[str | None] | None:
        """The value to use in the place of ``now`` for the ref ``name``, in a tuple; None if ``now`` is no doubt."""
        entry = self._read().get(name)
        return (entry.get("believed"),) if entry and now in _values(entry, "seen") else None

    def __bool__(self) -> bool:
        return os.path.exists(self._path)

    def _read(self) -> dict[str, Any]:
        try:
            return _parse(files.read_capped(self._path, READ_LIMIT) or b"")
        except HpmError:
            return {}


def _parse(data: bytes) -> dict[str, Any]:
    try:
        found = quickjson.loads(data or b"{}")
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: entry for name, entry in found.items() if isinstance(entry, dict)}


def _values(entry: Any, which: str) -> list[str | None]:
    return list(entry.get(which) or []) if isinstance(entry, dict) else []


def _doubt(known: dict[str, Any], moves: Mapping[str, tuple[str | None, str | None]]) -> bool:
    told = {
        name: (old, new)
        for name, (old, new) in moves.items()
        if new not in [*_values(known.get(name), "seen"), *_values(known.get(name), "trusted")]
    }
    for name, (old, new) in told.items():
        entry = known.setdefault(name, {"believed": old, "seen": []})
        if not _values(entry, "seen"):
            entry["believed"] = old
        entry["seen"] = [*_values(entry, "seen"), new]
    return bool(told)


def _trust(known: dict[str, Any], name: str, now: str | None) -> bool:
    entry = known.setdefault(name, {"believed": now, "seen": []})
    if now in _values(entry, "trusted"):
        return False
    # What else was seen is the agent's still; it is told from what stood there before by the older value.
    entry["seen"] = [value for value in _values(entry, "seen") if value != now]
    entry["believed"] = now
    entry["trusted"] = [*_values(entry, "trusted"), now][-MOST_TRUSTED:]
    return True
