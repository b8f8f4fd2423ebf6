"""Small real commands through which the tests see what both front ends do in every situation.

python tests/support/sample_commands.py sample.echo --text hello
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading
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


def _in_a_callback(number: int) -> None:
    class Gone:
        pass

    gone = Gone()
    callback = weakref.ref(gone, lambda _ref: os.kill(os.getpid(), number))
    del gone
    assert callback() is None


def _in_del(number: int) -> None:
    class Gone:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)

    Gone()


def _in_except(number: int) -> None:
    try:
        os.kill(os.getpid(), number)
    except BaseException:  # what some libraries do
        pass


def _in_finally(number: int) -> None:
    try:
        os.kill(os.getpid(), number)
    finally:
        return  # noqa: B012  # drops whatever was raised


def _in_a_class(number: int) -> None:
    class Attribute:
        def __set_name__(self, _owner: type, _name: str) -> None:
            os.kill(os.getpid(), number)

    with contextlib.suppress(RuntimeError):
        type("Made", (), {"attribute": Attribute()})


def _in_an_import(number: int) -> None:
    class Finder:
        def find_spec(self, *_about: object) -> None:
            os.kill(os.getpid(), number)

    sys.meta_path.insert(0, Finder())
    with contextlib.suppress(BaseException):
        __import__("a_module_that_is_optional")


def _elsewhere(number: int) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    _heed_in_a_thread(number)


def _heed_in_a_thread(number: int) -> None:
    """Let a thread take the signal, which the main thread blocks, once that is in its system call.

    The main thread learns of it no sooner than of a signal that comes just before a system call.
    """

    def heed() -> None:
        time.sleep(
            1
        )  # for the main thread to come to its wait; if it has not, nothing is shown, but nothing fails
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
        os.kill(os.getpid(), number)
        time.sleep(PATIENCE)

    threading.Thread(target=heed, daemon=True).start()


PATIENCE = 600
PLACES = {
    "callback": _in_a_callback,
    "del": _in_del,
    "except": _in_except,
    "finally": _in_finally,
    "class": _in_a_class,
    "import": _in_an_import,
    "elsewhere": _elsewhere,
}
"""Where an exception is dropped, or a handler that is written in Python does not run."""


@command(
    "sample.signalled",
    example="hpm sample.signalled --place del --number 15",
    args={"place": Arg("where it is", choices=tuple(PLACES)), "number": Arg("the signal")},
)
def signalled(_ui: TerminalUI, *, place: str, number: int) -> Result[dict[str, Any]]:
    """Is told to end in a place where an exception would be lost; then it waits."""
    PLACES[place](number)
    time.sleep(PATIENCE)
    return Result({})


@command(
    "sample.child",
    example="hpm sample.child --mark FILE",
    args={
        "mark": Arg("written by the child"),
        "stubborn": Arg("the child ignores SIGTERM"),
        "elsewhere": Arg("SIGTERM comes where the main thread does not see it"),
    },
)
def child(
    _ui: TerminalUI, *, mark: str, stubborn: bool = False, elsewhere: bool = False
) -> Result[dict[str, Any]]:
    """Wait for a child process, and clean up."""
    from hpm_tools.process.supervise import Clocks, supervise

    answer = "echo asked >>$0" if stubborn else "echo cleaned >>$0; exit"
    script = f"trap '{answer}' TERM; echo $$ >>$0; while :; do sleep 1 & wait; done"
    if elsewhere:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        supervise(
            ["sh", "-c", script, mark],
            cwd=None,
            env=os.environ,
            clocks=Clocks(grace=PATIENCE),
            on_spawn=lambda _child: _heed_in_a_thread(signal.SIGTERM) if elsewhere else None,
        )
    finally:
        with open(f"{mark}.parent", "w") as file:
            file.write("cleaned up")
    return Result({})


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


@command("sample.wait", example="hpm sample.wait --mark FILE", args={"mark": Arg("written when begun")})
def wait(_ui: TerminalUI, *, mark: str) -> Result[dict[str, Any]]:
    """Wait to be ended."""
    with open(mark, "w") as file:
        file.write("begun")
    time.sleep(PATIENCE)
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
