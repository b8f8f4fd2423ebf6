"""A task called as a Python function: its signature, its typed arguments, its result, its exceptions.

    lock(c, agent_id="dev_001", task_id=3, local=True)["token"]

Unlike a command line it prints no result, ends nothing, and handles no signals: it returns and raises.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_type_hints, is_typeddict

from invoke.context import Context
from invoke.exceptions import Exit

from hpm_tools import signals, trace
from hpm_tools.cli.arguments import GLOBAL_OF_TASKS, PATHS, Call, checked, suggest, usage_of
from hpm_tools.errors import CommandFailed, HpmError, UsageError
from hpm_tools.ui import TerminalUI

if TYPE_CHECKING:
    from hpm_tools.registry import Command, Option, Result

CONTEXT = "c"
"""What Invoke's own documentation calls a task's first argument."""

TYPES: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}


def signature(command: Command) -> inspect.Signature:
    """The command as a function: the context, then its options and those of every command by keyword."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Signature(
        [
            inspect.Parameter(CONTEXT, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Context),
            *(
                inspect.Parameter(
                    option.name,
                    keyword,
                    default=inspect.Parameter.empty if option.required else option.default,
                    annotation=annotation(option),
                )
                for option in (*command.options, *GLOBAL_OF_TASKS)
            ),
        ],
        return_annotation=_returned_type(command),
    )


def _returned_type(command: Command) -> Any:
    from hpm_tools.commands import results  # imports much that no call needs

    if not command.returns:
        return None
    returned = getattr(results, command.returns)
    kind = returned if _is_plain(returned) else dict[str, Any]  # content_of makes plain data of all others
    return kind | None if command.function.__annotations__["return"].endswith("| None") else kind


def _is_plain(kind: Any) -> bool:
    """Whether a value of this type is what content_of makes of it: no class of ours is in it."""
    if is_typeddict(kind):
        return all(map(_is_plain, get_type_hints(kind).values()))
    return not hasattr(kind, "to_json") and all(map(_is_plain, get_args(kind)))


def annotation(option: Option) -> Any:
    """The type of an option's value in Python: ``str | Path | None``, ``list[str] | None``, ``Literal['qa', …]``…"""
    kind: Any = TYPES[option.kind][-1]
    if option.arg.choices:
        kind = Literal[option.arg.choices]
    elif option.arg.metavar in PATHS:
        kind = str | Path
    elif option.arg.metavar == "JSON":
        kind = str | Mapping[str, Any]
    if option.multiple:
        kind = list[kind]
    return kind if option.required or option.default is not None else kind | None


def call_of(command: Command, given: Mapping[str, Any], *, echo: bool = False) -> Call:
    """The call with these arguments.

    Raises TypeError for an unknown or a missing keyword and for a value of another type than the signature says,
    and UsageError for a value that the command does not take.
    """
    options = {option.name: option for option in (*command.options, *GLOBAL_OF_TASKS)}
    unknown = [name for name in given if name not in options]
    if unknown:
        raise TypeError(
            f"{command.name}() got an unexpected keyword argument {unknown[0]!r}{suggest(unknown[0], options)}"
        )
    values = {
        name: _value(command, options[name], value) for name, value in given.items() if value is not None
    }
    call = Call(command, values, echo=echo)
    if missing := call.missing():
        names = ", ".join(repr(option.name) for option in missing)
        noun = "argument" if len(missing) == 1 else "arguments"
        instead = dict.fromkeys(f" (or {option.arg.unless!r})" for option in missing if option.arg.unless)
        raise TypeError(
            f"{command.name}() missing {len(missing)} required keyword {noun}: {names}{''.join(instead)}"
        )
    return call


def _value(command: Command, option: Option, value: Any) -> Any:
    if option.multiple and isinstance(value, list | tuple):
        return [_single(command, option, item) for item in value]
    if option.multiple:
        raise TypeError(_wrong_type(command, option, value))
    return _single(command, option, value)


def _single(command: Command, option: Option, value: Any) -> Any:
    if option.arg.metavar in PATHS and isinstance(value, os.PathLike):
        value = os.fspath(value)
    elif option.arg.metavar == "JSON" and isinstance(value, Mapping):
        value = _as_json(command, option, value)
    # A bool is an int in Python, but hardly a task's number.
    if not isinstance(value, TYPES[option.kind]) or (isinstance(value, bool) and option.kind != "bool"):
        raise TypeError(_wrong_type(command, option, value))
    return value if option.kind == "bool" else checked(option, _plain(value))


