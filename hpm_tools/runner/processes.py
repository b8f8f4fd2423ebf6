"""Which processes of this host name an agent: the only hint that the earlier runner, which kept no guard, lives."""

from __future__ import annotations

import os


def others_with_agent_id(agent_id: str) -> list[int]:
    """The live processes that have ``agent_id`` as a whole argument, without this one and its ancestors."""
    import psutil

    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        if process.pid in own or process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        if _names(process.info["cmdline"] or (), agent_id):
            found.append(process.pid)
    return found


def _names(cmdline: list[str] | tuple[str, ...], agent_id: str) -> bool:
    return any(argument == agent_id or argument.endswith(f"={agent_id}") for argument in cmdline)


def is_ancestor(pid: int) -> bool:
    """Whether ``pid`` started this process, or what started it: a script's own commands need no token."""
    import psutil

    return any(parent.pid == pid for parent in psutil.Process().parents())
