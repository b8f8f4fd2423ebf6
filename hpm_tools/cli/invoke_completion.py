"""Values of our tasks' options at the TAB key, with the completion scripts that Invoke has itself.

Those scripts call ``invoke --complete -- LINE``, LINE being the words up to now, and offer what is printed and begins
with the word that is being typed, or files where nothing does. Invoke prints options and tasks, never a value
(invoke/completion/complete.py). But before that it asks each task for its arguments, and there a task of ours sees
that a value comes next, prints those that are known, and ends the process. What is typed after the operator's own
tasks is left to Invoke.
"""

from __future__ import annotations

import glob
import os
import shlex
from typing import TYPE_CHECKING

from invoke.exceptions import Exit, ParseError
from invoke.parser import Parser

from hpm_tools.cli.completion import known_values, options_by_flag, rejoined

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from invoke.collection import Collection

    from hpm_tools.cli.completion import Paths
    from hpm_tools.registry import Option

PROBE = "7300491537"
"""Stands for the value that may come next, to see which option Invoke's parser gives it to; a number, for one that
takes numbers."""

_answered = False


def offer_values() -> None:
    """Print the values that may come next on the line to be completed and Exit, if they are those of a task of ours.

    Returns where Invoke is to answer: it was not asked to complete, options or tasks come next, or the task is
    somebody else's. To be called by tasks that are asked for their arguments; only the first call does anything.
    """
    global _answered  # noqa: PLW0603  # making the parser below asks every task again
    if _answered:
        return
    _answered = True
    from invoke.main import program

    if getattr(program, "core", None) is None or not program.args.complete.value:
        return
    line, is_quoted = _words(program.core.remainder)
    if not line:
        return
    parser = Parser(
        initial=program.initial_context,
        contexts=program.collection.to_contexts(ignore_unknown_help=program.config.tasks.ignore_unknown_help),
    )
    before, current = rejoined(line)
    flag, equals, start = current.partition("=")
    if equals and flag.startswith("--"):
        awaiting = _awaiting(program.collection, parser, [*before, flag])
        _offer(awaiting, start, "" if "=" in line[-2:] else f"{flag}=")
    # The scripts drop an empty last word: after `--role` the value may come next, or the option is not finished yet.
    _offer(_awaiting(program.collection, parser, [*before, current]), "", "")
    awaiting = _awaiting(program.collection, parser, before)
    _offer(awaiting, current, "")
    if is_quoted and awaiting is not None:
        raise Exit(code=0)  # Invoke would show a traceback in the middle of somebody's prompt


def _words(line: str) -> tuple[list[str], bool]:
    """The words of ``line`` after the program's name, and whether a quote is still open in the last one."""
    for closing in ("", "'", '"'):
        try:
            return shlex.split(line + closing)[1:], bool(closing)
        except ValueError:
            continue
    return [], False


def _awaiting(collection: Collection, parser: Parser, words: list[str]) -> tuple[Option, str] | None:
    """The option of a task of ours that takes a word after ``words`` as its value, as Invoke's parser sees it.

    With it comes the name that the task is called by.
    """
    from hpm_tools.cli.invoke_tasks import HpmTask

    try:
        context = parser.parse_argv([*words, PROBE])[-1]
        awaiting = [argument for argument in context.args.values() if argument.raw_value == PROBE]
    except ParseError as error:
        # Of the probe where no value comes next; or of an earlier word, which is no reason to offer nothing here.
        if error.context is None or not words:
            return None
        context = error.context
        last = context.flags.get(words[-1])
        awaiting = [last] if last is not None and last.takes_value else []
    except ValueError:  # an earlier value that the operator's own task cannot take
        return None
    if not awaiting or context.name is None:
        return None
    task = collection[context.name]
    if not isinstance(task, HpmTask):
        return None
    option = options_by_flag(task.command.options).get(f"--{awaiting[0].names[0]}")
    return None if option is None else (option, context.name)


def _offer(awaiting: tuple[Option, str] | None, start: str, before: str) -> None:
    """Print each value of the option that begins with ``start``, after the text ``before``, and Exit.

    Return where ``start`` is not the beginning of a known value. Where it is a whole one, the word may be finished and
    the next one be meant, so Invoke prints its words as well: the shell drops those that do not fit.
    """
    if awaiting is None:
        return
    with _settings_of(awaiting[1]):
        offered, paths = known_values(awaiting[0], start)
    if paths is not None:
        found = _paths(start, paths)
        if start and (not found or start in found):
            return
        # bash and zsh offer files where nothing is printed, but zsh not after `--option=`, and fish never.
        for path in found if before or _is_fish() else ():
            print(before + path)
        raise Exit(code=0)
    words = [row["word"] for row in offered]
    for word in words:
        print(before + word)
    if words and start not in words:
        raise Exit(code=0)


def _settings_of(task: str) -> AbstractContextManager[None]:
    """The tasks.py's own settings, as the task would find them when it is called: sessions may be declared there."""
    from invoke.context import Context
    from invoke.main import program

    from hpm_tools.cli.invoke_settings import settings_of

    config = program.config.clone()
    config.load_collection(program.collection.configuration(task))
    return settings_of(Context(config))


def _paths(start: str, kind: Paths) -> list[str]:
    """What there is whose path begins with ``start``; a directory ends in a slash unless it is ``start`` itself."""
    found = []
    top = os.path.expanduser(start)
    for path in sorted(glob.glob(glob.escape(top) + "*")):
        is_directory = os.path.isdir(path)
        # The scripts take each blank for the end of a word.
        if path.split() == [path] and (is_directory or kind == ":files"):
            found.append(start + path[len(top) :] + ("/" if is_directory and path != top else ""))
    return found


def _is_fish() -> bool:
    """Whether fish is the shell that completes: it runs ``invoke`` itself, and tells it nothing of that."""
    import psutil

    try:
        return psutil.Process(os.getppid()).name() == "fish"
    except psutil.Error:
        return False
