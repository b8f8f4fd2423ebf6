"""Every agent's record on this host, as seen from outside."""

from __future__ import annotations

import os

from hpm_tools import names
from hpm_tools.errors import HpmError
from hpm_tools.state import guard
from hpm_tools.state.holder import ALIVE, UNPROVEN, holder_alive
from hpm_tools.state.paths import AGENT_PREFIX, RECORD_SUFFIX
from hpm_tools.state.quarantine import CORRUPT, SETTLED
from hpm_tools.state.record import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hpm_tools.state.holder import Liveness
    from hpm_tools.state.paths import StateDir
    from hpm_tools.state.record import Record


class RecordView:
    """One agent's record; ``problem`` says why ``record`` is None."""

    __slots__ = ("_home", "agent_id", "guard_held", "problem", "record")

    def __init__(
        self, agent_id: str, record: Record | None, problem: str, guard_held: bool, home: str | None = None
    ) -> None:
        self.agent_id = agent_id
        self.record = record
        self.problem = problem
        self.guard_held = guard_held
        self._home = home

    @property
    def liveness(self) -> Liveness:
        """Whether the holder lives; ``unknown`` for a record that cannot be read, unless its guard is held."""
        if self.record is None:
            return ALIVE if self.guard_held else UNPROVEN
        return holder_alive(self.record, self.guard_held, self._home)


def all_records(state: StateDir) -> list[RecordView]:
    """The records, and those set aside as corrupt and not yet rebuilt, by agent id. Changes nothing."""
    if not state.check():
        return []
    agents = {agent for name in os.listdir(state.locks) if (agent := _agent_of(name)) is not None}
    return [_view(state, agent) for agent in sorted(agents)]


def _agent_of(name: str) -> str | None:
    if not name.startswith(AGENT_PREFIX):
        return None
    stem, found, _ = name.partition(RECORD_SUFFIX + CORRUPT)
    if found:
        return None if name.endswith(SETTLED) else stem[len(AGENT_PREFIX) :]
    return name[len(AGENT_PREFIX) : -len(RECORD_SUFFIX)] if name.endswith(RECORD_SUFFIX) else None


def _view(state: StateDir, agent: str) -> RecordView:
    record, problem, held = None, "", False
    try:
        names.agent_id(agent)
        held = guard.held(state.guard_file(agent))
        record = read(state.record_file(agent), agent)
        if record is None:
            problem = "its record was corrupt and has not been rebuilt"
    except HpmError as error:
        problem = error.message
    return RecordView(agent, record, problem, held, state.home)
