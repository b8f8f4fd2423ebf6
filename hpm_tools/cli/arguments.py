"""From the words of a command line to a command's typed values, for both front ends.

By hand: nearly every command takes options only, and importing argparse costs more than a quick command's work.
"""

from __future__ import annotations

from hpm_tools.errors import HpmError, UsageError
from hpm_tools.names import shown
from hpm_tools.registry import Arg, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from hpm_tools.registry import Command, Result
    from hpm_tools.ui import TerminalUI

GLOBAL = (
    Option("json", "bool", Arg("print one JSON object instead of text"), default=False),
    Option("quiet", "bool", Arg("say nothing but errors", short="q"), default=False),
    Option("verbose", "bool", Arg("say more about what is done", short="v"), default=False),
    Option("help", "bool", Arg("show this help and do nothing", short="h"), default=False),
)
"""The options of every command."""

GLOBAL_OF_TASKS = tuple(option for option in GLOBAL if option.name != "help")
"""Those that a task of Invoke has: its ``--help`` is Invoke's own, which prints a task's help and runs none."""

LIST = ("--list", "-l")
"""Of `hpm` itself: its commands, or those of a group."""
SETTINGS_FILE = ("-f", "--config")
"""Before the command: the file of settings that follows, as Invoke's option of that name."""

PATHS = ("DIR", "FILE")
"""An empty one, as "$unset" gives, would mean wherever the call happens to be made."""

LARGEST = 2**63 - 1
"""No number is longer; Python prints none of more than 4300 digits, not even in a message."""

GLOBAL_NAMES = frozenset(option.name for option in GLOBAL)


class Call:
    """One call of a command: the values it was given, the global options, and the result, or the error, once it ran.

    ``echo`` tells what the command calls: git, programs and the board.
    """

    __slots__ = ("command", "echo", "error", "help", "json", "quiet", "result", "values", "verbose")

    def __init__(self, command: Command, given: Mapping[str, Any], *, echo: bool = False) -> None:
        self.command = command
        self.echo = echo
        self.result: Result[Any] | None = None
        self.error: HpmError | None = None
        self.values = {name: value for name, value in given.items() if name not in GLOBAL_NAMES}
        self.json = bool(given.get("json"))
        self.quiet = bool(given.get("quiet"))
        self.verbose = bool(given.get("verbose"))
        self.help = bool(given.get("help"))

    def listener(self, ui: TerminalUI) -> Callable[[str], None] | None:
        """Who is told what the command calls; None where nobody asked."""
        if self.quiet or not (self.echo or self.verbose):
            return None
        return ui.debug if self.verbose else ui.note

    def missing(self) -> list[Option]:
        """The required options that were not given."""
        return [option for option in self.command.options if option.missing_from(self.values)]

    def check(self) -> None:
        """UsageError if a required option is missing."""
        if missing := self.missing():
            instead = dict.fromkeys(f" (or {option.unless})" for option in missing if option.unless)
            flags = ", ".join(option.flag for option in missing)
            raise UsageError(f"{self.command.name} needs {flags}{''.join(instead)}")

    def run(self, ui: TerminalUI) -> int:
        """Do it and deliver the result; the exit code."""
        from hpm_tools.cli.execute import deliver

        try:
            with usage_of(self.command.name):
                self.check()
                self.result = self.command(ui, **self.values)
        except HpmError as error:
            self.error = error
            raise
        return deliver(ui, self.result)


class usage_of:  # noqa: N801  # contextlib costs a quick command an import
    """A wrong call of the command ``name`` that has no better hint points to its help."""

    def __init__(self, name: str) -> None:
        self.hint = f"see: hpm {name} --help"

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: object, _traceback: object) -> None:
        if isinstance(error, UsageError) and not error.hint:
            error.hint = self.hint


def parse(command: Command, tokens: Sequence[str]) -> Call:
    """The call that ``tokens``, the words after the command's name, describe. UsageError if they are wrong."""
    with usage_of(command.name):
        return Call(command, _given(command, tokens))


