"""Shell completion: `completion.bash`, `.zsh` and `.fish` print what a shell loads, which then asks
`completion.words` at each TAB. Answering imports the one command that stands on the line, and no more.
"""

from __future__ import annotations

import os

from hpm_tools import names, registry
from hpm_tools.cli.arguments import GLOBAL, LIST, SETTINGS_FILE, flags_of
from hpm_tools.cli.groups import groups, members
from hpm_tools.errors import HpmError
from hpm_tools.registry import Arg, Result, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Literal

    from hpm_tools.commands.results import OfferedWord, OfferedWords, ShellCode
    from hpm_tools.registry import Option
    from hpm_tools.ui import TerminalUI

    Paths = Literal[":files", ":directories"]
    Offered = tuple[list[OfferedWord], Paths | None]

PATHS: dict[str, Paths] = {"FILE": ":files", "DIR": ":directories"}
"""Said instead of words where the shell itself knows them."""


@command("completion.bash", example="source <(hpm completion.bash)", reads=True, args={})
def bash(ui: TerminalUI) -> Result[ShellCode]:
    """Print the completion of `hpm` for bash.

    It is to be sourced by ~/.bashrc.
    """
    return _script("hpm.bash")


@command("completion.zsh", example="hpm completion.zsh >~/.zfunc/_hpm", reads=True, args={})
def zsh(ui: TerminalUI) -> Result[ShellCode]:
    """Print the completion of `hpm` for zsh.

    It is to be sourced after compinit, or put into a directory of fpath as _hpm.
    """
    return _script("hpm.zsh")


@command(
    "completion.fish", example="hpm completion.fish >~/.config/fish/completions/hpm.fish", reads=True, args={}
)
def fish(ui: TerminalUI) -> Result[ShellCode]:
    """Print the completion of `hpm` for fish.

    It is to be put into ~/.config/fish/completions as hpm.fish.
    """
    return _script("hpm.fish")


def _script(name: str) -> Result[ShellCode]:
    with open(os.path.join(os.path.dirname(__file__), "completions", name), encoding="utf-8") as file:
        text = file.read().rstrip("\n")
    return Result({"script": text}, text)


@command(
    "completion.words",
    example="hpm completion.words --word=lock --word=--agent-id --word=",
    reads=True,
    args={
        "word": Arg("a word of the command line after `hpm`, the last one unfinished or empty", metavar="W"),
        "explain": Arg("add to each word, after a tab, what it means"),
    },
)
def words(ui: TerminalUI, *, word: list[str] | None = None, explain: bool = False) -> Result[OfferedWords]:
    """Print what may stand at the end of a command line.

    The shells' completions ask this. Prints :files or :directories where any path may stand.
    """
    offered, paths = offer(word or [""], explain=explain)
    lines = [f"{row['word']}\t{row['help']}" if explain else row["word"] for row in offered]
    return Result({"words": offered, "paths": paths}, "\n".join([paths] if paths else lines))


def offer(line: Sequence[str], *, explain: bool = False) -> Offered:
    """The words that may stand in place of the last one of ``line``, or which kind of path may.

    bash hands over ``--option=value`` as three words and wants the value alone, the other shells as one.
    """
    before, current = rejoined(line)
    listing = False
    while before and before[0].startswith("-"):
        option = before.pop(0)
        listing |= option in LIST
        if option in SETTINGS_FILE:
            if not before:
                return [], PATHS["FILE"]
            before.pop(0)
    if listing:
        return list(_matching(map(_word, [] if before else groups()), current)), None
    helping = before[:1] == ["help"]
    if helping:
        before.pop(0)
    if not before:
        return list(_matching(_first_words(current, explain=explain, helping=helping), current)), None
    name, rest = before[0], before[1:]
    if name not in registry.MODULES:
        if not rest:
            return list(_matching(_group(name, explain=explain), current)), None
        name, rest = f"{name}.{rest[0]}", rest[1:]
        if name not in registry.MODULES:
            return [], None
    return _after_command([*_options(name), *GLOBAL], rest, current, split="=" in line[-2:])


def _after_command(options: list[Option], rest: list[str], current: str, *, split: bool) -> Offered:
    awaiting, given = _walk(options, rest)
    if awaiting is not None:
        return known_values(awaiting, current)
    flag, equals, start = current.partition("=")
    if equals:
        values, paths = known_values(options_by_flag(options).get(flag), start)
        return values if split else [_word(f"{flag}={row['word']}") for row in values], paths
    unused = [option for option in options if option.multiple or option.name not in given]
    flags = [_word(flag, option.arg.help) for option in unused for flag in flags_of(option) if flag[1] == "-"]
    return list(_matching(flags, current)), None


