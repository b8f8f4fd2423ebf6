"""Every registered command as an Invoke task, and the executor that makes the tasks behave.

Invoke's own habits (verified in 3.0.3) that are answered here: it ignores annotations, lets positionals
swallow ``--help`` and then runs the task, drops repeated calls, shows a traceback for a wrong value and
answers ^C with 1. The tasks answer them by themselves, so they work in anybody's Collection under plain
Invoke; the executor adds that ``--help`` among several tasks runs none of them.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.exceptions import Exit
from invoke.executor import Executor
from invoke.parser.argument import Argument
from invoke.tasks import Task

from hpm_tools import errors, registry
from hpm_tools.cli import execute
from hpm_tools.cli.arguments import (
    GLOBAL,
    Call,
    convert,
    flags_of,
    looks_like_option,
    not_a_value,
    usage_of,
)
from hpm_tools.ui import TerminalUI

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

    from hpm_tools.registry import Command, Option

EXECUTOR = "hpm_tools.cli.invoke_tasks.HpmExecutor"
NAME = "hpm"


class HpmTask(Task[Any]):
    """A registered command; its module is imported only when Invoke needs its options or its text.

    ``name`` is what a Collection calls it by default.
    """

    def __init__(self, command_name: str, *, name: str = "") -> None:
        self.command_name = command_name
        super().__init__(
            _body, name=name or command_name.rpartition(".")[2], positional=[], auto_shortflags=False
        )

    def __eq__(self, _other: object) -> bool:
        """Never: Invoke drops a call that equals an earlier one, but `lock unlock lock` are three calls.

        Invoke compares the tasks of two calls first (Executor.dedupe, Call.__eq__), and by name and body alone:
        `worktree.add` would be `pm.add`. Its lists and dicts of tasks look for the same object first.
        """
        return False

    __hash__ = object.__hash__

    @property
    def command(self) -> Command:
        command = registry.find(self.command_name)
        if command is None:
            raise LookupError(self.command_name)
        return command

    def _summary(self) -> str:
        """What ``invoke --list`` shows."""
        try:
            return self.command.summary
        except ImportError as error:
            return f"(not available: {error})"

    # Settable, because Task.__init__ copies the body's docstring.
    __doc__ = property(_summary, lambda _self, _text: None)

    def __call__(self, *_context: Any, **given: Any) -> None:
        """Run the command with what Invoke parsed, or print its help; Exit with its code unless that is 0."""
        if given.get("help"):
            _print_help([self])
            return
        execute.prepare_streams()
        ui = TerminalUI(json=bool(given.get("json")))
        _leave(execute.guarded(ui, lambda _ui: execute.execute(self.call(given))))

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:  # noqa: ARG002
        """The options as Invoke's, all of them text: the values are converted as ``hpm`` converts them."""
        if not _asked_for(self):
            return []
        try:
            options = self.command.options
        except ImportError:
            # Calling the task says what is missing; the other tasks stay usable.
            options = []
        return [_argument(option) for option in (*options, *GLOBAL)]

    def call(self, given: dict[str, Any]) -> Call:
        """The call that Invoke's parsed values describe; UsageError if they are wrong."""
        with usage_of(self.command_name):
            return Call(self.command, self._values(given))

    def _values(self, given: dict[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for option in (*self.command.options, *GLOBAL):
            raw = given.get(option.name)
            if option.kind == "bool":
                if raw is not None and bool(raw) != option.default:
                    values[option.name] = bool(raw)
            elif option.multiple:
                if raw:
                    values[option.name] = [_converted(option, text) for text in raw]
            elif raw is not None:
                values[option.name] = _converted(option, raw)
        return values


def _body(_context: Context) -> None:
    """Invoke wants a function; HpmTask overrides all that would look at it."""


def _asked_for(task: HpmTask) -> bool:
    """False only if this process is Invoke and no word of its command line holds a name that it has for the task.

    Invoke asks every task for its options before it parses the command line, but does not say by which name.
    """
    from invoke.main import program

    root = getattr(program, "collection", None)
    return root is None or task in _Asked.tasks_of(root, program.argv[1:])


class _Asked:
    """The tasks that a command line may mean, worked out once and not for each of them."""

    root: Collection | None = None
    words: Sequence[str] = ()
    tasks: frozenset[Task[Any]] = frozenset()

    @classmethod
    def tasks_of(cls, root: Collection, words: Sequence[str]) -> frozenset[Task[Any]]:
        if cls.root is not root or cls.words != words:
            cls.root, cls.words = root, words
            cls.tasks = frozenset(
                root[name]
                for name, aliases in root.task_names.items()
                if any(called in word for called in (name, *aliases) for word in words)
            )
        return cls.tasks


def _argument(option: Option) -> Argument:
    kind: type = bool if option.kind == "bool" else list if option.multiple else str
    names = [option.flag.removeprefix("--"), *([option.arg.short] if option.arg.short else [])]
    return Argument(
        names=names,
        attr_name=option.name if "_" in option.name else None,
        kind=kind,
        default=option.default if kind is bool else None,
        help=option.arg.help,
    )


def _converted(option: Option, text: str) -> Any:
    # Invoke takes the word after an option for its value even if it is a mistyped option.
    joined = any(f"{flag}={text}" in sys.argv for flag in flags_of(option))
    if looks_like_option(option, text) and not joined:
        raise not_a_value(option, option.flag, text)
    return convert(option, text)


class HpmExecutor(Executor):
    """Invoke's own, but ``--help`` at any of our tasks runs nothing, and ^C ends with 130."""

    def execute(self, *tasks: Any) -> dict[Any, Any]:
        helped = [task for call in self.normalize(tasks) if (task := _wanting_help(call)) is not None]
        if helped:
            _print_help(helped)
            return {}
        try:
            return super().execute(*tasks)
        except KeyboardInterrupt:
            raise Exit(code=errors.SIGNAL_BASE + signal.SIGINT) from None


def _wanting_help(call: Any) -> HpmTask | None:
    return call.task if isinstance(call.task, HpmTask) and call.kwargs.get("help") else None


def _print_help(tasks: list[HpmTask]) -> None:
    from hpm_tools.cli.helptext import for_command

    def show(ui: TerminalUI) -> int:
        execute.print_text(ui, "\n".join(for_command(task.command) for task in tasks))
        return errors.DONE

    execute.prepare_streams()
    _leave(execute.guarded(TerminalUI(), show))


def _leave(code: int) -> None:
    if code:
        raise Exit(code=code)


def namespace(*extra: Task[Any]) -> Collection:
    """Every command as a task under its dotted name, and ``extra`` tasks of the project's own.

    Its own name counts only in somebody else's Collection: `hpm.lock`.
    """
    root = Collection(NAME)
    groups: dict[str, Collection] = {}
    for name in registry.MODULES:
        group, dot, _ = name.rpartition(".")
        if dot and group not in groups:
            groups[group] = Collection(group)
            root.add_collection(groups[group])
        (groups[group] if dot else root).add_task(HpmTask(name))
    for task in extra:
        root.add_task(task)
    return root
