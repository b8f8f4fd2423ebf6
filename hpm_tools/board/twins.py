"""Notices that another process somewhere works under the same agent id: the board would let both.

The real board moves an agent's ``last_seen`` by its registrations alone, ours by each of its acts
(docs/headless-pm.md, Agents). One that nobody in this state directory caused is somebody else's.
Only the board's own times are compared with each other, never with this machine's clock.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from hpm_tools.board.errors import InUse
from hpm_tools.board.models import moment
from hpm_tools.errors import HpmError
from hpm_tools.local_time import at

if TYPE_CHECKING:
    from hpm_tools.board.client import Board
    from hpm_tools.board.models import Agent, Registration, Task


GONE_AFTER = 120.0


class SeenLog(Protocol):
    """What the commands of one state directory know of an agent's ``last_seen``: state/last_seen.py."""

    def acting(self, agent_id: str) -> int:
        """Note, before it is done, an act that may move ``last_seen``; the act's number."""

    def acted(self, agent_id: str, act: int, last_seen: str | None = None) -> None:
        """Note that ``act`` is over, and the ``last_seen`` that the board answered, where it did."""

    def own(self, agent_id: str) -> str | None:
        """The ``last_seen`` that the board has unless somebody else moved it; None if that is unknown."""

    def alone_since(self, agent_id: str, act: int) -> bool:
        """Whether all acts here from ``act`` on were the caller's."""


def agent_of(board: Board, agent_id: str) -> Agent | None:
    """The agent's row on the board."""
    return next((agent for agent in board.agents() if agent.agent_id == agent_id), None)


def is_newer(seen: str, own: str) -> bool:
    return moment(seen) > moment(own)


def is_fresh(board: Board, last_seen: str, seconds: float) -> bool:
    """Whether ``last_seen`` is less than ``seconds`` ago, by the board's own clock."""
    now = board.health().timestamp
    return now is None or moment(last_seen) + timedelta(seconds=seconds) > moment(now)


def foreign(board: Board, agent_id: str, beat: float) -> str | None:
    """The board's ``last_seen`` of the agent where somebody else moved it of late; None if nothing says so.

    Must be asked before the agent registers again, which would hide it. ``beat``: seconds between two registrations
    of a runner at work; one that was not heard for twice as long, and 120 seconds, is gone. An older ``last_seen`` than
    ours is no twin's: the board's database was restored, or its clock set back.
    """
    # The log is read after the board: what is done here meanwhile is noted before it is done.
    agent = agent_of(board, agent_id)
    own = board.seen.own(agent_id) if board.seen is not None else None
    if agent is None or own is None or not is_newer(agent.last_seen, own):
        return None
    return agent.last_seen if is_fresh(board, agent.last_seen, max(GONE_AFTER, 2 * beat)) else None


def in_use(agent_id: str, seen: str) -> str:
    """What is told of a twin that the board heard from at ``seen``."""
    return f"agent {agent_id} is used by somebody else, too: the board heard from it at {at(seen)}, and not from here"


def settle(board: Board, agent_id: str) -> str | None:
    """Read back what ``last_seen`` is after acts of ours whose answers did not tell; returns it.

    Until then a twin's registration could not be told from those acts. Nothing is raised: the next
    registration settles it as well.
    """
    if board.seen is None:
        return None
    act = board.seen.acting(agent_id)
    seen = None
    try:
        agent = agent_of(board, agent_id)
        seen = agent.last_seen if agent is not None else None
    except HpmError:
        return None
    finally:
        board.seen.acted(agent_id, act, seen)
    return seen


def refuse_second_taker(
    board: Board, registration: Registration, task: Task, *, exact: bool, refused: bool
) -> None:
    """Raise InUse if somebody else took ``task`` under the same id while we did.

    To be called after registering, asking once for the lock and reading back, for a task that was free when it was
    offered. ``refused``: the lock was this agent's already. Of two that ask our board (``exact``) it refuses one. The
    real board may answer 200 to both; then both had registered before either looks here, and one of them finds the
    other's registration instead of its own.
    """
    agent_id, registered = registration.agent.agent_id, registration.agent.last_seen
    locked = task.locked_at or registered
    if refused or is_newer(registered, locked):
        raise InUse(
            f"agent {agent_id} is used by somebody else, too, who locked task {task.id} at {at(locked)}"
        )
    seen = settle(board, agent_id)
    alone = board.seen is not None and board.seen.alone_since(agent_id, registration.act)
    if seen is not None and seen != registered and alone and not exact:
        raise InUse(in_use(agent_id, seen))
