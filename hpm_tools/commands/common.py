"""What several commands need: configuration and a toolbox from the flags that were given."""

from __future__ import annotations

import os

from hpm_tools.config import load_config
from hpm_tools.errors import Misconfigured
from hpm_tools.registry import Arg

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hpm_tools.config import Configuration
    from hpm_tools.runner.stop import Stop
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.ui import TerminalUI

REPO = Arg("the repository to work in, instead of the one around this directory", metavar="DIR")


def config(repo: str | None = None, *, session: str | None = None, **flags: Any) -> Configuration:
    """The effective configuration, with the flags that were given on top, then the declared ``session``."""
    given = {name: value for name, value in flags.items() if value is not None}
    return load_config(flags=given, environ=os.environ, repo=repo, session=session)


def warned_config(ui: TerminalUI, repo: str | None = None, **flags: Any) -> Configuration:
    """The effective configuration; what is odd about it is told."""
    settings = config(repo, **flags)
    for warning in settings.warnings:
        ui.warn(warning)
    return settings


def toolbox(
    ui: TerminalUI,
    agent_id: str,
    *,
    repo: str | None = None,
    stop: Stop | None = None,
    model: str | None = None,
    **flags: Any,
) -> Toolbox:
    """The components for ``agent_id``'s work."""
    from hpm_tools.runner.toolbox import Toolbox

    try:
        settings = warned_config(ui, repo, **flags)
    except Misconfigured as error:
        from hpm_tools.runner.held_up import add_held

        add_held(error, agent_id)
        raise
    return Toolbox(settings, ui, agent_id, stop=stop, model=model)


def worktree_tools(ui: TerminalUI, repo: str | None) -> Toolbox:
    """The components for worktrees that belong to no agent in particular."""
    return toolbox(ui, "worktrees", repo=repo)
