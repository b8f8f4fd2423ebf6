"""Acts on branches and other references that are not the agent's to move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.worlds.acting import ACTS, RARE, a_kind, common_directory

if TYPE_CHECKING:
    from tests.worlds.agent import Agent


@ACTS.declare(rows=("D4b",), draw=a_kind("checked out elsewhere", "under its feet"))
def delete_branch(agent: Agent, kind: str) -> None:
    """It deletes the branch that it works on."""
    if not agent.home:
        return
    if kind == "under its feet":
        agent.git("update-ref", "-d", f"refs/heads/{agent.home}")
    else:
        agent.git("checkout", "-q", "--detach")
        agent.git("branch", "-q", "-D", agent.home)


@ACTS.declare(rows=("D4b",))
def rename_branch(agent: Agent) -> None:
    """It gives the branch that it works on another name."""
    agent.git("branch", "-m", f"renamed-{agent.label}")


@ACTS.declare(rows=("F2",), draw=a_kind("to its commit", "to a loose commit", "deleted"))
def move_main(agent: Agent, kind: str) -> None:
    """It moves the main branch."""
    if kind == "deleted":
        if not agent.is_in_checkout:
            agent.git("update-ref", "-d", "refs/heads/main")
        return
    to = "HEAD"
    if kind == "to a loose commit":
        to = agent.said("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", f"Loose {agent.label}")
    agent.git("update-ref", "refs/heads/main", to)


@ACTS.declare(
    rows=("F2",),
    draw=a_kind("tag", "annotated tag", "tag like the branch", "note", "remote", "replace", "hpm"),
)
def reference(agent: Agent, kind: str) -> None:
    """It makes a tag, a note, a replacement or another reference."""
    name = f"mark-{agent.label}"
    match kind:
        case "tag":
            agent.git("tag", name)
        case "annotated tag":
            agent.git("tag", "-a", "-m", "A mark", name)
        case "tag like the branch":
            agent.git("tag", agent.home or name)
        case "note":
            agent.git("notes", "add", "-m", f"A note of {agent.label}")
        case "remote":
            agent.git("update-ref", "refs/remotes/origin/main", "HEAD")
        case "replace":
            other = agent.said("commit-tree", "HEAD^{tree}", "-m", f"Another {agent.label}")
            agent.git("replace", "-f", "HEAD", other)
        case _:
            agent.git("update-ref", f"refs/hpm/salvage/{name}", "HEAD")


@ACTS.declare(rows=("F2",), draw=a_kind("another branch", "detached"))
def move_main_head(agent: Agent, kind: str) -> None:
    """It has the main checkout stand on something else."""
    if agent.is_in_checkout:
        return
    agent.git("branch", f"head-{agent.label}", "main")
    git = ("--git-dir", common_directory(agent))
    if kind == "detached":
        agent.git(*git, "update-ref", "--no-deref", "HEAD", "main")
    else:
        agent.git(*git, "symbolic-ref", "HEAD", f"refs/heads/head-{agent.label}")


@ACTS.declare(rows=("F2",), weight=RARE)
def forge_owner(agent: Agent) -> None:
    """It says of its branch that another task owns it."""
    for name in agent.said("for-each-ref", "--format=%(refname)", "refs/hpm").splitlines():
        if name.startswith("refs/hpm/owner/"):
            agent.git("update-ref", name, "HEAD")
