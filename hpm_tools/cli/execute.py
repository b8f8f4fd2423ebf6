"""Running one command for either front end: its output, its errors, its signals, its exit code."""

from __future__ import annotations

import errno
import gc
import os
import sys

from hpm_tools import errors, signals, trace
from hpm_tools.errors import HpmError
from hpm_tools.names import shown
from hpm_tools.ui import TerminalUI, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from hpm_tools.cli.arguments import Call
    from hpm_tools.registry import Result

_signal: Any = __import__("_signal")
"""The C module under ``signal``, which would import enum and re for its constants' names."""

COLLECT_AFTER = 50_000
"""Objects made before Python looks for cycles among them: at its own 700, `import requests` alone sets that off 40 times."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
NO_PATH = (errno.ENAMETOOLONG, errno.ELOOP)
LONGEST_PATH = 200

WINDOWS = errors.Misconfigured("hpm-tools runs on Linux and macOS only", "on Windows use it inside WSL")
UNHEARD = errors.CannotCreate(
    "the result could not be written to stdout: stdout is closed",
    "nothing was done; redirect it: >FILE, or >/dev/null",
)
STAYS = "what the command did stays done; send its result where it can be written"


def execute(call: Call, *, whole_process: bool = True) -> int:
    """Run ``call`` and return the exit code; nothing is raised for anything that can happen to a command.

    ``whole_process`` is False where somebody's own code waits for the end: then signals and garbage collection stay his.

    A signal that the kernel ends us with leaves the live line as it is, and the shell begins a new one: to
    take the line away would need a handler, which may lose the signal. Commands with a long-lived line have
    a Stop, and return here.
    """
    ui = TerminalUI(json=call.json, quiet=call.quiet, verbose=call.verbose, streams=call.command.streams)
    if os.name == "nt":
        return report(ui, WINDOWS)
    if ui.stdout is None:
        return report(ui, UNHEARD)
    if whole_process:
        gc.set_threshold(COLLECT_AFTER)
    try:
        with trace.heard_by(call.listener(ui)), signals.CommandSignals(whole_process=whole_process):
            code = guarded(ui, call.run)
            ui.progress("")
            _settle(ui)
        return code
    finally:
        # The interpreter would look once more through all that the imports made, a tenth of a short command's time.
        if whole_process:
            gc.freeze()


def guarded(ui: TerminalUI, work: Any) -> int:
    """Call ``work(ui)``; every way it can end becomes an exit code and at most one line on stderr."""
    try:
        return int(work(ui))
    except HpmError as error:
        return report(ui, error)
    except KeyboardInterrupt:
        return errors.SIGNAL_BASE + int(_signal.SIGINT)
    except signals.Terminated as ended:
        return int(str(ended.code))
    except BrokenPipeError:
        discard_stdout()
        return errors.SIGNAL_BASE + int(_signal.SIGPIPE)
    except OSError as error:
        return report(ui, _from_os(error) or _unexpected(ui, error))
    except ModuleNotFoundError as error:
        return report(ui, _missing(ui, error))
    except Exception as error:
        return report(ui, _unexpected(ui, error))


def deliver(ui: TerminalUI, result: Result[Any] | None) -> int:
    """Print a command's result and return its exit code."""
    if result is None:
        return errors.DONE
    if ui.json:
        if result.content is not None:
            print_text(ui, to_json(result.content), STAYS)
    elif result.text:
        print_text(ui, result.text, STAYS)
    return result.exit_code


def print_text(ui: TerminalUI, text: str, hint: str = "send it where it can be written") -> None:
    """Print what was asked for; CannotCreate, with ``hint``, where stdout cannot take it."""
    if ui.stdout is None:
        raise UNHEARD
    try:
        ui.line(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_stdout()
        raise errors.CannotCreate(
            f"the result could not be written to stdout: {error.strerror}", hint
        ) from error


def report(ui: TerminalUI, error: HpmError) -> int:
    """Say on stderr what went wrong, as a line and a hint or as one JSON object; returns its exit code."""
    if ui.json:
        body: dict[str, Any] = {
            "code": error.kind,
            "message": ui.said(error.message),
            "hint": ui.said(error.hint),
        }
        if error.details:
            body["details"] = error.details
        ui.raw_error(to_json({"error": body}))
    else:
        (ui.error if error.is_error else ui.note)(error.message)
        if error.hint and (error.is_error or not ui.quiet):
            ui.hint(error.hint)
    return error.exit_code


def _settle(ui: TerminalUI) -> None:
    """Give up what still cannot be written, or the interpreter would fail with it at its exit."""
    try:
        if ui.stdout is not None:
            ui.stdout.flush()
    except (OSError, ValueError):
        discard_stdout()


def discard_stdout() -> None:
    """Send what is still buffered nowhere, or the interpreter would complain about it at its exit."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)
    except OSError:
        pass


def prepare_streams() -> None:
    """Occupy closed standard descriptors and fix the encodings.

    With stdout closed, the first file a command opens would become descriptor 1, and output meant for
    people would end in a lock file.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream, handling in ((sys.stdout, "surrogateescape"), (sys.stderr, "backslashreplace")):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors=handling)


def _from_os(error: OSError) -> HpmError | None:
    """A full or read-only disk, a missing permission or an impossible path is no bug of ours."""
    where = f"{shown(str(error.filename), LONGEST_PATH)}: " if error.filename else ""
    if error.errno in NO_PATH:
        return errors.BadData(f"{where}{error.strerror}", "name a shorter path, without links in a circle")
    if error.errno not in NO_ROOM:
        return None
    return errors.CannotCreate(f"{where}{error.strerror}", "check free space, owner and permissions")


EXTRAS = {
    "fastapi": "board",
    "uvicorn": "board",
    "sqlalchemy": "board",
    "starlette": "board",
    "pydantic": "board",
    "prometheus_client": "metrics",
}


def _missing(ui: TerminalUI, error: ModuleNotFoundError) -> HpmError:
    package = (error.name or "").partition(".")[0]
    if package in ("", "hpm_tools"):
        return _unexpected(ui, error)
    from hpm_tools.extras import install_command

    extra = f"[{EXTRAS[package]}]" if package in EXTRAS else ""
    return errors.Misconfigured(
        f"the Python package {package} is not installed", install_command(f"hpm-tools{extra}")
    )


def _unexpected(ui: TerminalUI, error: Exception) -> HpmError:
    from hpm_tools.cli.crash import write_crash_log
    from hpm_tools.redaction import secret_values

    secrets = ui.concealed | secret_values(os.environ)
    path = write_crash_log(error, secrets)
    kept = f"the details are in {path}" if path else "the details could not be written to the state directory"
    return errors.Unexpected(f"unexpected {type(error).__name__}: {_first_line(error, secrets)}", kept)


def _first_line(error: Exception, secrets: Iterable[str]) -> str:
    from hpm_tools.redaction import redact

    lines = redact(str(error), secrets).strip().splitlines()
    return lines[0][:200] if lines else "no message"
