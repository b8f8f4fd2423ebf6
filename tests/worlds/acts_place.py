"""Acts by which an agent's worktree is not where, or what, it was."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from tests.worlds.acting import ACTS, RARE, a_kind

if TYPE_CHECKING:
    from tests.worlds.agent import Agent


@ACTS.declare(rows=("D2",), draw=a_kind("the worktree", "all worktrees"), weight=2 * RARE)
def link_place(agent: Agent, kind: str) -> None:
    """It puts a link in the place of its worktree, or of the directory of all of them."""
    if agent.is_in_checkout:
        return
    place = agent.cwd if kind == "the worktree" else str(agent.main / ".worktrees")
    moved = agent.elsewhere / f"moved-{agent.label}"
    agent.watch(moved)
    os.rename(place, moved)
    os.symlink(agent.elsewhere, place)


@ACTS.declare(
    rows=("D2",),
    draw=a_kind("moved", "by git", "an empty directory instead", "a file instead", "deep down"),
    weight=2 * RARE,
)
def move_place(agent: Agent, kind: str) -> None:
    """It moves its worktree away."""
    if agent.is_in_checkout:
        return
    moved = agent.elsewhere / f"away-{agent.label}"
    agent.watch(moved)
    if kind == "by git":
        agent.git("worktree", "unlock", agent.cwd)
        agent.git("worktree", "move", agent.cwd, str(moved))
        return
    if kind == "deep down":
        os.makedirs(moved / "a" / "b")
        moved = moved / "a" / "b" / "c"
    os.rename(agent.cwd, moved)
    if kind == "an empty directory instead":
        os.mkdir(agent.cwd)
    elif kind == "a file instead":
        agent.write(agent.cwd)


@ACTS.declare(rows=("D2", "D4b"), weight=2 * RARE)
def delete_place(agent: Agent) -> None:
    """It deletes its worktree."""
    if not agent.is_in_checkout:
        shutil.rmtree(agent.cwd)


@ACTS.declare(rows=("D4b",), draw=a_kind("missing", "nonsense", "to nowhere", "to the checkout", "directory"))
def break_pointer(agent: Agent, kind: str) -> None:
    """It spoils the file that says where its worktree's repository is."""
    if agent.is_in_checkout:
        return
    os.unlink(".git")
    match kind:
        case "nonsense":
            agent.write(".git", "nonsense\n")
        case "to nowhere":
            agent.write(".git", "gitdir: /nowhere/at/all\n")
        case "to the checkout":
            agent.write(".git", f"gitdir: {agent.main / '.git'}\n")
        case "directory":
            os.mkdir(".git")


@ACTS.declare(draw=a_kind("its place", "its directory in .git", "the worktrees"))
def close_place(agent: Agent, kind: str) -> None:
    """It takes the permissions away from its place, or from where it is registered."""
    if agent.is_in_checkout:
        return
    place = {"its place": agent.cwd, "the worktrees": str(agent.main / ".worktrees")}.get(kind)
    os.chmod(place or agent.said("rev-parse", "--absolute-git-dir"), 0o555)
