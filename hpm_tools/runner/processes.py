"""Which processes of this host name an agent: the only hint that the earlier runner, which kept no guard, lives."""

from __future__ import annotations

from hpm_tools.process.identity import ancestors


def others_with_agent_id(agent_id: str) -> list[int]:
    """The live processes that have ``agent_id`` as a whole argument, without this one and its ancestors."""
    import psutil

    own = set(ancestors())
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        if process.pid in own or process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        if _names(process.info["cmdline"] or (), agent_id):
            found.append(process.pid)
    return found


def _names(cmdline: list[str] | tuple[str, ...], agent_id: str) -> bool:
    return any(argument == agent_id or argument.endswith(f"={agent_id}") for argument in cmdline)
