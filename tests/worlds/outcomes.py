"""What an agent says in the end, and how its program ends."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

from tests.worlds.declared import Register

if TYPE_CHECKING:
    from tests.worlds.agent import Agent

OUTCOMES: Register[..., int] = Register("outcome")


def say(outcome: dict[str, Any]) -> None:
    """Write the outcome where the runner looks for it."""
    with open(os.environ["HPM_OUTCOME_FILE"], "w", encoding="utf-8") as file:
        json.dump(outcome, file)


@OUTCOMES.declare(weight=6.0)
def done(agent: Agent) -> int:
    """It says that the task is done."""
    say({"status": "done", "summary": "did \x1b[31mas told\x07"})
    return 0


@OUTCOMES.declare(rows=("B4",))
def no_change(agent: Agent) -> int:
    """It says that no change was needed."""
    say({"status": "done", "summary": "it is so already", "no_change": True})
    return 0


@OUTCOMES.declare()
def blocked(agent: Agent) -> int:
    """It says that it is blocked."""
    say({"status": "blocked", "summary": "no \x1b]0;title\x07database"})
    return 0


@OUTCOMES.declare(rows=("B11",))
def silent(agent: Agent) -> int:
    """It ends with 0 and says nothing."""
    return 0


@OUTCOMES.declare()
def die(agent: Agent) -> int:
    """It is killed before it can say anything."""
    os.kill(agent.pid, signal.SIGKILL)
    return 1
