"""The runner's loop as a shell script of the other commands: `run --explain`, and examples/shell_runner.sh."""

from __future__ import annotations

import shlex
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATE = "shell_runner.sh"


def script(
    role: str,
    agent_id: str,
    level: str | None,
    *,
    single_task: bool = False,
    settings: Mapping[str, str | None] | None = None,
) -> str:
    """A bash script that does what `run` with these arguments does, one command at a time.

    Without ``level`` the script's commands take it from the settings, as `run` does. ``settings`` are those that
    its commands need besides, by their names; None is left out.
    """
    text = (files("hpm_tools.runner") / TEMPLATE).read_text(encoding="utf-8")
    for name, value in {
        "role": role,
        "agent": agent_id,
        "level": level or "",
        "single": "yes" if single_task else "",
    }.items():
        text = text.replace(f"@{name}@", shlex.quote(value) if value else "")
    exports = [
        f"export HEADLESS_PM_{name.upper()}={shlex.quote(value)}"
        for name, value in (settings or {}).items()
        if value is not None
    ]
    return text.replace("set -u\n", "\n".join(["set -u", *exports, ""]), 1).rstrip("\n")
