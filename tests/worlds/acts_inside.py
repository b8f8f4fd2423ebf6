"""Acts that make repositories and worktrees of the agent's own, and work in submodules."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.worlds.acting import ACTS, a_kind, git_directory

if TYPE_CHECKING:
    from random import Random

    from tests.worlds.agent import Agent


@ACTS.declare(
    rows=("C3",),
    draw=a_kind(
        "branches",
        "empty HEAD",
        "nonsense in HEAD",
        "no HEAD",
        "uncommitted",
        "stash",
        "bare",
        "broken pointer",
    ),
)
def nested_repository(agent: Agent, kind: str) -> None:
    """It makes a repository of its own below its place."""
    inner = os.path.abspath(f"experiment-{agent.label}")
    if kind == "bare":
        agent.git("clone", "-q", "--bare", str(agent.main), inner)
        os.unlink(f"{inner}/HEAD")
        return
    agent.git("init", "-q", "-b", "trunk", inner)
    agent.commit_file("inner.txt", "In a repository of its own", cwd=inner)
    for number in range(2):
        agent.git("checkout", "-q", "-b", f"side-{number}", cwd=inner)
        agent.commit_file(f"side-{number}.txt", "On a branch of it", cwd=inner)
        agent.git("checkout", "-q", "trunk", cwd=inner)
    head = f"{inner}/.git/HEAD"
    match kind:
        case "empty HEAD":
            agent.write(head, "")
        case "nonsense in HEAD":
            agent.write(head, "nonsense\n")
        case "no HEAD":
            os.unlink(head)
        case "uncommitted":
            agent.write("wip.txt", cwd=inner)
        case "stash":
            agent.write("inner.txt", cwd=inner)
            agent.git("stash", "push", "-q", cwd=inner)
        case "broken pointer":
            shutil.rmtree(f"{inner}/.git")
            agent.write(f"{inner}/.git", "gitdir: /nowhere/at/all\n")


def a_place(agent: Agent, kind: str, name: str) -> str:
    """The path ``name`` inside the agent's place, elsewhere, or among the worktrees."""
    tops = {"inside": Path(agent.cwd), "elsewhere": agent.elsewhere}
    return str(tops.get(kind, agent.main / ".worktrees") / name)


@ACTS.declare(rows=("B7", "C3"), draw=a_kind("inside", "among the worktrees", "elsewhere"))
def clone(agent: Agent, kind: str) -> None:
    """It clones the repository and commits in the clone."""
    name = f"clone-{agent.label}"
    place = a_place(agent, kind, name)
    agent.watch(place)
    agent.git("clone", "-q", str(agent.main), place)
    agent.commit_file("cloned.txt", "In a clone", cwd=place)


@ACTS.declare(rows=("B7", "C6"), draw=a_kind("inside", "among the worktrees", "elsewhere"), weight=1.5)
def worktree(agent: Agent, kind: str) -> None:
    """It makes a worktree of its own, and works there."""
    name = f"own-{agent.label}-{agent.written}"
    place = a_place(agent, kind, name)
    agent.watch(place)
    agent.git("worktree", "add", "-q", "-b", f"tree-{name}", place)
    if os.path.isdir(place):
        agent.commit_file("tree.txt", "In a worktree of its own", cwd=place)
        agent.write("uncommitted.txt", cwd=place)


@ACTS.declare(rows=("C1",), draw=a_kind("recorded", "there"))
def below_submodule(agent: Agent, kind: str) -> None:
    """It writes below the path of a submodule that is not filled."""
    path = "lib"
    if kind == "recorded" or not os.path.isdir(path):
        path = f"vendor/lib-{agent.label}"
        agent.git("update-index", "--add", "--cacheinfo", f"160000,{agent.said('rev-parse', 'HEAD')},{path}")
        agent.git("commit", "-q", "-m", "A submodule's path")
    agent.write(f"{path}/build/output.txt")
    agent.write(f"{path}/.hidden")


def submodule_work(chance: Random) -> dict[str, Any]:
    return {"path": "lib", "committed": chance.random() < 0.5, "recorded": chance.random() < 0.4}


@ACTS.declare(rows=("B5", "E7"), draw=submodule_work)
def in_submodule(agent: Agent, path: str, *, committed: bool, recorded: bool) -> None:
    """It works inside a submodule, where there is one."""
    if not os.path.isdir(path) or not os.path.exists(os.path.join(path, ".git")):
        return
    agent.write("work.txt", cwd=path)
    if committed:
        agent.commit_file("committed.txt", "In a submodule", cwd=path)
    if recorded:
        agent.git("add", path)
        agent.git("commit", "-q", "-m", "A newer submodule")


@ACTS.declare(rows=("C1", "E7"))
def add_submodule(agent: Agent) -> None:
    """It adds a submodule."""
    path = f"modules/{agent.label}"
    agent.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(agent.main), path)
    agent.git("commit", "-q", "-m", "Add a submodule")


@ACTS.declare(rows=("D4b",), draw=a_kind("empty", "with a commit", "moved aside"))
def replace_git(agent: Agent, kind: str) -> None:
    """It makes a repository of its own in the place of its worktree's."""
    if agent.is_in_checkout:
        return
    if kind == "moved aside":
        os.rename(".git", ".git-old")
    else:
        os.unlink(".git")
    agent.git("init", "-q", "-b", "main")
    if kind != "empty":
        agent.git("add", "-A")
        agent.git("commit", "-q", "-m", f"A repository of {agent.label}")


@ACTS.declare(rows=("C2",), draw=a_kind("logs", "objects", "file"))
def keep_in_admin(agent: Agent, kind: str) -> None:
    """It puts something of its own into its worktree's directory in .git."""
    directory = git_directory(agent)
    match kind:
        case "logs":
            commit = agent.said("commit-tree", "HEAD^{tree}", "-m", f"Logged {agent.label}")
            path = f"{directory}/logs/EXPERIMENT_HEAD"
            who = "An Agent <a@example.org> 1764460800 +0000\tkept"
            agent.write(path, f"{'0' * 40} {commit} {who}\n")
        case "objects":
            blob = agent.said("hash-object", "-w", "--stdin", text=agent.text())
            agent.write(f"{directory}/idea", f"{blob}\n")
        case _:
            agent.write(f"{directory}/notes.txt")
