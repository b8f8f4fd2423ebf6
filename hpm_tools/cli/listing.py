"""What `hpm` answers where no command is called: the overview, ``--list``, and a group that stands alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools import registry
from hpm_tools.cli import execute, helptext
from hpm_tools.cli.arguments import GLOBAL, flags_of, suggest
from hpm_tools.cli.groups import groups, members
from hpm_tools.errors import UsageError
from hpm_tools.names import shown
from hpm_tools.ui import to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpm_tools.ui import TerminalUI


def list_commands(ui: TerminalUI, words: Sequence[str]) -> None:
    """Print the names and summaries that ``hpm --list [GROUP]`` asks for. UsageError if there is no such group."""
    if len(words) > 1:
        raise UsageError(f"--list takes one group, but got {shown(' '.join(words))}", "see: hpm --list")
    group = words[0] if words else ""
    if group and group not in groups():
        near = suggest(group, groups())
        raise UsageError(f"there is no group {shown(group)}{near}", f"groups are: {', '.join(groups())}")
    names = members(group)
    _print(ui, names, helptext.table(names))


def answer(ui: TerminalUI, words: Sequence[str]) -> None:
    """Print the overview, or the page of the group that ``words`` are. UsageError if they are something else."""
    if not words:
        execute.print_text(ui, helptext.overview())
        return
    group, rest = words[0], words[1:]
    if group not in groups():
        near = suggest(group, [*registry.MODULES, *groups(), "help"])
        raise UsageError(f"there is no command {shown(group)}{near}", "see: hpm --help")
    known = {flag for option in GLOBAL for flag in flags_of(option)}
    for word in rest:
        if not word.startswith("-"):
            ending = suggest(f"{group}.{word}", members(group))
            raise UsageError(f"there is no command {shown(f'{group} {word}')}{ending}", f"see: hpm {group}")
        if word not in known:
            raise UsageError(
                f"{group} is a group of commands and has no option {shown(word)}", f"see: hpm {group}"
            )
    _print(ui, members(group), helptext.for_group(group, members(group)))


def _print(ui: TerminalUI, names: Sequence[str], text: str) -> None:
    rows = [{"name": name, "summary": helptext.summary(name)} for name in names] if ui.json else []
    execute.print_text(ui, to_json({"commands": rows}) if ui.json else text)
