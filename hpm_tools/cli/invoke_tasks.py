"""Every registered command as an Invoke task that works in anybody's Collection, under any Executor.

Invoke's own habits (verified in 3.0.3) that are answered here: it ignores annotations, makes required arguments
positional, which then swallow ``--help`` and run the task, drops repeated calls, and shows a traceback for a
wrong value.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.executor import Executor
from invoke.parser.argument import Argument
from invoke.program import Program
from invoke.tasks import Task

from hpm_tools import registry
from hpm_tools.cli import execute
from hpm_tools.cli.arguments import (
    GLOBAL_OF_TASKS,
    Call,
    convert,
    flags_of,
    looks_like_option,
    not_a_value,
    usage_of,
)
from hpm_tools.cli.invoke_settings import settings_of
from hpm_tools.errors import HpmError, UsageError
from hpm_tools.ui import TerminalUI

if TYPE_CHECKING:
    import inspect
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType

    from invoke.collection import Collection

    from hpm_tools.registry import Command, Option


class Word(str):
    """A value as it stands on the command line, and none that somebody passed in Python."""

    __slots__ = ()


class TaskArgument(Argument):
    """An argument whose values stay as they stand on the command line, whatever ``kind`` its help shows."""

    def __repr__(self) -> str:
        """As Invoke's messages show it: "Flag --agent-id needed value and was not given one!"."""
        return f"--{self.names[0]}"

    def set_value(self, value: Any, cast: bool = True) -> None:
        if self.kind is bool:
            super().set_value(value, cast)
            return
        self.raw_value = value
        word = Word(value)
        self._value = [*(self._value or ()), word] if self.kind is list else word


