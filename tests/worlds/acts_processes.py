"""Acts that start programs or end the agent.

What is started ends by itself within a minute. Where its environment does not show whose it is, the log ``spawned``
has its process id and start time.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from tests.worlds.acting import ACTS, a_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worlds.agent import Agent

LIFE = 50
"""Seconds after which whatever was started ends."""

SHORTEST = 0.02


def sleep(environment: dict[str, str]) -> None:
    os.execve("/bin/sleep", ["sleep", str(LIFE)], environment)


def spawn(agent: Agent, does: Callable[[], object], *, twice: bool = False, quiet: bool = True) -> None:
    """Run ``does`` in a child, ``twice`` in a child of one that is over, ``quiet`` without the agent's output."""
    first = os.fork()
    if first:
        if twice:
            os.waitpid(first, 0)
        return
    try:
        if twice:
            os.setsid()
            if os.fork():
                os._exit(0)
        if quiet:
            nothing = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(nothing, number)
        signal.alarm(LIFE)
        does()
    finally:
        os._exit(0)


@ACTS.declare(draw=a_kind("quiet", "with its output open"))
def child(agent: Agent, kind: str) -> None:
    """It starts a program that stays when it ends."""
    spawn(agent, lambda: sleep(dict(os.environ)), quiet=kind == "quiet")


@ACTS.declare(draw=a_kind("with its environment", "with an empty environment"), weight=1.5)
def daemon(agent: Agent, kind: str) -> None:
    """It starts a daemon."""
    environment = dict(os.environ) if kind == "with its environment" else {}

    def become() -> None:
        agent.note_spawned()
        sleep(environment)

    spawn(agent, become, twice=True)


@ACTS.declare(draw=a_kind("child", "daemon"), weight=0.5)
def stubborn(agent: Agent, kind: str) -> None:
    """It starts a program that does not heed SIGTERM."""

    def stay() -> None:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        sleep(dict(os.environ))

    spawn(agent, stay, twice=kind == "daemon")


@ACTS.declare(rows=("A1",), draw=a_kind("child", "daemon"))
def late_writer(agent: Agent, kind: str) -> None:
    """It starts a program that goes on writing into its place when it has ended."""
    agent_pid, place = agent.pid, agent.cwd

    def write() -> None:
        path = os.path.join(place, f"late-{agent.label}.txt")
        while os.path.exists(f"/proc/{agent_pid}"):
            time.sleep(SHORTEST)
        for number in range(int(LIFE / SHORTEST)):
            with open(path, "a", encoding="utf-8") as file:
                file.write(f"late {number}\n")
            time.sleep(SHORTEST)

    spawn(agent, write, twice=kind == "daemon")


@ACTS.declare()
def deaf(agent: Agent) -> None:
    """It does not heed SIGTERM from now on."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@ACTS.declare(
    draw=lambda chance: {
        "number": chance.choice((signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGHUP)).value
    },
    weight=0.5,
)
def die(agent: Agent, number: int) -> None:
    """It is killed in the middle of its work."""
    agent.note("acts", "die")
    agent.ledger.end("die")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(agent.pid, number)


@ACTS.declare(draw=lambda chance: {"name": "0"}, weight=0.0)
def meet(agent: Agent, name: str) -> None:
    """It stands still while something happens around it."""
    agent.meet(name)
