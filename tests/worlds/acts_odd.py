"""Acts that leave what programs stumble over: too much, odd types, odd names, no permissions."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from tests.worlds.acting import ACTS, a_kind

if TYPE_CHECKING:
    from random import Random

    from tests.worlds.agent import Agent

MANY = 520
"""More than a site's limit (site.MOST_FILES)."""

SPARSE = 300 << 30
NAMES = {
    "no UTF-8": b"caf\xe9-%s.txt",
    "a line's end": b"two\nlines-%s.txt",
    "control characters": b"\x1b[31mred\x07-%s.txt",
    "long": b"n" * 230 + b"%s.txt",
    "blanks": b"  blank %s  ",
    "quotes": b'it\'s "$HOME" `odd`-%s.txt',
    "a pattern": b"[a-z]*?-%s.txt",
    "magic": b":(glob)%s.txt",
    "like git's": b"GIT~1-%s",
    "decomposed": "e\u0301-%s.txt".encode(),
}


def make(path: str, kind: str) -> None:
    """Something of an odd type at ``path``."""
    match kind:
        case "directory":
            os.mkdir(path)
        case "FIFO":
            os.mkfifo(path)
        case "loop":
            os.symlink(os.path.basename(path), path)
        case "dangling":
            os.symlink("/nowhere/at/all", path)
        case "socket":
            directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
            try:
                # A socket's name may have 107 bytes: made by way of the directory's descriptor.
                with socket.socket(socket.AF_UNIX) as made:
                    made.bind(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
            finally:
                os.close(directory)
        case "big":
            with open(path, "wb") as file:
                file.write(b"# nothing\n" * 200_000)


@ACTS.declare(rows=("B9",), draw=lambda chance: {"count": MANY, "top": chance.random() < 0.3})
def many_files(agent: Agent, count: int, *, top: bool) -> None:
    """It leaves more untracked files than the limit allows."""
    place = "." if top else f"many-{agent.label}"
    os.makedirs(place, exist_ok=True)
    for number in range(count):
        agent.write(f"{place}/f{number}.txt", f"{number} of {agent.label}\n")


@ACTS.declare(rows=("D6",), draw=a_kind("new", "tracked"))
def sparse(agent: Agent, kind: str) -> None:
    """It leaves a file of 300 GB, all of it a hole."""
    path = "README.md" if kind == "tracked" else f"core-{agent.label}.img"
    if os.path.lexists(path):
        os.unlink(path)
    with open(path, "wb") as file:
        file.truncate(SPARSE)


def an_odd_one(chance: Random) -> dict[str, Any]:
    return {
        "path": chance.choice(("pipe", "src/pipe", ".gitignore", "docs/.gitattributes", "src/shop.py")),
        "kind": chance.choice(("FIFO", "socket", "loop", "FIFO")),
    }


@ACTS.declare(rows=("D4",), draw=an_odd_one)
def special(agent: Agent, path: str, kind: str) -> None:
    """It leaves a FIFO, a socket or a loop of links among its files."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    if os.path.lexists(path):
        os.unlink(path)
    make(path, kind)


@ACTS.declare(draw=a_kind(*NAMES))
def odd_name(agent: Agent, kind: str) -> None:
    """It writes a file with an odd name."""
    name = NAMES[kind].replace(b"%s", agent.label.encode())
    agent.write(os.fsdecode(name))


@ACTS.declare(draw=lambda chance: {"depth": chance.choice((30, 90))})
def deep_tree(agent: Agent, depth: int) -> None:
    """It writes a file many directories below the others."""
    agent.write(f"deep-{agent.label}/" + "d/" * depth + "file.txt")


@ACTS.declare(draw=a_kind("file", "directory", "read-only directory"))
def closed(agent: Agent, kind: str) -> None:
    """It takes its own permissions away from what it wrote."""
    name = f"closed-{agent.label}"
    agent.write(f"{name}/inside.txt")
    match kind:
        case "file":
            os.chmod(f"{name}/inside.txt", 0)
        case "directory":
            os.chmod(name, 0)
        case _:
            os.chmod(name, 0o555)