def rejoined(line: Sequence[str]) -> tuple[list[str], str]:
    """The words before the last one, and the last one, with ``--option``, ``=``, ``value`` put together again."""
    joined: list[str] = []
    for word in line:
        if word == "=" and joined:
            joined[-1] += "="
        elif joined and joined[-1].startswith("--") and joined[-1].endswith("="):
            joined[-1] += word
        else:
            joined.append(word)
    return joined[:-1], joined[-1]


def _word(word: str, help: str = "") -> OfferedWord:
    return {"word": word, "help": " ".join(help.split())}


def _matching(offered: Iterable[OfferedWord], start: str) -> Iterator[OfferedWord]:
    return (row for row in offered if row["word"].startswith(start))


def _first_words(current: str, *, explain: bool, helping: bool) -> list[OfferedWord]:
    commands = [_word(name, _summary(name) if explain else "") for name in registry.MODULES]
    if helping:
        return [*commands, *(_word(group, "its commands") for group in groups())]
    if current.startswith("-"):
        alone = [
            _word("--version", "print the version"),
            _word(LIST[0], "print names and summaries of the commands"),
            _word(SETTINGS_FILE[1], "a file of settings, as Invoke's"),
        ]
        return [*(_word(option.flag, option.arg.help) for option in GLOBAL), *alone]
    return [*commands, _word("help", "what a command or a group does and takes")]


def _group(name: str, *, explain: bool) -> list[OfferedWord]:
    """The second words of ``worktree add`` and its kin."""
    return [_word(m.removeprefix(name + "."), _summary(m) if explain else "") for m in members(name)]


def _summary(name: str) -> str:
    try:
        found = registry.find(name)
    except ImportError:
        return ""
    return found.summary if found is not None else ""


def _options(name: str) -> list[Option]:
    try:
        found = registry.find(name)
    except ImportError:
        return []
    return found.options if found is not None else []


def options_by_flag(options: Iterable[Option]) -> dict[str, Option]:
    return {flag: option for option in options for flag in flags_of(option)}


def _walk(options: Iterable[Option], rest: Iterable[str]) -> tuple[Option | None, set[str]]:
    """The option whose value comes next, if one's does, and the names of those that stand there."""
    by_flag, given = options_by_flag(options), set[str]()
    awaiting: Option | None = None
    for word in rest:
        flag, equals, _ = word.partition("=")
        option = by_flag.get(flag) if awaiting is None else None
        awaiting = None
        if option is not None:
            given.add(option.name)
            awaiting = option if option.kind != "bool" and not equals else None
    return awaiting, given


def known_values(option: Option | None, start: str) -> Offered:
    """The values of ``option`` that are known and begin with ``start``, or which kind of path may stand there."""
    if option is None or option.kind == "bool":
        return [], None
    kind = option.arg.metavar
    if kind in PATHS:
        return [], PATHS[kind]
    known: Iterable[str] = option.arg.choices
    try:
        if kind == "A":
            known = _agents()
        elif kind == "HOOK":
            known = _hooks()
        elif kind == "SESSION":
            known = _sessions()
        elif kind == "KIND":
            known = _event_kinds()
    except (HpmError, OSError):
        return [], None
    return list(_matching(map(_word, known), start)), None


def _agents() -> list[str]:
    """The agents with a record on this host."""
    from hpm_tools.state.paths import AGENT_PREFIX, RECORD_SUFFIX, StateDir

    stems = (name.removeprefix(AGENT_PREFIX) for name in os.listdir(StateDir().locks))
    agents = [stem.removesuffix(RECORD_SUFFIX) for stem in stems if stem.endswith(RECORD_SUFFIX)]
    return sorted(agent for agent in agents if _is_agent(agent))


def _is_agent(text: str) -> bool:
    try:
        return bool(names.agent_id(text))
    except HpmError:
        return False


def _hooks() -> list[str]:
    from hpm_tools.config import load_config
    from hpm_tools.hook.finding import finder

    return [hook.name for hook in finder(load_config()).list()]


def _sessions() -> list[str]:
    from hpm_tools.config import load_config

    return [session.agent_id for session in load_config().sessions]


def _event_kinds() -> list[str]:
    from hpm_tools.commands.events import kept_kinds

    return kept_kinds()
