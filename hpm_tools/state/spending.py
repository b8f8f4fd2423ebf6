"""What the agents of this host have cost on each local day: durable, and exact across crashes and resumes."""

from __future__ import annotations

import os
import time

from hpm_tools.errors import BadData
from hpm_tools.state import files, quarantine, quickjson
from hpm_tools.state.paths import AGENT_PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hpm_tools.state.paths import StateDir

SUFFIX = ".json"
_READ_LIMIT = 1 << 20
_KEPT_DAYS = 40
_KEPT_SESSIONS = 200
_HUGE = 1e9


def day_of(moment: float) -> str:
    """The local day (of this process's time zone) that holds ``moment``, Unix time: ``2026-11-25``."""
    return time.strftime("%Y-%m-%d", time.localtime(moment))


def next_day(moment: float) -> float:
    """The Unix time at which the local day after that of ``moment`` begins."""
    day = time.localtime(moment)
    # mktime normalises the 32nd, and finds out itself whether summer time holds.
    return time.mktime((day.tm_year, day.tm_mon, day.tm_mday + 1, 0, 0, 0, 0, 0, -1))


class Spending:
    """US dollars by agent and local day, one file per agent, so that agents do not wait for each other.

    Sessions' totals are booked, and a file remembers them: the same total again adds nothing, so that what a
    crash may have left unbooked can be booked once more.
    """

    def __init__(self, state: StateDir) -> None:
        self._state = state

    def book(self, agent_id: str, session_id: str, total: float, *, now: float | None = None) -> None:
        """Add to the agent's day what the session has cost since it was booked last; ``total`` is all it cost.

        A correction downwards is taken off. Raises CannotCreate and Held as every writer of state.
        """
        path = self._path(agent_id)
        if not total and not os.path.exists(path):
            return
        self._state.prepare(self._state.spending)
        with files.Exclusive(path, create=True) as file:
            facts = self._read_locked(file)
            known = _number(facts["sessions"].get(session_id))
            if total == known:
                return
            day = day_of(time.time() if now is None else now)
            days = {**facts["days"], day: _number(facts["days"].get(day)) + total - known}
            sessions = {name: cost for name, cost in facts["sessions"].items() if name != session_id}
            sessions[session_id] = total
            facts |= {
                "days": dict(sorted(days.items())[-_KEPT_DAYS:]),
                "sessions": dict(list(sessions.items())[-_KEPT_SESSIONS:]),
            }
            files.atomic_write(path, quickjson.dumps({**facts, "agent_id": agent_id}))

    def of_agent(self, agent_id: str, day: str) -> float:
        """What the agent has cost on ``day``."""
        return self._of_file(self._path(agent_id), day)

    def by_agent(self, day: str) -> dict[str, float]:
        """What each agent of this host has cost on ``day``, those that cost nothing left out."""
        try:
            names = sorted(os.listdir(self._state.spending))
        except FileNotFoundError:
            return {}
        spent = {}
        for name in names:
            if name.startswith(AGENT_PREFIX) and name.endswith(SUFFIX):
                cost = self._of_file(os.path.join(self._state.spending, name), day)
                if cost:
                    spent[name[len(AGENT_PREFIX) : -len(SUFFIX)]] = cost
        return spent

    def of_host(self, day: str) -> float:
        """What all agents of this host have cost on ``day``."""
        return sum(self.by_agent(day).values())

    def damaged(self) -> list[str]:
        """Files that could not be read and were moved aside: what they said counts no more."""
        try:
            names = sorted(os.listdir(self._state.spending))
        except FileNotFoundError:
            return []
        return [os.path.join(self._state.spending, name) for name in names if quarantine.CORRUPT in name]

    def _path(self, agent_id: str) -> str:
        return os.path.join(self._state.spending, f"{AGENT_PREFIX}{agent_id}{SUFFIX}")

    def _of_file(self, path: str, day: str) -> float:
        try:
            data = files.read_capped(path, _READ_LIMIT)
        except BadData:
            return 0.0
        facts = _parse(data) if data else None
        return max(0.0, _number(facts["days"].get(day))) if facts else 0.0

    def _read_locked(self, file: files.Exclusive) -> dict[str, Any]:
        try:
            data = file.read(_READ_LIMIT)
        except files.TooLarge:
            data = b"?"
        facts = _parse(data) if data else {"days": {}, "sessions": {}}
        if facts is None:
            quarantine.set_aside(file.path)
            return {"days": {}, "sessions": {}}
        return facts


def _parse(data: bytes) -> dict[str, Any] | None:
    """None for what no writer of this module wrote."""
    try:
        facts = quickjson.loads(data)
    except ValueError:
        return None
    known = isinstance(facts, dict) and all(isinstance(facts.get(k), dict) for k in ("days", "sessions"))
    return facts if known else None


def _number(value: Any) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool) and -_HUGE < value < _HUGE
    return value if known else 0.0
