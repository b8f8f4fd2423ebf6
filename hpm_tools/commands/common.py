"""What several commands need: configuration and a toolbox from the flags that were given."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from hpm_tools.config import load_config
from hpm_tools.errors import Held, NothingToDo
from hpm_tools.registry import Arg

if TYPE_CHECKING:
    from hpm_tools.config import Config
    from hpm_tools.runner.stop import Stop
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record
    from hpm_tools.ui import TerminalUI

REPO = Arg("the repository to work in, instead of the one around this directory", metavar="DIR")


def config(repo: str | None = None, **flags: Any) -> Config:
    """The effective configuration, with the flags that were given on top."""
    given = {name: value for name, value in flags.items() if value is not None}
    return load_config(flags=given, environ=os.environ, repo=repo)


def toolbox(
    ui: TerminalUI, agent_id: str, *, repo: str | None = None, stop: Stop | None = None, **flags: Any
) -> Toolbox:
    """The components for ``agent_id``'s work."""
    from hpm_tools.runner.toolbox import Toolbox

    return Toolbox(config(repo, **flags), ui, agent_id, stop=stop)


def held_record(tools: Toolbox, token: str | None) -> Record:
    """The agent's record for a command that goes on with it; its living holder must show the token.

    NothingToDo (3) if there is none, Held (75) if another living process holds it.
    """
    from hpm_tools.process.identity import is_ancestor
    from hpm_tools.state.persistence import holder_alive

    record = tools.persistence.get_locked_task()
    if record is None:
        raise NothingToDo(f"agent {tools.agent_id} holds no task", "take one first: hpm lock")
    if token is not None and token != record.token:
        raise Held(f"that is not the token of agent {tools.agent_id}'s lock on task {record.task_id}")
    life = holder_alive(record, guard_held=False)
    if token is None and life == "alive" and not (record.pid and is_ancestor(int(record.pid))):
        raise Held(
            f"agent {tools.agent_id}'s task {record.task_id} is held by process {record.pid}",
            "pass the --token that `lock` printed",
        )
    tools.resume_as(record)
    return record
