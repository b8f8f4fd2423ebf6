"""Processes of earlier runs that still live where an agent begins: what a run leaves must be ended before the next."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

COOKIE = b"HPM_RUN_ID="


def intruders(earlier: Iterable[str], own: str) -> Iterator[tuple[int, str]]:
    """(pid, run) of every living process that carries one of the ``earlier`` runs' ids in its environment."""
    wanted = {run.encode() for run in earlier} - {own.encode()}
    if not wanted:
        return
    for name in os.listdir("/proc"):
        if name.isdecimal():
            run = carried(name)
            if run in wanted and is_alive(name):
                yield int(name), run.decode()


def carried(pid: str) -> bytes:
    """The run whose id a process has in its environment, b"" for none."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            found = [word for word in file.read().split(b"\0") if word.startswith(COOKIE)]
    except OSError:
        return b""
    return found[0].removeprefix(COOKIE) if found else b""


def is_alive(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
