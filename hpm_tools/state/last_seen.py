"""What this state directory knows of each agent's ``last_seen`` on a board, one small file for each agent.

All commands and runners of a state directory share it, so that none takes another one's registration for a twin's
(board/twins.py). ``acts`` counts what was begun that may have moved ``last_seen``; ``settled`` is the number of the
newest registration whose reply is known. Only while they are equal is ``last_seen`` what the board must still have.
"""

from __future__ import annotations

import os

from hpm_tools.errors import HpmError
from hpm_tools.process.identity import boot_id
from hpm_tools.state import files, quickjson
from hpm_tools.state.paths import file_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hpm_tools.state.paths import StateDir

_READ_LIMIT = 4096


class LastSeen:
    """The agents of ``board`` (its key). Nothing is raised: what cannot be written down is unknown."""

    def __init__(self, state: StateDir, board: str) -> None:
        self._state = state
        self._board = board
        self._unwritten = False

    def acting(self, agent_id: str) -> int:
        def change(found: dict[str, Any]) -> dict[str, Any]:
            return {**found, "acts": _count(found, "acts") + 1, "here": self._here}

        facts = self._change(agent_id, change)
        return _count(facts, "acts")

    def registered(self, agent_id: str, act: int, last_seen: str) -> None:
        def change(found: dict[str, Any]) -> dict[str, Any]:
            if act < _count(found, "settled"):
                return found
            return {**found, "settled": act, "last_seen": last_seen}

        self._change(agent_id, change)

    def own(self, agent_id: str) -> str | None:
        found = self._read(agent_id)
        seen = found.get("last_seen")
        settled = _count(found, "acts") == _count(found, "settled")
        return seen if settled and isinstance(seen, str) and not self._unwritten else None

    def acted_last(self, agent_id: str) -> bool:
        """Whether an act from here followed the last registration: ``last_seen`` may be newer by that act alone.

        False in a copy of a state directory, and after a reboot.
        """
        found = self._read(agent_id)
        return found.get("here") == self._here and _count(found, "acts") != _count(found, "settled")

    @property
    def _here(self) -> str:
        return f"{boot_id()} {self._state.home}"

    def _path(self, agent_id: str) -> str:
        return os.path.join(self._state.seen, f"{self._board}-{file_name(agent_id)}.json")

    def _read(self, agent_id: str) -> dict[str, Any]:
        try:
            return _parsed(files.read_capped(self._path(agent_id), _READ_LIMIT) or b"")
        except HpmError:
            return {}

    def _change(self, agent_id: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        path = self._path(agent_id)
        try:
            if not self._state.check():
                return {}  # no runner ever was here, so nobody would ask
            self._state.prepare(self._state.seen)
            with files.Exclusive(path, create=True) as file:
                facts = change(_parsed(file.read(_READ_LIMIT)))
                files.atomic_write(path, quickjson.dumps(facts))
        except (HpmError, OSError):
            self._unwritten = True
            return {}
        return facts


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        found = quickjson.loads(data or b"null")
    except (ValueError, HpmError):
        return {}
    return found if isinstance(found, dict) else {}


def _count(facts: dict[str, Any], name: str) -> int:
    value = facts.get(name)
    return value if isinstance(value, int) else 0
