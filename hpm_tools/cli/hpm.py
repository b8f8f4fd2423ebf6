"""The ``hpm`` program: finds the one command asked for and imports nothing but that."""

from __future__ import annotations

import sys

from hpm_tools import registry
from hpm_tools.cli import arguments, execute
from hpm_tools.errors import UsageError
from hpm_tools.names import shown
from hpm_tools.ui import TerminalUI

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpm_tools.registry import Command


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return its exit code."""
    execute.prepare_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    ui = TerminalUI(json="--json" in words)
    return execute.guarded(ui, lambda ui: _dispatch(ui, words))


def _dispatch(ui: TerminalUI, words: list[str]) -> int:
    leading = _leading_options(words)
    if "--version" in leading:
        import hpm_tools

        execute.print_text(ui, f"hpm-tools {hpm_tools.__version__}")
        return 0
    if len(leading) == len(words):
        from hpm_tools.cli.helptext import overview

        execute.print_text(ui, overview())
        return 0
    command, rest = _find(words[len(leading) :])
    call = arguments.parse(command, [*leading, *rest])
    if call.help:
        from hpm_tools.cli.helptext import for_command

        execute.print_text(ui, for_command(command))
        return 0
    return execute.execute(call)


def _leading_options(words: list[str]) -> list[str]:
    """The global options that stand before the command's name."""
    allowed = {flag for option in arguments.GLOBAL for flag in arguments.flags_of(option)} | {"--version"}
    count = 0
    while count < len(words) and words[count].startswith("-"):
        if words[count] not in allowed:
            raise UsageError(f"hpm has no option {shown(words[count])}", "see: hpm --help")
        count += 1
    return words[:count]


def _find(words: list[str]) -> tuple[Command, list[str]]:
    """The command that ``words`` begin with, and the other words. ``worktree add`` is worktree.add too."""
    name, rest = words[0], words[1:]
    if name not in registry.MODULES and rest and f"{name}.{rest[0]}" in registry.MODULES:
        name, rest = f"{name}.{rest[0]}", rest[1:]
    command = registry.find(name)
    if command is None:
        near = arguments.suggest(name, registry.MODULES)
        raise UsageError(f"there is no command {shown(name)}{near}", "see: hpm --help")
    return command, rest


if __name__ == "__main__":
    sys.exit(main())
