"""Groups of commands: what stands before the dot of `worktree.add`."""

from __future__ import annotations

from hpm_tools import registry


def groups() -> list[str]:
    """Every group, in the order of the registry: ``worktree``, ``pm``…"""
    return list(dict.fromkeys(group for name in registry.MODULES if (group := name.rpartition(".")[0])))


def members(group: str) -> list[str]:
    """The full names of the commands of ``group``; of all commands where it is ""."""
    return [name for name in registry.MODULES if not group or name.startswith(f"{group}.")]
