"""Small real commands through which the tests see what both front ends do in every situation.

python tests/support/sample_commands.py sample.echo --text hello
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
import weakref
from typing import TYPE_CHECKING, Any

from hpm_tools import registry
from hpm_tools.errors import Held, NothingToDo
from hpm_tools.names import agent_id
from hpm_tools.registry import Arg, Result, command

if TYPE_CHECKING:
    from hpm_tools.ui import TerminalUI

FAULTS: dict[str, Any] = {
    "held": Held("task 7 is held by dev_002", "wait for it", task_id=7),
    "nothing": NothingToDo("there is no task"),
    "bug": RuntimeError("a fault\nwith a second line and the key sk-ant-api03-abcdefghijklmnop"),
    "disk": OSError(errno.ENOSPC, "No space left on device", "/full/file"),
    "package": ModuleNotFoundError("No module named 'fastapi'", name="fastapi"),
    "interrupt": KeyboardInterrupt(),
}


@command(
    "sample.echo",
    example="hpm sample.echo --text hello --count 2",
    args={
        "text": Arg("what to print"),
        "agent": Arg("an agent", metavar="A", check=agent_id),
        "count": Arg("how often", metavar="N"),
        "factor": Arg("a factor"),
        "word": Arg("further words", metavar="W"),
        "colour": Arg("a colour", choices=("red", "green")),
        "loud": Arg("in capitals", short="l"),
        "newline": Arg("end with a line break"),
    },
)
def echo(
    ui: TerminalUI,
    *,
    text: str,
    agent: str | None = None,
    count: int = 1,
    factor: float | None = None,
    word: list[str] | None = None,
    colour: str = "red",
    loud: bool = False,
    newline: bool = True,
) -> Result[dict[str, Any]]:
    """Print what was given.

    Everything of a command line can be seen in its JSON.
    """
    ui.note("a note")
    ui.debug("a debug line")
    shown = text.upper() if loud else text
    given = {
        "agent": agent,
        "count": count,
        "factor": factor,
        "word": word,
        "colour": colour,
        "newline": newline,
    }
    return Result({"text": shown, **given}, "\n".join([shown] * count))


@command("sample.ended", example="hpm sample.ended", args={})
def ended(_ui: TerminalUI) -> Result[dict[str, Any]]:
    """Is told to end while a class is made: Python makes a RuntimeError of that."""

    class Attribute:
        def __set_name__(self, _owner: type, _name: str) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    return Result({"made": str(type("Made", (), {"attribute": Attribute()}))})


@command("sample.swallowed", example="hpm sample.swallowed", args={"number": Arg("the signal")})
def swallowed(_ui: TerminalUI, *, number: int) -> Result[dict[str, Any]]:
    """Is told to end while a callback of the interpreter runs, which drops what it raises; then it waits."""

    class Gone:
        pass

    gone = Gone()
    callback = weakref.ref(gone, lambda _ref: os.kill(os.getpid(), number))
    del gone
    time.sleep(60)
    return Result({"callback": str(callback)})


@command(
    "sample.fail", example="hpm sample.fail --how held", args={"how": Arg("the fault", choices=tuple(FAULTS))}
)
def fail(_ui: TerminalUI, *, how: str) -> Result[dict[str, Any]]:
    """End with a fault."""
    raise FAULTS[how]


@command("sample.verdict", example="hpm sample.verdict", args={})
def verdict(_ui: TerminalUI) -> Result[dict[str, Any]]:
    """A result that is a failure too."""
    return Result({"verdict": "blocked"}, "blocked", 1)


@command(
    "sample.wait",
    example="hpm sample.wait --mark FILE",
    args={"mark": Arg("written when begun and when ended")},
)
def wait(_ui: TerminalUI, *, mark: str) -> Result[dict[str, Any]]:
    """Wait to be ended, and clean up then."""
    try:
        with open(mark, "w") as file:
            file.write("begun")
        time.sleep(120)
    finally:
        with open(mark, "w") as file:
            file.write("cleaned up")
    return Result({})


@command("sample.read", example="hpm sample.read", args={})
def read(ui: TerminalUI) -> Result[dict[str, Any]]:
    """Tell what standard input holds."""
    return Result({"text": (text := ui.read_stdin())}, text)


@command("sample.flood", example="hpm sample.flood | head -1", args={})
def flood(ui: TerminalUI) -> Result[dict[str, Any]]:
    """Print more than any pipe holds."""
    for number in range(100_000):
        ui.line(f"{number} {'x' * 100}")
    return Result({})


@command("sample.files", example="hpm sample.files", args={"path": Arg("a file to make")})
def files(_ui: TerminalUI, *, path: str) -> Result[dict[str, Any]]:
    """Open a file as the first thing, and tell which descriptor it got."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    return Result({"descriptor": descriptor}, str(descriptor))


SAMPLES = tuple(name for name in registry._registered if name.startswith("sample."))


def offer() -> None:
    """Put the sample commands into this process's table, beside the real ones."""
    registry.MODULES.update(dict.fromkeys(SAMPLES, __name__))


if __name__ == "__main__":
    from hpm_tools.cli.hpm import main

    offer()
    sys.exit(main())
