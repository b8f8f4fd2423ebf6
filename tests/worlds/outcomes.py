"""What an agent says in the end, and how its program ends."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from tests.worlds.declared import Register

if TYPE_CHECKING:
    from random import Random

    from tests.worlds.agent import Agent

OUTCOMES: Register[..., int] = Register("outcome")


def say(agent: Agent, outcome: Any) -> None:
    """Write the outcome where the runner looks for it."""
    put(agent, json.dumps(outcome))


def put(agent: Agent, text: str) -> None:
    """Have the outcome file hold ``text``; an earlier act may be in the way."""
    try:
        agent.write(os.environ["HPM_OUTCOME_FILE"], text)
    except OSError as error:
        agent.note("failed", "outcome", repr(error))


@OUTCOMES.declare(weight=6.0)
def done(agent: Agent) -> int:
    """It says that the task is done."""
    say(agent, {"status": "done", "summary": "did \x1b[31mas told\x07"})
    return 0


@OUTCOMES.declare(rows=("B4",))
def no_change(agent: Agent) -> int:
    """It says that no change was needed."""
    say(agent, {"status": "done", "summary": "it is so already", "no_change": True})
    return 0


@OUTCOMES.declare()
def blocked(agent: Agent) -> int:
    """It says that it is blocked."""
    say(agent, {"status": "blocked", "summary": "no \x1b]0;title\x07database"})
    return 0


@OUTCOMES.declare()
def failed(agent: Agent) -> int:
    """It says that it failed."""
    say(agent, {"status": "failed", "summary": "could not", "findings": ["no idea\u202e", "\x9b31m"]})
    return 1


@OUTCOMES.declare()
def rejected(agent: Agent) -> int:
    """It says that what was to be reviewed has faults."""
    say(
        agent,
        {
            "status": "rejected",
            "summary": "two faults",
            "findings": ["README is empty", "commit: 0\nbranch: x"],
        },
    )
    return 0


@OUTCOMES.declare(rows=("B11",))
def silent(agent: Agent) -> int:
    """It ends with 0 and says nothing."""
    return 0


def a_code(chance: Random) -> dict[str, Any]:
    return {"code": chance.choice((1, 3, 75, 78, 137, 143))}


@OUTCOMES.declare(draw=a_code)
def silent_failure(agent: Agent, code: int) -> int:
    """It ends with another exit code and says nothing."""
    return code


@OUTCOMES.declare(rows=("B13",))
def refused(agent: Agent) -> int:
    """Its service refused it: a line on stderr and exit code 1."""
    print("API Error: 401 invalid x-api-key", file=sys.stderr, flush=True)
    return 1


@OUTCOMES.declare(draw=lambda chance: {"number": chance.choice((signal.SIGKILL, signal.SIGSEGV)).value})
def die(agent: Agent, number: int = signal.SIGKILL) -> int:
    """It is killed before it can say anything."""
    os.kill(agent.pid, number)
    return 1


def a_text(chance: Random) -> dict[str, Any]:
    return {
        "text": chance.choice(
            ("", "done", '{"status": "do', '{"status": "done"}' * 2, "\x00\ufffd", "[" * 50_000)
        )
    }


@OUTCOMES.declare(draw=a_text)
def garbage(agent: Agent, text: str) -> int:
    """What it writes as its outcome is no JSON."""
    put(agent, text)
    return 0


def a_wrong_one(chance: Random) -> dict[str, Any]:
    wrong: tuple[Any, ...] = (
        [], 5, None, {"status": 1, "summary": "x"}, {"status": "approved", "summary": "x"}, {"summary": "x"},
        {"status": "done", "summary": ["x"]}, {"status": "done", "summary": "x", "no_change": "true"},
        {"status": "blocked", "summary": "x", "findings": "none"}, {"status": "done", "summary": "x", "cost_usd": -1},
    )  # fmt: skip
    return {"outcome": chance.choice(wrong)}


@OUTCOMES.declare(draw=a_wrong_one)
def wrong_type(agent: Agent, outcome: Any) -> int:
    """Its outcome is JSON of another shape."""
    say(agent, outcome)
    return 0


@OUTCOMES.declare(rows=("B11",), draw=lambda chance: {"status": chance.choice(("done", "blocked"))})
def printed(agent: Agent, status: str) -> int:
    """It only prints its outcome."""
    print(
        "That is all:\n```json\n" + json.dumps({"status": status, "summary": "printed"}, indent=1) + "\n```",
        flush=True,
    )
    return 0


@OUTCOMES.declare(rows=("B11",))
def two(agent: Agent) -> int:
    """It writes one outcome and prints another."""
    say(agent, {"status": "blocked", "summary": "no database"})
    print(json.dumps({"status": "done", "summary": "all done"}), flush=True)
    return 0


@OUTCOMES.declare()
def too_much(agent: Agent) -> int:
    """Its outcome is larger than anybody reads."""
    say(agent, {"status": "done", "summary": "word " * 400_000, "findings": ["x"] * 1000})
    return 0
