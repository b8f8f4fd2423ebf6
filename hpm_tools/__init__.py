"""Composable commands that run coding agents unattended against a Headless PM board.

The classes that a program of one's own builds on are here, each imported when it is first asked for::

    from hpm_tools import TaskPersistence

``docs/python.md`` shows all of them at work. The commands as Python functions are in ``hpm_tools.tasks``.
"""

from __future__ import annotations

__version__ = "0.1.0"

__all__ = [
    "AdvancedAgentRunner",
    "ClaudeExecutor",
    "Config",
    "GitWorktree",
    "HookRunner",
    "ModelMapper",
    "TaskPersistence",
    "TerminalUI",
]

# Every command imports this package: a class imported here would be loaded by `hpm locks` as well.
_HOMES = {
    "AdvancedAgentRunner": "hpm_tools.runner.advanced",
    "ClaudeExecutor": "hpm_tools.executor.claude",
    "Config": "hpm_tools.discovered_config",
    "GitWorktree": "hpm_tools.worktree.worktrees",
    "HookRunner": "hpm_tools.hook.runner",
    "ModelMapper": "hpm_tools.executor.model",
    "TerminalUI": "hpm_tools.ui",
    "TaskPersistence": "hpm_tools.state.persistence",
}

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hpm_tools.discovered_config import Config
    from hpm_tools.executor.claude import ClaudeExecutor
    from hpm_tools.executor.model import ModelMapper
    from hpm_tools.hook.runner import HookRunner
    from hpm_tools.runner.advanced import AdvancedAgentRunner
    from hpm_tools.state.persistence import TaskPersistence
    from hpm_tools.ui import TerminalUI
    from hpm_tools.worktree.worktrees import GitWorktree
else:  # a type checker that saw this function would find every name in the package

    def __getattr__(name: str) -> object:
        """The class of that name, imported now (PEP 562); later looks find it in the module itself."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
