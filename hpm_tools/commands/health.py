"""`health`: whether this machine can work, and what to mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.commands.claude import check_text
from hpm_tools.registry import Arg, Result, command

if TYPE_CHECKING:
    from hpm_tools.commands.results import Health
    from hpm_tools.ui import TerminalUI


@command(
    "health",
    example="hpm health --json",
    reads=True,
    args={
        "repo": Arg("the repository to look at", metavar="DIR"),
        "executor": Arg("whose program to look for", choices=("claude", "command")),
    },
)
def health(ui: TerminalUI, *, repo: str | None = None, executor: str | None = None) -> Result[Health]:
    """Check whether this machine can work.

    Looks at config, board, agent program, git, disk, memory, locks, hooks and past tasks. A wrong setting is a
    failing line; what else there is is checked with that setting's default. Each failing line says how to mend
    it. With --json also every setting's value and where it came from. Exit code 1 if anything fails; warnings
    alone do not.
    """
    import os

    from hpm_tools.config import load_config
    from hpm_tools.runner.checkup import examine
    from hpm_tools.runner.toolbox import Toolbox

    problems: list[str] = []
    flags = {"executor": executor} if executor else {}
    settings = load_config(flags=flags, environ=os.environ, repo=repo, tolerated=problems)
    tools = Toolbox(settings, ui, "health")
    lines = examine(tools, problems)
    data: Health = {
        "healthy": all(line.ok is not False for line in lines),
        "checks": lines,
        "config": {
            name: {"value": shown["value"], "source": shown["source"]}
            for name, shown in tools.config.redacted().items()
        },
    }
    failure = "; ".join(f"{line.name}: {line.text}" for line in lines if line.ok is False)
    return Result(data, check_text(lines, ui.columns), 1 if failure else 0, failure=failure)
