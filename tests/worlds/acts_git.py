"""Acts with git as people and agents use it: commits, resets, the stash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.worlds.acting import ACTS, a_kind, go_home

if TYPE_CHECKING:
    from tests.worlds.agent import Agent


@ACTS.declare(weight=4.0)
def commit(agent: Agent) -> None:
    """It commits all that is there."""
    agent.git("add", "-A")
    agent.git("commit", "-q", "-m", f"Work of run {agent.run}")


@ACTS.declare()
def commit_part(agent: Agent) -> None:
    """It commits one of its files, stages another, and leaves a third."""
    agent.commit_file("part.txt", "Part of the work")
    agent.write("staged.txt")
    agent.git("add", "staged.txt")
    agent.write("staged.txt")
    agent.write("left.txt")


@ACTS.declare(rows=("B2",))
def commit_empty(agent: Agent) -> None:
    """It makes an empty commit."""
    agent.git("commit", "-q", "--allow-empty", "-m", "Nothing")


@ACTS.declare(draw=a_kind("no message", "strange author", "many lines"))
def commit_oddly(agent: Agent, kind: str) -> None:
    """It makes a commit with an odd message or author."""
    agent.write("odd.txt")
    agent.git("add", "-A", "odd.txt")
    match kind:
        case "no message":
            agent.git("commit", "-q", "--allow-empty-message", "-m", "")
        case "strange author":
            agent.git(
                "commit", "-q", "-m", "Odd", "--author", "\u202ewho\x1b[31m <a@b\x07>", "--date", "@1 -1200"
            )
        case _:
            agent.git("commit", "-q", "-m", "Odd\n\nbranch: main\ncommit: " + "0" * 40 + "\n" * 300)


@ACTS.declare()
def amend(agent: Agent) -> None:
    """It amends the last commit, whosesoever it is."""
    agent.write("amended.txt")
    agent.git("add", "-A")
    agent.git("commit", "-q", "--amend", "-m", f"Amended in {agent.label}")


@ACTS.declare(rows=("B2",))
def revert(agent: Agent) -> None:
    """It reverts the last commit."""
    agent.git("revert", "--no-edit", "HEAD")


@ACTS.declare(rows=("B2",))
def commit_and_revert(agent: Agent) -> None:
    """It makes a commit and reverts it."""
    agent.commit_file("reverted.txt", "Try")
    agent.git("revert", "--no-edit", "HEAD")


@ACTS.declare(rows=("C2",), draw=a_kind("--soft", "--mixed", "--hard"))
def reset(agent: Agent, kind: str) -> None:
    """It resets its branch to the commit before the last."""
    agent.git("reset", "-q", kind, "HEAD~1")


@ACTS.declare(rows=("B7",), weight=2.0)
def stash(agent: Agent) -> None:
    """It stashes all that is uncommitted."""
    agent.git("stash", "push", "-q", "-u")


@ACTS.declare(rows=("B7",))
def work_and_stash(agent: Agent) -> None:
    """It writes a file and stashes it."""
    agent.write("stashed.txt")
    agent.git("stash", "push", "-q", "-u", "-m", f"later {agent.label}")


@ACTS.declare(rows=("B7",))
def pop_stash(agent: Agent) -> None:
    """It takes the newest entry of the stash back, whosesoever it is."""
    agent.git("stash", "pop", "-q")


@ACTS.declare(rows=("B7", "C5"), draw=lambda chance: {"number": chance.randrange(3)})
def drop_stash(agent: Agent, number: int) -> None:
    """It deletes one entry of the stash, whosesoever it is."""
    agent.git("stash", "drop", "-q", f"stash@{{{number}}}")


@ACTS.declare(rows=("C5",))
def clear_stash(agent: Agent) -> None:
    """It deletes every stash, the operator's, too."""
    agent.git("stash", "clear")


@ACTS.declare(rows=("B7",), draw=a_kind("comes back", "stays", "comes back and deletes it"), weight=1.5)
def own_branch(agent: Agent, kind: str) -> None:
    """It makes a branch of its own and commits there."""
    name = f"own-{agent.label}-{agent.written}"
    agent.git("checkout", "-q", "-b", name)
    agent.commit_file("own.txt", "On a branch of its own")
    if kind != "stays":
        go_home(agent)
    if kind == "comes back and deletes it":
        agent.git("branch", "-q", "-D", name)


@ACTS.declare()
def switch_back(agent: Agent) -> None:
    """It goes back to the branch that it began on."""
    go_home(agent)


@ACTS.declare(rows=("B7", "C2"), draw=a_kind("stays", "comes back"))
def detach(agent: Agent, kind: str) -> None:
    """It commits on no branch."""
    agent.git("checkout", "-q", "--detach")
    agent.commit_file("detached.txt", "On no branch")
    if kind == "comes back":
        go_home(agent)


@ACTS.declare(rows=("C2", "C5"), draw=a_kind("expire", "gc", "expire and prune"))
def clean(agent: Agent, kind: str) -> None:
    """It has git forget and throw away what no branch reaches."""
    if kind != "gc":
        agent.git("reflog", "expire", "--expire=now", "--all")
    if kind != "expire":
        agent.git("gc", "-q", "--prune=now")


@ACTS.declare(draw=a_kind("--assume-unchanged", "--skip-worktree", "--intent-to-add"))
def hide(agent: Agent, kind: str) -> None:
    """It changes a file that it told git to take for unchanged, or for staged."""
    if kind == "--intent-to-add":
        agent.write("intended.txt")
        agent.git("add", "-N", "intended.txt")
    else:
        agent.git("update-index", kind, "README.md")
        agent.write("README.md")
