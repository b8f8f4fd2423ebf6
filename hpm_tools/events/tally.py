"""Takes and agent runs, read from events: what figures are made of."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hpm_tools.events.store import Stored

ENDINGS = ("reported", "parked", "given_back", "lost")
"""The events that end a take; the last of a take counts, for a crash may have had one told twice."""
NO_CHANGE = "no_change"
NOT_RUN = "missing"
"""How `hook_ran` ended, in older files of events, where there was no such hook."""
READ = (
    *ENDINGS,
    "agent_started",
    "agent_ended",
    "step",
    "hook_ran",
    "board_calls",
    "limit_wait",
    "limit_over",
    "started",
    "events_lost",
)
"""The kinds that figures are made of: all that needs to be read for them."""


@dataclass(frozen=True, slots=True)
class Take:
    """What one agent did with a task. ``ending`` is the event's name, or NO_CHANGE for a report without any work."""

    ending: str
    role: str
    agent: str
    model: str
    difficulty: str
    verdict: str
    attempts: int
    seconds: float
    usd: float | None

    @property
    def finished(self) -> bool:
        return self.ending == "reported"


@dataclass(frozen=True, slots=True)
class Run:
    role: str
    agent: str
    model: str
    difficulty: str
    verdict: str
    turns: int
    seconds: float
    usd: float
    tokens: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class HookRun:
    """One run of a hook; ``path`` is None in events of older versions."""

    ok: bool
    seconds: float
    path: str | None


class Tally:
    """What the events that were added said so far."""

    def __init__(self) -> None:
        self.takes: dict[object, Take] = {}
        self.runs: list[Run] = []
        self.steps: dict[str, list[float]] = defaultdict(list)
        self.hooks: dict[str, list[HookRun]] = defaultdict(list)
        self.calls: list[Mapping[str, Any]] = []
        self.waits: list[float] = []
        self.waiting: dict[str, tuple[float, float]] = {}
        self.lost = 0
        self._task_costs: dict[tuple[str, int], float] = {}

    def add(self, event: Stored) -> None:
        data = event.data
        match event.event:
            case "reported" | "parked" | "given_back" | "lost":
                self.takes[event.run or event.id] = _take(event)
            case "agent_started":
                if data.get("attempt") == 1 and event.task is not None:
                    self._task_costs[event.board, event.task] = 0.0
            case "agent_ended":
                self.runs.append(_run(event, self._cost(event)))
            case "step" if data.get("outcome") == "done":
                self.steps[str(data.get("step"))].append(number(data.get("seconds")))
            case "hook_ran" if data.get("ending") != NOT_RUN:
                self.hooks[str(data.get("name"))].append(_hook_run(data))
            case "board_calls":
                self.calls.append(data)
            case "limit_wait":
                since = self.waiting.get(event.agent, (event.at, 0.0))[0]
                self.waiting[event.agent] = since, number(data.get("until"))
            case "limit_over":
                self.waiting.pop(event.agent, None)
                self.waits.append(number(data.get("seconds")))
            case "started":
                self._waited_until(event)
            case "events_lost":
                self.lost += int(number(data.get("count")))

    def _waited_until(self, event: Stored) -> None:
        """A runner that was ended while it waited: how long it did is known no better than this."""
        if event.agent in self.waiting:
            at, until = self.waiting.pop(event.agent)
            self.waits.append(max(0.0, min(event.at, until) - at))

    def _cost(self, event: Stored) -> float:
        """What was spent since the last run of the task: with what runs cost whose runner was killed."""
        own = number(event.data.get("cost_usd"))
        total = event.data.get("task_cost_usd")
        if event.task is None or not isinstance(total, int | float):
            return own
        key = event.board, event.task
        before = self._task_costs.get(key)
        self._task_costs[key] = float(total)
        # The board gives a number again after a delete: that task's costs begin at nothing.
        return own if before is None or total < before else total - before


def _hook_run(data: Mapping[str, Any]) -> HookRun:
    path = data.get("path")
    return HookRun(
        data.get("ok") is True, number(data.get("seconds")), path if isinstance(path, str) else None
    )


def _take(event: Stored) -> Take:
    data = event.data
    usd = data.get("cost_usd")
    return Take(
        NO_CHANGE if event.event == "reported" and data.get("no_change") is True else event.event,
        event.role,
        event.agent,
        str(data.get("model") or ""),
        str(data.get("difficulty") or ""),
        str(data.get("verdict") or ""),
        int(number(data.get("runs"))),
        number(data.get("seconds")),
        float(usd) if isinstance(usd, int | float) else None,
    )


def _run(event: Stored, usd: float) -> Run:
    data = event.data
    kinds = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    first, second, third, fourth = (int(number(data.get(kind))) for kind in kinds)
    return Run(
        event.role,
        event.agent,
        str(data.get("model") or ""),
        str(data.get("difficulty") or ""),
        str(data.get("verdict") or ""),
        int(number(data.get("turns"))),
        number(data.get("seconds")),
        usd,
        (first, second, third, fourth),
    )


def number(value: object) -> float:
    """``value`` if it is a number, else 0: what an event holds is not believed to be what it should be."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
