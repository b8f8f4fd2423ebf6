"""Notices that another process somewhere works under the same agent id: the board would let both.

The real board moves an agent's ``last_seen`` by its registrations alone, ours by each of its acts. One that is
newer than what this state directory caused is somebody else's. Only the board's own times are compared, never
with this machine's clock.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from hpm_tools.board.models import moment

if TYPE_CHECKING:
    from hpm_tools.board.client import Board
    from hpm_tools.board.models import Agent

LOOK_AGAIN = 1.0
"""Seconds after which a twin is looked at again: a command beside us may just be writing down what it did."""


class SeenLog(Protocol):
    """What the commands of one state directory know of an agent's ``last_seen``."""

    def acting(self, agent_id: str) -> int:
        """Note, before it is done, an act that may move ``last_seen``; the act's number."""

    def registered(self, agent_id: str, act: int, last_seen: str) -> None:
        """Note the reply to the registration that was the act ``act``."""

    def own(self, agent_id: str) -> str | None:
        """The newest ``last_seen`` that we caused; None if that is unknown, or acts followed it."""


def is_newer(seen: str, own: str) -> bool:
    return moment(seen) > moment(own)


def agent_of(board: Board, agent_id: str) -> Agent | None:
    """The agent's row on the board."""
    return next((agent for agent in board.agents() if agent.agent_id == agent_id), None)


def is_fresh(board: Board, agent: Agent, seconds: float) -> bool:
    """Whether the agent was seen less than ``seconds`` ago, by the board's own clock."""
    now = board.health().timestamp
    return now is None or moment(agent.last_seen) + timedelta(seconds=seconds) > moment(now)


def twin_of(board: Board, agent_id: str) -> str | None:
    """Why somebody else must be using ``agent_id``; None if nothing says so. Looks twice before it does."""
    if _foreign(board, agent_id) is None:
        return None
    time.sleep(LOOK_AGAIN)
    seen = _foreign(board, agent_id)
    if seen is None:
        return None
    return f"agent {agent_id} is used by somebody else, too: the board heard from it at {seen} UTC, and not from here"


def _foreign(board: Board, agent_id: str) -> str | None:
    # The log is read after the board: what we do meanwhile is noted before it is done.
    agent = agent_of(board, agent_id)
    own = board.seen.own(agent_id) if board.seen is not None else None
    if agent is None or own is None or not is_newer(agent.last_seen, own):
        return None
    return agent.last_seen
