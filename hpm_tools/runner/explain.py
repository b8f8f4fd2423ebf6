"""The runner's loop as a shell script of the other commands: `run --explain`, and examples/shell_runner.sh."""

from __future__ import annotations

import shlex
from importlib.resources import files

TEMPLATE = "shell_runner.sh"


def script(role: str, agent_id: str, level: str | None, *, single_task: bool = False) -> str:
    """A bash script that does what `run` with these arguments does, one command at a time.

    Without ``level`` the script's commands take it from the settings, as `run` does.
    """
    text = (files("hpm_tools.runner") / TEMPLATE).read_text(encoding="utf-8")
    for name, value in {
        "role": role,
        "agent": agent_id,
        "level": level or "",
        "single": "yes" if single_task else "",
    }.items():
        text = text.replace(f"@{name}@", shlex.quote(value) if value else "")
    return text.rstrip("\n")
