"""Whether this agent id is at work somewhere else, with another state directory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hpm_tools.board import lease, twins
from hpm_tools.board.errors import InUse
from hpm_tools.board.offering import OFFERED
from hpm_tools.errors import BadData, BoardUnreachable, HpmError
from hpm_tools.local_time import at
from hpm_tools.state.last_seen import LastSeen
from hpm_tools.state.views import all_records

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpm_tools.board.models import Agent
    from hpm_tools.runner.toolbox import Toolbox

BEATS = 2
LOOKS_PER_BEAT = 4


def refuse_twin(tools: Toolbox) -> None:
    """InUse (75) if somebody else was heard under this agent's id lately. Must be asked before we register again.

    A list of agents that cannot be read stops no work: the beats look again, and see a twin's beats.
    """
    try:
        seen = twins.foreign(tools.board, tools.agent_id, tools.config.heartbeat_interval)
    except BoardUnreachable:
        raise
    except HpmError as error:
        tools.ui.warn(f"whether {tools.agent_id} is used elsewhere, too, cannot be seen: {error.message}")
        return
    if seen is not None:
        raise in_use(tools, twins.in_use(tools.agent_id, seen))


def in_use(tools: Toolbox, why: str) -> InUse:
    """The error for a twin: what was seen, and what to do."""
    return InUse(
        why,
        f"end the other one, or give each host agents of its own; hpm run --agent-id {tools.agent_id} "
        f"--role {tools.role} --take-over starts here all the same",
    )


def wait_for_twin(tools: Toolbox, sleep: Callable[[float], None]) -> None:
    """At a start: InUse (75) if the agent is at work elsewhere. Must be called before this start registers.

    An agent that the board heard from less than two beats ago, and not from here, may be at work or may just have
    died: only one that is heard again within two beats is alive. Nothing is waited for where the agent holds no task,
    for idle runners do not register: then the first of the two that takes a task is seen by the other (`refuse_twin`).
    """
    first, beat = suspect(tools), tools.config.heartbeat_interval
    if first is None:
        return
    text = (
        f"the board heard from {tools.agent_id} at {at(first.last_seen)}, but not from here: waiting {BEATS * beat:.0f} s "
        "to see whether it works elsewhere (--take-over skips this)"
    )
    tools.ui.note(text)
    tools.ui.progress("waiting", text)
    deadline = time.monotonic() + BEATS * beat
    while (left := deadline - time.monotonic()) > 0:
        sleep(min(left, beat / LOOKS_PER_BEAT))
        now = twins.agent_of(tools.board, tools.agent_id)
        # Also an earlier one: the board's clock may have been set back.
        if now is not None and now.last_seen != first.last_seen:
            raise in_use(
                tools,
                f"agent {tools.agent_id} works elsewhere: the board heard from it again at {at(now.last_seen)}",
            )


def warn_of_twin(tools: Toolbox) -> None:
    """Say that a command by hand is about to stop a runner elsewhere, if one seems to be at work."""
    found = suspect(tools)
    if found is not None:
        tools.ui.warn(
            f"agent {tools.agent_id} may be at work on another host: the board heard from it at {at(found.last_seen)}, "
            "and not from here. A runner there takes this for a second one and stops; people use agent ids of their own"
        )


def suspect(tools: Toolbox) -> Agent | None:
    """This agent as the board has it, if it holds a task and was heard less than two beats ago, but not from here."""
    try:
        agent = twins.agent_of(tools.board, tools.agent_id)
    except BadData:
        return None
    if agent is None or not _unknown(tools, agent):
        return None
    if not twins.is_fresh(tools.board, agent.last_seen, BEATS * tools.config.heartbeat_interval):
        return None
    return agent if _holds_a_task(tools) else None


def _unknown(tools: Toolbox, agent: Agent) -> bool:
    log = LastSeen(tools.state, tools.board_key)
    if log.was_killed(tools.agent_id):
        return False  # its act may be what the board heard; the beats find a twin out
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
