"""Acts on the files of an agent's place, as any program does them."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from tests.worlds.acting import ACTS, NAMES, TRACKED, a_kind, a_path

if TYPE_CHECKING:
    from random import Random

    from tests.worlds.agent import Agent

REGENERABLE = (
    "node_modules", ".venv", "target", "build", "dist", ".next", ".turbo", "coverage", "DerivedData", "obj",
)  # fmt: skip
KEPT = (".git", ".worktrees")


def a_move(chance: Random) -> dict[str, Any]:
    old, new = chance.sample((*NAMES, "src", "moved/file.txt"), 2)
    return {"path": old, "to": new}


@ACTS.declare(draw=a_path, weight=6.0)
def edit(agent: Agent, path: str) -> None:
    """It writes a file."""
    agent.write(path)


@ACTS.declare(draw=a_path, weight=2.0)
def append(agent: Agent, path: str) -> None:
    """It adds lines to a file."""
    before = ""
    if os.path.isfile(path) and not os.path.islink(path):
        with open(path, encoding="utf-8", errors="replace") as file:
            before = file.read()
    agent.write(path, before + agent.text(3))


@ACTS.declare(draw=a_path, weight=2.0)
def delete(agent: Agent, path: str) -> None:
    """It deletes a file."""
    if os.path.lexists(path) and not os.path.isdir(path):
        os.unlink(path)


@ACTS.declare()
def delete_all(agent: Agent) -> None:
    """It deletes all files of its place."""
    for name in os.listdir("."):
        if name in KEPT:
            continue
        if os.path.isdir(name) and not os.path.islink(name):
            shutil.rmtree(name)
        else:
            os.unlink(name)


@ACTS.declare(draw=a_move)
def rename(agent: Agent, path: str, to: str) -> None:
    """It renames a file or directory."""
    os.makedirs(os.path.dirname(to) or ".", exist_ok=True)
    os.rename(path, to)


@ACTS.declare()
def case_rename(agent: Agent) -> None:
    """It renames a file so that only the case of its name changes."""
    os.rename("README.md", "Readme.md")


@ACTS.declare(draw=a_path)
def executable(agent: Agent, path: str) -> None:
    """It makes a file executable, and changes nothing else of it."""
    os.chmod(path, 0o755, follow_symlinks=True)


@ACTS.declare(draw=a_kind("inside", "dangling", "loop", "to the checkout", "to somebody's file", "directory"))
def link(agent: Agent, kind: str) -> None:
    """It makes a symbolic link."""
    target = {
        "inside": "README.md",
        "dangling": "nowhere/at/all",
        "loop": f"link-{agent.label}-loop",
        "to the checkout": str(agent.main / "README.md"),
        "to somebody's file": str(agent.elsewhere / "letter.txt"),
        "directory": str(agent.elsewhere),
    }[kind]
    os.symlink(target, f"link-{agent.label}-{kind.partition(' ')[0]}")


@ACTS.declare(draw=a_kind("to somebody's file", "to a tracked file", "of its own"))
def hard_link(agent: Agent, kind: str) -> None:
    """It makes a hard link."""
    name = f"hard-{agent.label}.txt"
    if kind == "of its own":
        agent.write("source.txt")
        os.link("source.txt", name)
    else:
        os.link(agent.elsewhere / "letter.txt" if kind == "to somebody's file" else "README.md", name)


@ACTS.declare(draw=a_kind("file to directory", "directory to file", "file to link"))
def other_type(agent: Agent, kind: str) -> None:
    """It makes something else of a tracked file or directory."""
    if kind == "directory to file":
        shutil.rmtree("src")
        agent.write("src")
        return
    os.unlink("README.md")
    if kind == "file to link":
        os.symlink("src/shop.py", "README.md")
    else:
        agent.write("README.md/inside.txt")


@ACTS.declare(rows=("C1",), draw=lambda chance: {"path": chance.choice(TRACKED)})
def same_size(agent: Agent, path: str) -> None:
    """It changes a tracked file and keeps its size and its times."""
    found = os.stat(path)
    with open(path, "rb") as file:
        before = file.read()
    mark = f"{agent.task['id']}{agent.run}{agent.written + 1}".encode()
    agent.written += 1
    if len(before) > len(mark):
        os.unlink(path)
        with open(path, "wb") as file:
            file.write(mark + before[len(mark) :])
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


@ACTS.declare(rows=("C7",), weight=2.0)
def ignored(agent: Agent) -> None:
    """It writes a file that is ignored and can be made by nobody else."""
    agent.write(f"secret.txt-{agent.label}")


@ACTS.declare(rows=("C7",), draw=lambda chance: {"name": chance.choice(REGENERABLE)}, weight=2.0)
def regenerable(agent: Agent, name: str) -> None:
    """It builds, which leaves a directory that is ignored and can be made again."""
    if os.path.isdir(name):
        return
    agent.spare(name)
    agent.write(f"{name}/.gitignore", "*\n")
    for number in range(5):
        agent.write(f"{name}/package-{number}/index.js")


@ACTS.declare(rows=("B7",), draw=a_kind("checkout", "beside"))
def outside(agent: Agent, kind: str) -> None:
    """It writes a file outside its place, as `../../note.txt` does from a worktree."""
    place = agent.elsewhere if kind == "beside" or agent.is_in_checkout else agent.main
    path = place / f"note-{agent.label}.txt"
    agent.watch(path)
    agent.write(str(path))
