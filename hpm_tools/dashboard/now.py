"""What every agent of this machine does now: the record says what it holds, the newest events what it is at."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hpm_tools.errors import HpmError
from hpm_tools.state import guard
from hpm_tools.state.holder import in_words
from hpm_tools.state.paths import AGENT_PREFIX, GUARD_SUFFIX
from hpm_tools.state.record import seconds_since_epoch
from hpm_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from hpm_tools.events.store import Stored
    from hpm_tools.state.paths import StateDir
    from hpm_tools.state.views import RecordView

    State = Literal["working", "waiting", "asking", "idle", "dead", "unknown", "unreadable"]

WAITS = frozenset(
    {
        "limit_wait",
        "backing_off",
        "board_unreachable",
        "waiting",
        "waiting_for_checkout",
        "budget_reached",
        "pickup_paused",
    }
)
"""Kinds of event after which an agent waits for ``seconds``, or ``until`` a moment."""
BESIDE = frozenset({"board_calls", "hook_ran", "notified", "events_lost", "prompt_opened", "prompt_answered"})
"""Kinds of event that do not say that a wait is over."""
BELIEVED = 60.0
"""Seconds after its end for which a wait is believed to go on: nothing tells that an idle runner found the board."""
ORDER = ("unreadable", "dead", "asking", "unknown", "waiting", "working", "idle")
LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentNow:
    """One row of the page; times are Unix seconds. ``doing`` is the agent's last action or what it waits for."""

    id: str
    state: State
    role: str = ""
    task: int | None = None
    title: str = ""
    step: str | None = None
    step_since: float | None = None
    doing: str = ""
    turns: int = 0
    cost_usd: float | None = None
    taken_at: float | None = None
    holder: str = ""


@dataclass(slots=True)
class _Told:
    """What an agent's events have said last."""

    run: str | None = None
    role: str = ""
    doing: str = ""
    turns: int = 0
    cost_usd: float | None = None
    waits_until: float = 0.0


class Now:
    """Takes events in their order; ``rows`` puts them beside the records."""

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}

    def take(self, event: Stored) -> None:
        told = self._told.setdefault(event.agent, _Told())
        if event.run != told.run and event.run is not None:
            told = self._told[event.agent] = _Told(run=event.run)
        told.role = event.role or told.role
        data = event.data
        waits = event.event in WAITS
        if event.event not in BESIDE:
            told.waits_until = _end_of_wait(event) if waits else 0.0
        if event.event == "agent_progress":
            told.turns = int(data.get("turns") or 0)
            told.cost_usd = data.get("cost_usd")
            told.doing = one_line(str(data.get("doing") or ""))[:LONGEST]
        elif waits or event.event in ("agent_started", "agent_ended"):
            told.doing = one_line(str(data.get("text") or ""))[:LONGEST]

    def rows(
        self, views: Iterable[RecordView], idle: Collection[str], asking: Collection[str]
    ) -> list[AgentNow]:
        """The agents, those that need somebody first; ``idle`` are runners without a task."""
        found = [self._row(view, asking=view.agent_id in asking) for view in views]
        found += [self._resting(agent) for agent in idle]
        return sorted(found, key=lambda agent: (ORDER.index(agent.state), agent.id))

    def _row(self, view: RecordView, *, asking: bool) -> AgentNow:
        record = view.record
        if record is None:
            return AgentNow(id=view.agent_id, state="unreadable", doing=one_line(view.problem)[:LONGEST])
        told = self._told.get(view.agent_id, _Told())
        if told.run != record.run_id:
            told = _Told(role=told.role)
        alive = view.liveness
        state: State = "working"
        if alive != "alive":
            state = "dead" if alive == "dead" else "unknown"
        elif asking:
            state = "asking"
        elif told.waits_until > time.time():
            state = "waiting"
        return AgentNow(
            id=view.agent_id,
            state=state,
            role=record.role or told.role,
            task=record.task_id,
            title=one_line(record.task_title or ""),
            step=record.step,
            step_since=seconds_since_epoch(record.step_at or ""),
            doing=told.doing,
            turns=told.turns,
            cost_usd=told.cost_usd,
            taken_at=record.taken_at or seconds_since_epoch(record.locked_at or ""),
            holder=in_words(record.holder, alive),
        )

    def _resting(self, agent: str) -> AgentNow:
        told = self._told.get(agent, _Told())
        waits = told.waits_until > time.time()
        doing = told.doing if waits else "looks for a task"
        return AgentNow(id=agent, state="waiting" if waits else "idle", role=told.role, doing=doing)


def _end_of_wait(event: Stored) -> float:
    until, seconds = event.data.get("until"), event.data.get("seconds")
    if isinstance(until, int | float):
        return float(until) + BELIEVED
    return event.at + (seconds if isinstance(seconds, int | float) else math.inf) + BELIEVED


def guarded(state: StateDir, known: Collection[str]) -> list[str]:
    """The agents whose guard is held although they are not among ``known``: runners without a task."""
    try:
        names = os.listdir(state.locks)
    except OSError:
        return []
    agents = (
        name[len(AGENT_PREFIX) : -len(GUARD_SUFFIX)]
        for name in names
        if name.startswith(AGENT_PREFIX) and name.endswith(GUARD_SUFFIX)
    )
    return sorted(agent for agent in agents if agent not in known and _held(state.guard_file(agent)))


def _held(path: str) -> bool:
    try:
        return guard.held(path)
    except HpmError:
        return False
