"""What an agent can do: each act is robust in any state, for the program that it is part of is random."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tests.worlds.declared import Register

if TYPE_CHECKING:
    from random import Random

    from tests.worlds.agent import Agent

ACTS: Register[..., None] = Register("act")
NAMES = ("new.txt", "src/shop.py", "README.md", "deep/er/new.txt", "with blank.txt", "ünï.txt", "-dash.txt")


def a_path(chance: Random) -> dict[str, Any]:
    return {"path": chance.choice(NAMES)}


@ACTS.declare(draw=a_path, weight=4.0)
def edit(agent: Agent, path: str) -> None:
    """It writes a file."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(agent.text())


@ACTS.declare(weight=3.0)
def commit(agent: Agent) -> None:
    """It commits all that is there."""
    agent.git("add", "-A")
    agent.git("commit", "-q", "-m", f"Work of run {agent.run}")


@ACTS.declare(rows=("B2",))
def commit_empty(agent: Agent) -> None:
    """It makes an empty commit."""
    agent.git("commit", "-q", "--allow-empty", "-m", "Nothing")


@ACTS.declare(rows=("B2",))
def revert(agent: Agent) -> None:
    """It reverts the last commit."""
    agent.git("revert", "--no-edit", "HEAD")


@ACTS.declare(rows=("B7",))
def stash(agent: Agent) -> None:
    """It stashes all that is uncommitted."""
    agent.git("stash", "push", "-q", "-u")


@ACTS.declare(rows=("C5",))
def clear_stash(agent: Agent) -> None:
    """It deletes every stash, the operator's, too."""
    agent.git("stash", "clear")


@ACTS.declare(draw=a_path)
def delete(agent: Agent, path: str) -> None:
    """It deletes a file."""
    if os.path.lexists(path) and not os.path.isdir(path):
        os.unlink(path)


@ACTS.declare(draw=lambda chance: {"name": "0"}, weight=0.0)
def meet(agent: Agent, name: str) -> None:
    """It stands still while something happens around it."""
    agent.meet(name)
