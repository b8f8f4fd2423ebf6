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
    words = _without_settings_file(words)
    leading = _leading_options(words)
    if "--version" in leading:
        import hpm_tools

        execute.print_text(ui, f"hpm-tools {hpm_tools.__version__}")
        return 0
    rest = words[len(leading) :]
    if rest[:1] == ["help"]:
        return _dispatch(ui, [*leading, "--help", *rest[1:]])
    if any(word in arguments.LIST for word in leading):
        from hpm_tools.cli.listing import list_commands

        list_commands(ui, rest)
        return 0
    command, rest = _find(rest)
    if command is None:
        from hpm_tools.cli.listing import answer

        answer(ui, rest)
        return 0
    call = arguments.parse(command, [*leading, *rest])
    if call.help:
        from hpm_tools.cli.helptext import for_command

        execute.print_text(ui, for_command(command))
        return 0
    return execute.execute(call)


def _without_settings_file(words: list[str]) -> list[str]:
    """``words`` without a leading ``-f FILE``, Invoke's option for a file of settings, which counts from now on."""
    kept: list[str] = []
    named: set[str] = set()
    at = 0
    while at < len(words) and words[at].startswith("-"):
        flag, equals, name = words[at].partition("=")
        at += 1
        if flag not in arguments.SETTINGS_FILE:
            kept.append(words[at - 1])
            continue
        if not equals:
            name = words[at] if at < len(words) else ""
            at += 1
        from hpm_tools.config import invoke_files

        named.add(invoke_files.named_file(name))
        invoke_files.runtime.set(min(named))
    if len(named) > 1:
        raise UsageError("-f is given twice with different values")
    return [*kept, *words[at:]]


def _leading_options(words: list[str]) -> list[str]:
    """The global options that stand before the command's name."""
    allowed = {flag for option in arguments.GLOBAL for flag in arguments.flags_of(option)} | {
        "--version",
        *arguments.LIST,
    }
    count = 0
    while count < len(words) and words[count].startswith("-"):
        if words[count] not in allowed:
            raise UsageError(f"hpm has no option {shown(words[count])}", "see: hpm --help")
        count += 1
    return words[:count]


def _find(words: list[str]) -> tuple[Command | None, list[str]]:
    """The command that ``words`` begin with, and the other words. ``worktree add`` is worktree.add too.

    Where there is none: None and all words.
    """
    for count in (1, 2):
        if command := registry.find(".".join(words[:count])):
            return command, words[count:]
    return None, words


if __name__ == "__main__":
    sys.exit(main())
