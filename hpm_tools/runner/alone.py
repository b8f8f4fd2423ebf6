"""Whether this agent id is at work somewhere else, with another state directory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hpm_tools.board import lease, twins
from hpm_tools.board.offering import OFFERED
from hpm_tools.errors import TryLater
from hpm_tools.state.last_seen import LastSeen
from hpm_tools.state.views import all_records

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpm_tools.board.models import Agent
    from hpm_tools.runner.toolbox import Toolbox

BEATS = 2
LOOKS_PER_BEAT = 4


def another(tools: Toolbox, why: str) -> TryLater:
    """The error for a twin: what was seen, and what to do."""
    return TryLater(
        why,
        f"end the other one, or give each host agents of its own; hpm run --agent-id {tools.agent_id} "
        f"--role {tools.role} --take-over starts here all the same",
    )


def refuse_twin(tools: Toolbox) -> None:
    """TryLater (75) if somebody else registered this agent since we last did, and not long ago."""
    why = twins.twin_of(tools.board, tools.agent_id)
    if why is not None:
        agent = twins.agent_of(tools.board, tools.agent_id)
        if agent is not None and twins.is_fresh(tools.board, agent, BEATS * tools.config.heartbeat_interval):
            raise another(tools, why)


def wait_for_twin(tools: Toolbox, sleep: Callable[[float], None]) -> None:
    """At a start: TryLater (75) if the agent is at work elsewhere. Must be called before this start registers.

    An agent that the board saw less than two beats ago, and not through this state directory, may be at work or
    may just have died: only one that is seen again within two beats is alive. Nothing is waited for where the
    agent holds no task: then the first of two that takes one is found out by the other's beat.
    """
    first, beat = twins.agent_of(tools.board, tools.agent_id), tools.config.heartbeat_interval
    if first is None or not _unknown(tools, first) or not twins.is_fresh(tools.board, first, BEATS * beat):
        return
    if not _holds_a_task(tools):
        return
    tools.ui.note(
        f"the board heard from {tools.agent_id} at {first.last_seen} UTC, but not from here: waiting {BEATS * beat:.0f} s "
        "to see whether it works elsewhere (--take-over skips this)"
    )
    deadline = time.monotonic() + BEATS * beat
    while (left := deadline - time.monotonic()) > 0:
        sleep(min(left, beat / LOOKS_PER_BEAT))
        now = twins.agent_of(tools.board, tools.agent_id)
        if now is not None and twins.is_newer(now.last_seen, first.last_seen):
            raise another(
                tools,
                f"agent {tools.agent_id} works elsewhere: the board heard from it at {now.last_seen} UTC",
            )


def _unknown(tools: Toolbox, agent: Agent) -> bool:
    log = LastSeen(tools.state, tools.board_key)
    if log.acted_last(tools.agent_id):
        return False  # a command or runner of this host was killed after an act; the beats find a twin out
    own = log.own(tools.agent_id)
    if own is None:
        # A record, even a damaged one, shows that the agent was here before it was written down when.
        return all(view.agent_id != tools.agent_id for view in all_records(tools.state))
    return twins.is_newer(agent.last_seen, own)


def _holds_a_task(tools: Toolbox) -> bool:
    return any(
        task.locked_by == tools.agent_id
        for status in (lease.UNDER_WORK, *OFFERED)
        for task in tools.board.tasks(status=status)
    )