class HpmTask(Task[Any]):
    """A registered command; its module is imported only when Invoke needs its options or its text.

    ``name`` is what a Collection calls it by default.
    """

    def __init__(self, command_name: str, *, name: str = "") -> None:
        self.command_name = command_name
        name = name or command_name.rpartition(".")[2]
        super().__init__(_body, name=name, positional=[], auto_shortflags=False)
        self.__name__ = self.__qualname__ = command_name.replace(".", "_")
        self.__module__ = registry.MODULES.get(command_name, __name__)
        # They speak of _body, and `inspect` would believe them.
        del self.__wrapped__, self.__annotations__

    def __eq__(self, other: object) -> bool:
        """By identity: Invoke compares name and body, and `worktree.add` would be `pm.add`."""
        return self is other

    def __ne__(self, _other: object) -> bool:
        """Always: Invoke drops a call that equals an earlier one, but `lock unlock lock` are three calls.

        Executor.dedupe compares the tasks of two calls by ``!=``, and by nothing else (Call.__eq__).
        """
        return True

    __hash__ = object.__hash__

    @property
    def command(self) -> Command:
        command = registry.find(self.command_name)
        if command is None:
            raise LookupError(self.command_name)
        return command

    def _text(self) -> str:
        """What ``invoke --help TASK`` shows above the options, and ``invoke --list`` the first line of."""
        try:
            command = self.command
        except ImportError as error:
            return f"(not available: {error})"
        from hpm_tools.cli.helptext import for_invoke

        return for_invoke(command)

    # Settable, because Task.__init__ copies the body's docstring.
    __doc__ = property(_text, lambda _self, _text: None)

    def __getattr__(self, name: str) -> Any:
        """What `inspect` asks for; no properties, for those of the class would be taken for the values."""
        if name == "__signature__":
            return self.signature()
        if name == "__annotations__":
            known = self.signature().parameters.values()
            return {parameter.name: parameter.annotation for parameter in known}
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def signature(self) -> inspect.Signature:
        """The command as a function."""
        from hpm_tools.cli.python_calls import signature

        return signature(self.command)

    def __call__(self, /, *args: Any, **given: Any) -> Any:
        """Run the command; its result's content, or None.

        Called by an Executor it does as `hpm` does: prints the result, tells errors, ends with Exit. Called as
        a function it prints no result and raises the command's own exceptions (python_calls.returned).
        """
        context = self._context(args)
        self.times_called += 1
        # An Executor calls a task no other way than another task does.
        caller = sys._getframe(1)  # noqa: SLF001  # inspect's own is slower
        if _is_method_of(Executor, caller):
            return self._executed(context, args[1:], given, program=_program_above(caller))
        if len(args) > 1:
            raise TypeError(self._by_keyword)
        from hpm_tools.cli.python_calls import call_of, ends_invoke, returned

        try:
            call = call_of(self.command, given, echo=bool(context.config.run.echo))
            _heed_dry(context, call)
            with settings_of(context):
                return returned(call)
        except HpmError as error:
            raise ends_invoke(error)  # noqa: B904  # it is the same exception

    def _context(self, args: Sequence[Any]) -> Context:
        if not args or not isinstance(args[0], Context):
            found = f", not {type(args[0]).__name__}" if args else ""
            raise TypeError(f"{self.command_name}() expects a Context as its first argument{found}")
        return args[0]

    @property
    def _by_keyword(self) -> str:
        return f"{self.command_name}() takes its options by keyword only"

    def _executed(
        self,
        context: Context,
        positional: Sequence[Any],
        given: Mapping[str, Any],
        *,
        program: Program | None,
    ) -> Any:
        execute.prepare_streams()
        ui = TerminalUI(json=bool(given.get("json")))
        calls: list[Call] = []
        refused: list[HpmError] = []

        def work(_ui: TerminalUI) -> int:
            try:
                if program is not None and self._from_line(given):
                    _check_line(program)
                if positional:
                    raise UsageError(self._by_keyword, self._in_tasks)
                call = self._call(given, echo=bool(context.config.run.echo))
                calls.append(call)
                _heed_dry(context, call)
                with settings_of(context):
                    return execute.execute(call, whole_process=program is not None)
            except HpmError as error:
                refused.append(error)
                raise

        code = execute.guarded(ui, work)
        call = calls[0] if calls else None
        if code:
            raise _ending(call, refused, code)
        if call is None or call.result is None:
            return None
        from hpm_tools.cli.python_calls import content_of

        return content_of(call.result)

    def _call(self, given: Mapping[str, Any], *, echo: bool) -> Call:
        """The call that the values from a command line describe, or those from ``call(task, …)``."""
        if self._from_line(given):
            return self.call_of_line(given, echo=echo)
        from hpm_tools.cli.python_calls import call_of

        try:
            return call_of(self.command, given, echo=echo)
        except TypeError as error:
            # The tasks.py is wrong, in a pre, a post or a call(): there is no line of it that a traceback could show.
            raise UsageError(str(error), self._in_tasks) from None

    @property
    def _in_tasks(self) -> str:
        name = self.__name__
        return f"correct the call in your tasks.py: call({name}, …) in pre or post, or one for an Executor"

    def call_of_line(self, given: Mapping[str, Any], *, echo: bool = False) -> Call:
        """The call that Invoke's parsed values describe; UsageError if they are wrong."""
        with usage_of(self.command_name):
            return Call(self.command, dict(self._values(given)), echo=echo)

    def _from_line(self, given: Mapping[str, Any]) -> bool:
        """Whether Invoke's parser made the arguments: it names all of them, whether they were given or not.

        Somebody in Python may do so, too, with values of the options' types.
        """
        options = (*self.command.options, *GLOBAL_OF_TASKS)
        return all(option.name in given and _may_be_from_line(given[option.name]) for option in options)

    def _values(self, given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for option in (*self.command.options, *GLOBAL_OF_TASKS):
            value = given.get(option.name)
            if option.kind == "bool":
                if value is not None and bool(value) != option.default:
                    yield option.name, bool(value)
            elif option.multiple:
                if value:
                    yield option.name, [_converted(option, text) for text in value]
            elif value is not None:
                yield option.name, _converted(option, value)

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:  # noqa: ARG002
        """The options as Invoke's, all of them text: the values are converted as ``hpm`` converts them."""
        if "--complete" in sys.argv:
            from hpm_tools.cli.invoke_completion import offer_values

            offer_values()
        if not _asked_for(self):
            return []
        try:
            options = self.command.options
        except ImportError:
            # Calling the task says what is missing; the other tasks stay usable.
            options = []
        return [_argument(option) for option in (*options, *GLOBAL_OF_TASKS)]


def _may_be_from_line(value: object) -> bool:
    words = value if isinstance(value, list) else [value]
    return all(word is None or isinstance(word, bool | Word) for word in words)


def _check_line(program: Any) -> None:
    """UsageError for what is wrong in any call of ours on the command line, before the first of them does anything.

    `invoke lock … worktree.add --task-id abc` would otherwise leave a lock.
    """
    line = program.tasks
    if line is _Checked.line:
        return
    for context in line:
        task = program.collection[context.name]
        if isinstance(task, HpmTask):
            with usage_of(task.command_name):
                task.call_of_line(context.as_kwargs).check()
    _Checked.line = line


class _Checked:
    """The command line that was checked last: once is enough for all its calls."""

    line: Any = None


def _program_above(frame: FrameType | None) -> Program | None:
    """Invoke's program, or one that is made of Invoke's class, if it waits itself for the Executor in ``frame``.

    None if that is an Executor that somebody's task or program made.
    """
    while frame is not None and _is_method_of(Executor, frame):
        frame = frame.f_back
    return frame.f_locals["self"] if frame is not None and _is_method_of(Program, frame) else None


def _is_method_of(kind: type, frame: FrameType) -> bool:
    """By type(): what isinstance asks for, an object of somebody's that stands for another may refuse."""
    return issubclass(type(frame.f_locals.get("self")), kind)


def _ending(call: Call | None, refused: Sequence[HpmError], code: int) -> Exception:
    """What an Executor's caller gets for a command that ended with ``code``, of which everything has been told.

    ``refused`` has the reason if it was not even begun.
    """
    from hpm_tools.cli.python_calls import ends_invoke, failure

    if refused:
        return ends_invoke(refused[0], told=True)
    if call is not None and call.error is not None:
        return ends_invoke(call.error, told=True)
    if call is not None and call.result is not None and call.result.exit_code == code:
        return ends_invoke(failure(call.command, call.result), told=True)
    return Exit(code=code)


def _body(_context: Context) -> None:
    """Invoke wants a function; HpmTask overrides all that would look at it."""


def _heed_dry(context: Context, call: Call) -> None:
    """Under Invoke's ``--dry`` only show what would be done; UsageError where the command cannot."""
    if not context.config.run.dry or call.command.reads:
        return
    if not call.command.shows:
        raise UsageError(
            f"--dry: {call.command.name} cannot show what it would do, so nothing was done",
            "leave out --dry to have it done",
        )
    call.values[call.command.shows] = True


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
    from hpm_tools.cli.helptext import explanation

    kind = (
        bool if option.kind == "bool" else list if option.multiple else int if option.kind == "int" else str
    )
    return TaskArgument(
        names=[option.flag.removeprefix("--"), *([option.arg.short] if option.arg.short else [])],
        attr_name=option.name if "_" in option.name else None,
        kind=kind,
        default=option.default if kind is bool else None,
        help=explanation(option),
    )


def _converted(option: Option, word: str) -> Any:
    text = str.__str__(word)
    # Invoke takes the word after an option for its value even if it is a mistyped option.
    joined = any(f"{flag}={text}" in sys.argv for flag in flags_of(option))
    if looks_like_option(option, text) and not joined:
        raise not_a_value(option, option.flag, text)
    return convert(option, text)


class HpmExecutor(Executor):
    """Invoke's own. The invoke.yaml that earlier versions of `hpm init` wrote names it; nothing needs it."""
