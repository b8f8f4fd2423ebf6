"""How takes of tasks ended: the event that ends one, and what its run said before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpm_tools.text import one_line

if TYPE_CHECKING:
    from hpm_tools.events.store import Stored

ENDINGS = ("reported", "parked", "given_back", "lost")
NAMES = ("workspace", "agent_ended", *ENDINGS)
"""The kinds of event that an outcome is made of."""
REOPENED = "created"
RESULTS = ("done", "no_change", "rejected", "parked", "given_back", "lost")
"""What was reported is done, rejected where qa opened the task again, or no_change where there was no work to do."""
LONGEST_TEXT = 400
MOST_OPEN = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of one take of a task. ``seconds`` since it was taken, ``cost_usd`` of this take.

    ``where`` its work is, as a sentence; "" in events of earlier versions, whose ``branch`` need not have any.
    ``again``: what offers a parked task again, "" in earlier versions too.
    """

    id: int
    at: float
    result: str
    agent: str
    role: str
    board: str
    task: int
    title: str
    reason: str
    seconds: float | None
    cost_usd: float | None
    where: str
    again: str
    branch: str
    commit: str
    run: str


class Outcomes:
    """Takes events in their order and gives an Outcome for each that ends a take."""

    def __init__(self) -> None:
        self._said: dict[str, dict[str, Any]] = {}

    def take(self, event: Stored) -> Outcome | None:
        run = event.run or event.agent
        if event.event in ENDINGS:
            return _outcome(event, self._said.get(run, {}))
        said = self._said.setdefault(run, {})
        if event.event == "workspace":
            said["branch"] = event.data.get("branch")
        elif event.event == "agent_ended":
            said["reason"] = _summary(event.data)
        if len(self._said) > MOST_OPEN:
            del self._said[next(iter(self._said))]
        return None


def _summary(data: dict[str, Any]) -> str:
    """The agent's own words, without the task and the verdict that its event says before them."""
    _, found, rest = str(data.get("text") or "").partition(f": {data.get('verdict')}: ")
    return rest if found else str(data.get("text") or "")


def _outcome(event: Stored, said: dict[str, Any]) -> Outcome:
    data, result = event.data, _result(event)
    work = data.get("work")
    branch = data.get("branch") or (work.get("branch") if isinstance(work, dict) else said.get("branch"))
    return Outcome(
        id=event.id,
        at=event.at,
        result=result,
        agent=event.agent,
        role=event.role,
        board=event.board,
        task=event.task or 0,
        title=_text(data.get("title")),
        reason=_text(data.get("reason") or said.get("reason")),
        seconds=_number(data.get("seconds")),
        cost_usd=_number(data.get("cost_usd")),
        where=_text(data.get("where")),
        again=_text(data.get("again")),
        branch="" if result == "no_change" else _text(branch),
        commit=_text(data.get("commit")),
        run=event.run or "",
    )


def _result(event: Stored) -> str:
    if event.event != "reported":
        return event.event
    if event.data.get("no_change") is True:
        return "no_change"
    return "rejected" if event.data.get("status") == REOPENED else "done"


def _text(value: object) -> str:
    return one_line(str(value or ""))[:LONGEST_TEXT]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
