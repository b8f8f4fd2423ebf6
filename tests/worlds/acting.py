"""The register of what an agent can do, and what acts share.

An act is robust in any state, for the program that it is part of is random: git may fail, and an OSError of an act is
noted and passed over. It stays below the world's own directory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.worlds.declared import Register

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.worlds.agent import Agent

ACTS: Register[..., None] = Register("act")

RARE = 0.4
"""The weight of acts after which a repository works no more: more of them would leave little else to see."""

NAMES = ("new.txt", "src/shop.py", "README.md", "deep/er/new.txt", "with blank.txt", "ünï.txt", "-dash.txt")
TRACKED = ("src/shop.py", "README.md")


def a_path(chance: Random) -> dict[str, Any]:
    return {"path": chance.choice(NAMES)}


def a_kind(*kinds: str) -> Callable[[Random], dict[str, Any]]:
    """Draws ``kind``."""
    return lambda chance: {"kind": chance.choice(kinds)}


def git_directory(agent: Agent) -> str:
    """The git directory of the agent's own place; OSError if git finds none."""
    return agent.said("rev-parse", "--absolute-git-dir")


def common_directory(agent: Agent) -> str:
    """The git directory that all worktrees share; OSError if git finds none."""
    return agent.said("rev-parse", "--path-format=absolute", "--git-common-dir")


def go_home(agent: Agent) -> None:
    """Back to the branch that the agent began on."""
    agent.git("checkout", "-q", agent.home or "--detach")
