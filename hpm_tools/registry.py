"""The one declaration of every command, from which both front ends, the docs and completion are made.

A command is a plain typed function, registered once under its dotted name. Its signature *is* the
interface: keyword-only parameters become ``--options``, a default makes one optional, the annotation
gives the type (``str``, ``int``, ``float``, ``bool``, ``list[str]``, each also ``| None``).

Importing this module imports neither invoke, requests, argparse nor inspect, and finding one command
imports only the module that declares it: ``hpm lock --local`` must cost little more than Python itself.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Generic, Protocol, TypeVar

    from hpm_tools.ui import TerminalUI

    class Jsonable(Protocol):
        """Something that knows itself as JSON types."""

        def to_json(self) -> Mapping[str, Any]: ...

    Content = TypeVar("Content", bound="Mapping[str, object] | Jsonable")

    class _Of(Generic[Content]):
        pass

    Function = Callable[..., "Result[Any] | None"]
else:
    Content = None

    class _Of:
        """``Result[X]`` is for the reader, mypy and the schemas; typing would cost a quick command an import."""

        __slots__ = ()

        def __class_getitem__(cls, _content: object) -> type:
            return cls


MODULES: dict[str, str] = {
    "init": "hpm_tools.commands.project",
    "trust": "hpm_tools.commands.project",
    "lock": "hpm_tools.commands.lock",
    "unlock": "hpm_tools.commands.lock",
    "locks": "hpm_tools.commands.lock",
    "worktree.add": "hpm_tools.commands.worktree",
    "worktree.remove": "hpm_tools.commands.worktree",
    "worktree.list": "hpm_tools.commands.salvage",
    "worktree.restore": "hpm_tools.commands.salvage",
    "worktree.prune": "hpm_tools.commands.salvage",
    "claude.exec": "hpm_tools.commands.claude",
    "claude.model": "hpm_tools.commands.claude",
    "claude.check": "hpm_tools.commands.claude",
    "finish": "hpm_tools.commands.finish",
    "hooks.run": "hpm_tools.commands.hooks",
    "hooks.list": "hpm_tools.commands.hooks",
    "health": "hpm_tools.commands.health",
    "run": "hpm_tools.commands.run",
    "sessions": "hpm_tools.commands.sessions",
    "retry": "hpm_tools.commands.retry",
    "recover": "hpm_tools.commands.recover",
    "events": "hpm_tools.commands.observe",
    "metrics": "hpm_tools.commands.observe",
    "prompts": "hpm_tools.commands.prompts",
    "answer": "hpm_tools.commands.prompts",
    "pm.register": "hpm_tools.commands.pm",
    "pm.next": "hpm_tools.commands.pm",
    "pm.task": "hpm_tools.commands.pm",
    "pm.tasks": "hpm_tools.commands.pm",
    "pm.status": "hpm_tools.commands.pm",
    "pm.comment": "hpm_tools.commands.pm",
    "pm.add": "hpm_tools.commands.pm",
    "pm.serve": "hpm_tools.commands.serve",
    "notify.test": "hpm_tools.commands.notify",
    "dashboard": "hpm_tools.commands.dashboard",
    "report": "hpm_tools.commands.dashboard",
    "demo": "hpm_tools.commands.demo",
    "completion.bash": "hpm_tools.cli.completion",
    "completion.zsh": "hpm_tools.cli.completion",
    "completion.fish": "hpm_tools.cli.completion",
    "completion.words": "hpm_tools.cli.completion",
}
"""Dotted command name → the module that declares it. A test compares it with what those modules register."""

_registered: dict[str, Command] = {}


class Result(_Of[Content]):
    """What a command found: ``content`` is the one JSON object of ``--json``, ``text`` the plain stdout.

    A command declares its content by ``-> Result[X]``, X being a type in commands/results.py: from that
    come the JSON Schemas in docs/schemas. ``content`` None prints nothing (all has been told as events).
    ``exit_code`` is for outcomes that are results and failures at once (an agent that was blocked);
    everything else that fails raises an HpmError. ``failure`` is why it failed, for the exception of a caller in
    Python, where ``text`` does not begin with it.
    """

    __slots__ = ("content", "exit_code", "failure", "text")

    def __init__(
        self, content: Content | None, text: str = "", exit_code: int = 0, *, failure: str = ""
    ) -> None:
        self.content = content
        self.text = text
        self.exit_code = exit_code
        self.failure = failure


class Arg:
    """What a parameter's annotation cannot say: its help, the name of its value, and how it is checked.

    ``metavar`` says which kind of value it is: completion knows A (an agent), SESSION, HOOK, KIND, DIR and FILE.
    ``check`` turns the given text into the value and raises UsageError; ``choices`` may be a tuple of
    known values, offered by completion and enforced. ``bare``: `hpm` takes the value without its flag, too.
    ``unless`` names the parameter without which this one is required, though it has a default.
    """

    __slots__ = ("bare", "check", "choices", "help", "metavar", "short", "unless")

    def __init__(
        self,
        help: str,
        *,
        metavar: str = "",
        choices: tuple[str, ...] = (),
        check: Callable[[str], Any] | None = None,
        short: str = "",
        bare: bool = False,
        unless: str = "",
    ) -> None:
        self.bare = bare
        self.help = help
        self.metavar = metavar
        self.choices = choices
        self.check = check
        self.short = short
        self.unless = unless


class Option:
    """One ``--option`` of a command, as the front ends need it."""

    __slots__ = ("arg", "default", "kind", "multiple", "name", "required")

    def __init__(
        self,
        name: str,
        kind: str,
        arg: Arg,
        *,
        default: Any = None,
        required: bool = False,
        multiple: bool = False,
    ) -> None:
        self.name = name
        self.kind = kind
        self.default = default
        self.required = required
        self.multiple = multiple
        self.arg = arg

    @property
    def flag(self) -> str:
        return _flag(self.name)

    @property
    def unless(self) -> str:
        """The flag without which this option is required; "" if there is none."""
        return _flag(self.arg.unless) if self.arg.unless else ""

    def missing_from(self, values: Mapping[str, Any]) -> bool:
        """Whether a call with these values lacks this option."""
        needed = self.required or bool(self.arg.unless and self.arg.unless not in values)
        return needed and self.name not in values


class Command:
    """A registered command: its function, its options, and the texts made from its docstring.

    ``reads`` and ``shows``: see ``command``.
    """

    __slots__ = ("args", "example", "function", "name", "reads", "shows", "streams")

    def __init__(
        self,
        name: str,
        function: Function,
        args: Mapping[str, Arg],
        example: str,
        *,
        streams: bool = False,
        reads: bool = False,
        shows: str = "",
    ) -> None:
        self.name = name
        self.function = function
        self.args = args
        self.example = example
        self.streams = streams
        self.reads = reads
        self.shows = shows

    @property
    def summary(self) -> str:
        return (self.function.__doc__ or "").strip().split("\n", 1)[0]

    @property
    def description(self) -> str:
        rest = (self.function.__doc__ or "").strip().partition("\n")[2]
        return "\n".join(line.strip() for line in rest.strip().splitlines())

    @property
    def returns(self) -> str:
        """The name of the type in commands/results.py that ``--json`` prints; "" for a command without one."""
        _, opened, rest = self.function.__annotations__["return"].partition("Result[")
        return rest.partition("]")[0] if opened else ""

    @property
    def options(self) -> list[Option]:
        """The keyword-only parameters in order of declaration.

        Read from the code object, not with inspect, which costs more than the rest of a quick command.
        """
        code = self.function.__code__
        first = code.co_argcount
        names = code.co_varnames[first : first + code.co_kwonlyargcount]
        defaults = self.function.__kwdefaults__ or {}
        return [
            _option(name, self.function.__annotations__[name], defaults, self.args[name]) for name in names
        ]

    def __call__(self, ui: TerminalUI, **values: Any) -> Result[Any] | None:
        return self.function(ui, **values)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _option(name: str, annotation: str, defaults: Mapping[str, Any], arg: Arg) -> Option:
    kind = annotation.removesuffix(" | None")
    multiple = kind.startswith("list[")
    if multiple:
        kind = kind[len("list[") : -1]
    if kind not in ("str", "int", "float", "bool"):
        raise TypeError(f"parameter {name}: {annotation!r} is not a type that a command line can carry")
    return Option(
        name, kind, arg, default=defaults.get(name), required=name not in defaults, multiple=multiple
    )


def command(
    name: str,
    *,
    example: str,
    args: Mapping[str, Arg] | None = None,
    streams: bool = False,
    reads: bool = False,
    shows: str = "",
) -> Callable[[Function], Function]:
    """Register a function as the command ``name``.

    ``example`` is one runnable shell line shown by ``--help``. ``streams`` marks commands that write
    lines while they run (``run --json`` gives one object per line instead of exactly one). ``reads`` marks
    those that change nothing, ``shows`` names the option by which another one only shows what it would do:
    under Invoke's ``--dry`` no others run.
    """

    def register(function: Function) -> Function:
        _registered[name] = Command(
            name, function, args or {}, example, streams=streams, reads=reads, shows=shows
        )
        return function

    return register


def find(name: str) -> Command | None:
    """The command called ``name``, importing only its module; None if there is none."""
    module = MODULES.get(name)
    if module is None:
        return None
    if name not in _registered:
        __import__(module)
    return _registered[name]


def all_commands() -> Iterable[Command]:
    """Every command, in the order of MODULES, importing every command module."""
    return [command for name in MODULES if (command := find(name)) is not None]
