"""What this state directory knows of an agent's ``last_seen`` on a board: one small file for each agent.

All commands and runners of a state directory share it, so that none takes another one's act for a twin's
(board/twins.py). An act is written down before the board is asked and again after its answer. ``last_seen`` is
known only while no act is open, and only from an answer during which nobody else here acted: of two calls at once
nobody knows which the board carried out last.
"""

from __future__ import annotations

import os
import time

from hpm_tools.errors import HpmError
from hpm_tools.process.identity import boot_id
from hpm_tools.state import files, quickjson
from hpm_tools.state.paths import file_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hpm_tools.state.paths import StateDir

    Facts = dict[str, Any]

OVER_AFTER = 120.0
"""Seconds after which an act is over for certain, though its command was killed before it wrote that down."""
_MOST_ACTS = 10**15
_READ_LIMIT = 64 << 10


class LastSeen:
    """The agents of ``board`` (its key). Nothing is raised: what cannot be written down is unknown."""

    def __init__(self, state: StateDir, board: str) -> None:
        self._state = state
        self._board = board
        self._unwritten = False
        self._newest: dict[str, int] = {}
        self._alone_from: dict[str, int] = {}

    def acting(self, agent_id: str) -> int:
        """Note an act that may move ``last_seen``, before the board is asked; returns its number."""
        alone = False

        def change(found: Facts) -> Facts:
            nonlocal alone
            running = _running(found)
            number, alone = _count(found) + 1, not running
            lost = len(running) < len(_open(found))
            return {
                "begun": number,
                "open": {**running, str(number): [_now(), alone]},
                "last_seen": None if lost else found.get("last_seen"),
            }

        number = _count(self._change(agent_id, change))
        if not alone:
            self._alone_from[agent_id] = number + 1
        elif number != self._newest.get(agent_id, -1) + 1:
            self._alone_from[agent_id] = number
        self._newest[agent_id] = number
        return number

    def acted(self, agent_id: str, act: int, last_seen: str | None = None) -> None:
        """Note that the act ``act`` is over. ``last_seen``: what the board answered that it is; None: unknown."""

        def change(found: Facts) -> Facts:
            still = {number: entry for number, entry in _open(found).items() if number != str(act)}
            entry = _open(found).get(str(act))
            certain = entry is not None and entry[1] and act == _count(found) and not still
            return {**found, "open": still, "last_seen": last_seen if certain else None}

        self._change(agent_id, change)

    def own(self, agent_id: str) -> str | None:
        """The ``last_seen`` that the board has unless somebody elsewhere moved it; None if that is unknown."""
        found = self._read(agent_id)
        seen = found.get("last_seen")
        return seen if isinstance(seen, str) and not _open(found) and not self._unwritten else None

    def alone_since(self, agent_id: str, act: int) -> bool:
        """Whether every act of this state directory from ``act`` until now was this object's, one after the other."""
        mine = self._alone_from.get(agent_id, act + 1) <= act
        return mine and _count(self._read(agent_id)) == self._newest.get(agent_id) and not self._unwritten

    def was_killed(self, agent_id: str) -> bool:
        """Whether a command of this state directory was killed during an act just now: it may have moved ``last_seen``."""
        return bool(_running(self._read(agent_id)))

    def _here(self) -> str:
        """This state directory, and no copy of it; another one after a reboot."""
        return f"{boot_id()} {os.stat(self._state.home).st_ino}"

    def _path(self, agent_id: str) -> str:
        return os.path.join(self._state.seen, f"{self._board}-{file_name(agent_id)}.json")

    def _read(self, agent_id: str) -> Facts:
        try:
            return self._parsed(files.read_capped(self._path(agent_id), _READ_LIMIT) or b"")
        except (HpmError, OSError):
            return {}

    def _change(self, agent_id: str, change: Callable[[Facts], Facts]) -> Facts:
        path = self._path(agent_id)
        try:
            if not self._state.check():
                return {}  # no runner ever was here, so nobody would ask
            self._state.prepare(self._state.seen)
            with files.Exclusive(path, create=True) as file:
                facts = change(self._parsed(file.read(_READ_LIMIT)))
                facts["here"] = self._here()
                _write(path, quickjson.dumps(facts))
        except (HpmError, OSError):
            self._unwritten = True
            return {}
        return facts

    def _parsed(self, data: bytes) -> Facts:
        """The facts; of a copy's or an earlier boot's only the count."""
        try:
            found = quickjson.loads(data or b"null")
        except (ValueError, HpmError):
            return {}
        if not isinstance(found, dict):
            return {}
        return found if found.get("here") == self._here() else {"begun": _count(found)}


# no failpoint: what a crash leaves of it is unknown, and the next act begins it anew
def _write(path: str, data: bytes) -> None:
    """In place, and not synced: every act of a runner comes here twice. Whoever reads it half written knows nothing."""
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.pwrite(fd, data, 0)
        os.ftruncate(fd, len(data))
    finally:
        os.close(fd)


def prune(state: StateDir, days: float) -> list[str]:
    """Remove what is known of agents that did nothing for more than ``days``; returns the paths."""
    return files.remove_older(state.seen, days, lambda name: name.endswith(".json"))


def _now() -> float:
    """Seconds since the boot, a suspend counted: the wall clock may be set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _count(facts: Facts) -> int:
    value = facts.get("begun")
    return value if type(value) is int and 0 <= value < _MOST_ACTS else 0


def _open(facts: Facts) -> dict[str, list[Any]]:
    """The acts that nobody wrote down as over: number → when they began, and whether no other was open then."""
    found = facts.get("open")
    if not isinstance(found, dict):
        return {}
    return {
        number: entry
        for number, entry in found.items()
        if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], (int, float))
    }


def _running(facts: Facts) -> dict[str, list[Any]]:
    now = _now()
    return {number: entry for number, entry in _open(facts).items() if 0 <= now - entry[0] < OVER_AFTER}
