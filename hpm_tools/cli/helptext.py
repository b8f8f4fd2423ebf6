"""What ``--help`` prints, the same for both front ends; loaded only when somebody asks."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from hpm_tools import registry
from hpm_tools.cli.arguments import GLOBAL, flags_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpm_tools.registry import Command, Option

WIDTH = 79
KEPT_TOGETHER = "\u00a0"
"""Stands between an option and its value while a usage is wrapped."""

OVERVIEW = """\
usage: hpm [-f FILE] COMMAND [--option value …]
       hpm help COMMAND, hpm COMMAND --help
       hpm --list [GROUP]

Runs coding agents unattended against a Headless PM board.
"""

EPILOGUE = """\
Every command takes --json, --quiet (-q), --verbose (-v) and --help (-h).
-f FILE (--config FILE), before the command: further settings, under hpm: in
a .yaml, .yml, .json or .py file, stronger than those in config.yaml.
Results go to stdout, messages to stderr. Exit codes: 0 done, 1 failed, 2 usage,
3 nothing to do, 65 bad data, 69 board unreachable, 70 a bug in hpm, 73 cannot
create, 75 try later, 77 refused, 78 configuration, 124 timed out, 128+n signal n.
"""


def overview() -> str:
    """What `hpm` alone prints: usage, all commands, exit codes."""
    return "\n".join([OVERVIEW, table(registry.MODULES), "", EPILOGUE])


def for_group(group: str, members: Iterable[str]) -> str:
    """What `hpm worktree` prints: how the commands of the group are called, and what each of them is for."""
    return (
        f"usage: hpm {group}.COMMAND [--option value …]\n       hpm help {group}.COMMAND\n\n{table(members)}"
    )


def table(names: Iterable[str]) -> str:
    """Commands and what they are for, one below the other."""
    return "\n".join(_columns((name, summary(name)) for name in names))


def summary(name: str) -> str:
    """The first line about a command; one whose module cannot be imported says why."""
    try:
        command = registry.find(name)
    except ImportError as error:
        return f"(not available: {error})"
    return command.summary if command is not None else "(not available)"


def for_command(command: Command) -> str:
    """The help of one command: usage, meaning, options, a runnable example."""
    parts = [usage(command), "", *textwrap.wrap(command.summary, WIDTH)]
    if command.description:
        parts += ["", *_paragraphs(command.description)]
    if command.options:
        parts += [
            "",
            "options:",
            *_columns([(spelling(option), explanation(option)) for option in command.options]),
        ]
    parts += ["", "always:", *_columns([(spelling(option), option.arg.help) for option in GLOBAL])]
    parts += ["", "example:", f"  {command.example}", ""]
    return "\n".join(parts)


def for_invoke(command: Command) -> str:
    """What stands above the options in Invoke's help of a task: its meaning, and the example for `invoke`."""
    parts = [command.summary]
    if command.description:
        parts += ["", *_paragraphs(command.description)]
    return "\n".join([*parts, "", "example:", f"  {as_typed(command.example)}"])


def as_typed(line: str) -> str:
    """A line of shell with `invoke` in place of `hpm`."""
    return re.sub(r"\bhpm (?=[a-z])", "invoke ", line)


def usage(command: Command) -> str:
    words = [_in_usage(option) for option in command.options]
    start = f"usage: hpm {command.name} "
    wrapped = textwrap.fill(
        " ".join(words),
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_on_hyphens=False,
        break_long_words=False,
    )
    return wrapped.replace(KEPT_TOGETHER, " ") or start.rstrip()


def _in_usage(option: Option) -> str:
    text = option.flag if option.kind == "bool" else f"{option.flag}{KEPT_TOGETHER}{metavar(option)}"
    if option.multiple:
        text += KEPT_TOGETHER + "…"
    return text if option.required else f"[{text}]"


def metavar(option: Option) -> str:
    return option.arg.metavar or {"int": "N", "float": "SECONDS"}.get(option.kind, option.name.upper())


def spelling(option: Option) -> str:
    """All spellings of an option, with the name of its value: ``-q, --quiet``, ``--task-id N``."""
    flags = ", ".join(sorted(flags_of(option), key=len))
    return flags if option.kind == "bool" else f"{flags} {metavar(option)}"


def explanation(option: Option) -> str:
    """An option's help with what its declaration adds: choices, default, whether it is required."""
    notes = []
    if option.arg.choices:
        notes.append("one of " + ", ".join(option.arg.choices))
    if option.required:
        notes.append("required")
    elif option.unless:
        notes.append(f"required without {option.unless}")
    elif option.default is not None and option.kind != "bool" and option.default != "":
        notes.append(f"default: {option.default}")
    if option.multiple:
        notes.append("may be repeated")
    return f"{option.arg.help} ({'; '.join(notes)})" if notes else option.arg.help


def _columns(rows: Iterable[tuple[str, str]]) -> list[str]:
    rows = list(rows)
    indent = min(max((len(left) for left, _ in rows), default=0), 24) + 4
    lines: list[str] = []
    for left, right in rows:
        wrapped = textwrap.wrap(right, WIDTH - indent) or [""]
        if len(left) > indent - 4:
            lines.append(f"  {left}")
        else:
            lines.append(f"  {left}".ljust(indent) + wrapped.pop(0))
        lines += [" " * indent + line for line in wrapped]
    return [line.rstrip() for line in lines]


def _paragraphs(text: str) -> list[str]:
    """Running text wrapped, indented lines kept as they are."""
    lines: list[str] = []
    for number, paragraph in enumerate(text.split("\n\n")):
        lines += [""] if number else []
        lines += textwrap.wrap(" ".join(paragraph.split()), WIDTH)
    return lines