def _plain(value: Any) -> str | float:
    """``value`` without what a subclass adds: a record knows its numbers by their type, and str() of an Enum is its name."""
    if isinstance(value, str):
        return str.__str__(value)
    return int(value) if isinstance(value, int) else float(value)


def _as_json(command: Command, option: Option, value: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(value), default=_as_dict)
    except TypeError as error:
        raise TypeError(f"{command.name}() argument {option.name!r} cannot be JSON: {error}") from None
    except (ValueError, RecursionError) as error:
        # It holds itself, is nested too deeply, or has a huge number.
        raise UsageError(f"{option.flag} cannot be JSON: {error}") from None


def _as_dict(value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _wrong_type(command: Command, option: Option, value: object) -> str:
    wanted = inspect.formatannotation(annotation(option))
    return f"{command.name}() argument {option.name!r} must be {wanted}, not {type(value).__name__}"


def returned(call: Call) -> Any:
    """Run ``call`` and return its result's content, or None.

    Raises the command's own HpmError, and CommandFailed for a result that is a failure. SIGTERM and SIGHUP end a
    child process that it waits for in the main thread, and raise signals.Terminated, which is a SystemExit.
    """
    ui = TerminalUI(json=call.json, quiet=call.quiet, verbose=call.verbose, streams=call.command.streams)
    try:
        with (
            signals.CommandSignals(whole_process=False),
            trace.heard_by(call.listener(ui)),
            usage_of(call.command.name),
        ):
            result = call.command(ui, **call.values)
    finally:
        ui.progress("")
    if result is None:
        return None
    if result.exit_code:
        raise failure(call.command, result)
    return content_of(result)


def content_of(result: Result[Any]) -> Any:
    """The content of a result as plain data: what ``--json`` prints, read again."""
    return _plain_data(result.content)


def _plain_data(value: Any) -> Any:
    described = getattr(value, "to_json", None)
    if described is not None:
        return _plain_data(described())
    if isinstance(value, Mapping):
        return {key: _plain_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_data(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def failure(command: Command, result: Result[Any]) -> CommandFailed:
    """The exception for a result that is a failure."""
    # A page of results says nothing in its first line; content has all of it.
    lines = result.text.strip().splitlines()
    first = result.failure or (lines[0] if len(lines) == 1 else "")
    return CommandFailed(
        f"{command.name}: {first}" if first else f"{command.name} failed",
        result.exit_code,
        content_of(result),
    )


def ends_invoke(error: HpmError, *, told: bool = False) -> HpmError:
    """``error`` itself, from now on an Exit of Invoke's as well: uncaught, it ends a program without a traceback.

    ``told``: it was printed already, so Invoke prints nothing.
    """
    error.__class__ = _with_exit(type(error))
    if told:
        error.__dict__["told"] = True
    return error


def _with_exit(kind: type[HpmError]) -> type[HpmError]:
    """``kind``, and Exit: with the code that Invoke ends with, and as ``message`` the lines that it prints before.

    The sentence alone is ``str(error)``.
    """
    if kind not in _exits:
        body = {
            "__module__": kind.__module__,
            "__reduce__": lambda error: (_unpickled, (kind, error.args, error.__dict__)),
            "code": property(_code),
            "message": property(_report, _keep),
        }
        ending = _exits[kind] = type(kind.__name__, (kind, Exit), body)
        _exits[ending] = ending
    return _exits[kind]


_exits: dict[type[HpmError], type[HpmError]] = {}


def _unpickled(kind: type[HpmError], args: tuple[Any, ...], state: dict[str, Any]) -> HpmError:
    """The exception in another process: pickle would look for its class by name, and find ``kind``."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return ends_invoke(error)


def _code(error: HpmError) -> int:
    return error.exit_code


def _report(error: HpmError) -> str:
    if error.__dict__.get("told"):
        return ""
    message = f"error: {error}" if error.is_error else str(error)
    return f"{message}\n  {error.hint}" if error.hint else message


def _keep(error: HpmError, message: str) -> None:
    vars(error)["message"] = message