def _given(command: Command, tokens: Sequence[str]) -> dict[str, Any]:
    options = (*command.options, *GLOBAL)
    by_flag = {flag: option for option in options for flag in flags_of(option)}
    bare = next((option for option in command.options if option.arg.bare), None)
    given: dict[str, Any] = {}
    words = iter(tokens)
    for word in words:
        flag, equals, text = word.partition("=")
        option = by_flag.get(flag)
        if option is None and bare is not None and not word.startswith("-"):
            store(given, bare, convert(bare, word), bare.flag)
            continue
        if option is None:
            raise _unknown(command, word, flag, by_flag)
        if option.kind == "bool":
            if equals:
                raise UsageError(f"{flag} takes no value")
            value: Any = not flag.startswith("--no-") or option.flag == flag
        else:
            value = convert(option, text if equals else _next(words, option, flag))
        store(given, option, value, flag)
    return given


def flags_of(option: Option) -> tuple[str, ...]:
    """Every spelling of an option: ``--no-x`` too where the default is on."""
    flags = [option.flag]
    if option.arg.short:
        flags.append("-" + option.arg.short)
    if option.kind == "bool" and option.default is True:
        flags.append("--no-" + option.flag.removeprefix("--"))
    return tuple(flags)


def store(given: dict[str, Any], option: Option, value: Any, flag: str) -> None:
    """Keep one value; an option that takes one value may not be given two different ones."""
    if option.multiple:
        given.setdefault(option.name, []).append(value)
    elif given.setdefault(option.name, value) != value:
        raise UsageError(f"{flag} is given twice with different values")


def _next(words: Iterable[str], option: Option, flag: str) -> str:
    word = next(iter(words), None)
    if word is None:
        raise UsageError(f"{flag} needs a value")
    if looks_like_option(option, word):
        raise not_a_value(option, flag, word)
    return word


def looks_like_option(option: Option, word: str) -> bool:
    """True for a word that was hardly meant as ``option``'s value. ``-`` means standard input."""
    number = option.kind in ("int", "float") and word[1:2].isdigit()
    return word.startswith("-") and word != "-" and not number


def not_a_value(option: Option, flag: str, word: str) -> UsageError:
    return UsageError(
        f"{flag} needs a value", f"if {shown(word)} is meant as the value: {option.flag}={word}"
    )


def _unknown(command: Command, word: str, flag: str, known: Iterable[str]) -> UsageError:
    if not word.startswith("-") or word in ("-", "--"):
        return UsageError(f"{command.name} takes no bare words, but got {shown(word)}")
    if flag in SETTINGS_FILE:  # Invoke takes it there
        return UsageError(f"{flag} stands before the command", f"hpm {flag} FILE {command.name} …")
    return UsageError(f"{command.name} has no option {shown(flag)}{suggest(flag, known)}")


def suggest(word: str, known: Iterable[str]) -> str:
    """``, did you mean X?`` for a near miss, or nothing."""
    import difflib

    near = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {near[0]}?" if near else ""


def convert(option: Option, text: str) -> Any:
    """The typed, checked value of an option's text; UsageError naming the option if it is wrong."""
    try:
        value: Any = _typed(option.kind, text)
    except ValueError:
        what = "a whole number" if option.kind == "int" else "a number"
        raise UsageError(f"{option.flag} must be {what}, not {shown(text)}") from None
    return checked(option, value)


def checked(option: Option, value: Any) -> Any:
    """``value``, of the option's type, as the command takes it; UsageError naming the option if it is wrong."""
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{option.flag} is not valid UTF-8") from None
    if value == "" and option.arg.metavar in PATHS:
        raise UsageError(f"{option.flag} is empty", "leave it out where nothing is meant")
    if option.arg.check is not None:
        try:
            value = option.arg.check(value)
        except UsageError as error:
            # Names and numbers are checked in many places; which option they were given by is known here.
            if option.flag in error.message:
                raise
            raise UsageError(f"{option.flag}: {error.message}", error.hint) from None
    if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        raise UsageError(f"{option.flag} is larger than any number that is meant here")
    if option.arg.choices and value not in option.arg.choices:
        one_of = ", ".join(option.arg.choices)
        raise UsageError(f"{option.flag} must be one of {one_of}, not {shown(str(value))}")
    return value


def _typed(kind: str, text: str) -> Any:
    if kind == "str":
        return text
    # Python's int() and float() also take blanks, "1_000", other scripts' digits, "nan" and "inf".
    if not text.isascii() or any(not (character.isdigit() or character in "+-.eE") for character in text):
        raise ValueError(text)
    return int(text) if kind == "int" else float(text)
