"""Acts that leave an operation of git half done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.worlds.acting import ACTS, a_kind

if TYPE_CHECKING:
    from tests.worlds.agent import Agent


def diverge(agent: Agent) -> str:
    """Two commits that do not go together: HEAD has one, the other is returned."""
    agent.git("checkout", "-q", "--detach")
    agent.commit_file("README.md", "Theirs")
    theirs = agent.said("rev-parse", "HEAD")
    agent.git("checkout", "-q", agent.home or "HEAD~1")
    agent.commit_file("README.md", "Ours")
    return theirs


@ACTS.declare(rows=("C2",), draw=a_kind("merge", "rebase", "cherry-pick", "merge --squash"))
def conflict(agent: Agent, kind: str) -> None:
    """It begins a merge, rebase or cherry-pick, meets a conflict, and leaves it so."""
    theirs = diverge(agent)
    agent.git(*kind.split(), theirs)


@ACTS.declare(rows=("C2",))
def revert_half_way(agent: Agent) -> None:
    """It begins to revert a commit, meets a conflict, and leaves it so."""
    agent.commit_file("README.md", "First")
    agent.commit_file("README.md", "Second")
    agent.git("revert", "--no-edit", "HEAD~1")


@ACTS.declare(rows=("C2",), draw=a_kind("edit", "break"))
def rebase_by_hand(agent: Agent, kind: str) -> None:
    """It stops in the middle of an interactive rebase, with commits still to be picked."""
    for number in range(2):
        agent.commit_file(f"picked-{number}.txt", "To be picked")
    editor = "sed -i s/^pick/edit/" if kind == "edit" else "sed -i 1ibreak"
    agent.git("-c", f"sequence.editor={editor}", "rebase", "-q", "-i", "HEAD~2")
    agent.write("while-rebasing.txt")


@ACTS.declare(rows=("C2",))
def patch_half_way(agent: Agent) -> None:
    """It applies a patch that does not fit, and leaves it so."""
    theirs = diverge(agent)
    patch = agent.said("format-patch", "--stdout", "--full-index", "-1", theirs)
    agent.git("am", "-q", "-3", text=patch + "\n")


@ACTS.declare(rows=("C2",))
def bisect(agent: Agent) -> None:
    """It looks for a commit by bisection and stops half-way."""
    first = agent.said("rev-parse", "HEAD")
    for number in range(3):
        agent.commit_file(f"step-{number}.txt", "Step")
    agent.git("bisect", "start", "HEAD", first)


@ACTS.declare(
    rows=("C2",), draw=a_kind("FETCH_HEAD", "EXPERIMENT_HEAD", "refs/worktree/idea", "refs/bisect/idea")
)
def loose_commit(agent: Agent, kind: str) -> None:
    """It makes a commit that only a reference of its own worktree names."""
    blob = agent.said("hash-object", "-w", "--stdin", text=agent.text())
    tree = agent.said("mktree", text=f"100644 blob {blob}\tloose.txt\n")
    commit = agent.said("commit-tree", tree, "-m", f"Loose {agent.label}")
    agent.said("update-ref", kind, commit)
