"""Errors meant for people, each with the exit code and the machine code that scripts branch on.

The exit codes follow sysexits.h where it has a fitting number; docs/commands.md lists them.
This module imports nothing: the quickest commands load it.
"""

from __future__ import annotations

DONE = 0
FAILED = 1
USAGE = 2
NOTHING_TO_DO = 3
BAD_DATA = 65
BOARD_UNREACHABLE = 69
UNEXPECTED = 70
CANNOT_CREATE = 73
TRY_LATER = 75
REFUSED = 77
MISCONFIGURED = 78
TIMED_OUT = 124
SIGNAL_BASE = 128


class HpmError(Exception):
    """Something a person can act on: what happened, to what, and (``hint``) what to do next.

    ``kind`` is the word that scripts branch on (``code`` in the JSON of an error).
    ``details`` are JSON-able facts for ``--json`` callers; they never hold secrets. ``usual_hint`` is what
    to do about this kind of error where nothing more fitting is known. Where nothing failed, ``is_error`` is
    False: the message stands without "error:", and ``--quiet`` leaves it out.
    """

    exit_code: int = FAILED
    kind = "failed"
    usual_hint = ""
    is_error = True

    def __init__(self, message: str, hint: str = "", **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.usual_hint
        self.details = details

    def __str__(self) -> str:
        """The message, in other words than at first where it was reworded since.

        Not by the attribute, which means more in an Exit of Invoke's (cli/python_calls.py).
        """
        return str(self.__dict__.get("message", super().__str__()))


class CommandFailed(HpmError):
    """A command did its work, and what came of it is a failure: a hook said no, an agent was blocked.

    For callers in Python; a shell has the result on stdout and the exit code. ``content`` is the result.
    """

    kind = "command_failed"

    def __init__(self, message: str, exit_code: int, content: object = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.content = content


class UsageError(HpmError):
    """The call itself is wrong: a missing, unknown or malformed argument."""

    exit_code = USAGE
    kind = "usage"


class NothingToDo(HpmError):
    """No task is offered, or no lock is held: a normal answer for a script."""

    exit_code = NOTHING_TO_DO
    kind = "nothing_to_do"
    is_error = False


class BadData(HpmError):
    """Input or an answer that is not what it claims to be: invalid JSON, wrong types, a corrupt record."""

    exit_code = BAD_DATA
    kind = "bad_data"


class NotFound(BadData):
    """The named task, branch, record or file does not exist."""

    kind = "not_found"


class BoardUnreachable(HpmError):
    """No usable answer from the board after bounded retries: refused, reset, timed out or 5xx."""

    exit_code = BOARD_UNREACHABLE
    kind = "board_unreachable"


class CannotCreate(HpmError):
    """A file, directory, worktree or branch could not be made."""

    exit_code = CANNOT_CREATE
    kind = "cannot_create"
    usual_hint = "check free space, owner and permissions"


class Held(HpmError):
    """Somebody else holds it; trying later may succeed."""

    exit_code = TRY_LATER
    kind = "held"
    usual_hint = "hpm locks shows who holds what on this host"


class TryLater(HpmError):
    """A usage limit or an overload; the same call may succeed later."""

    exit_code = TRY_LATER
    kind = "try_later"


class Refused(HpmError):
    """Authentication or permission was refused; repeating the call cannot help."""

    exit_code = REFUSED
    kind = "refused"


class Misconfigured(HpmError):
    """The configuration, the machine or the repository does not allow the command."""

    exit_code = MISCONFIGURED
    kind = "misconfigured"


class TimedOut(HpmError):
    """A time limit ended it, or it stalled."""

    exit_code = TIMED_OUT
    kind = "timed_out"


class Unexpected(HpmError):
    """A fault of hpm-tools itself; a crash log holds the details."""

    exit_code = UNEXPECTED
    kind = "unexpected"


class Interrupted(HpmError):
    """A signal ended it; the exit code is 128 + the signal's number."""

    kind = "interrupted"
    is_error = False

    def __init__(self, signal_number: int, message: str = "", hint: str = "") -> None:
        super().__init__(message or f"ended by signal {signal_number}", hint)
        self.exit_code = SIGNAL_BASE + signal_number
