"""Real interactive shells on a terminal, and what the TAB key does in them."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.frontends import BIN, PROJECT
from tests.support.terminal import Terminal
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHELLS = (
    "bash",
    pytest.param("zsh", marks=pytest.mark.needs("zsh")),
    pytest.param("fish", marks=pytest.mark.needs("fish")),
)
OPERATIONS = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
READY = "echo read''y\n"
START_OF_LINE, END_OF_LINE = "\x01", "\x05"


def environment() -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in ("HOME", "HEADLESS_PM_HOME", "TMPDIR")},
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", ""),
        "PS1": "$ ",
    }


@contextmanager
def interactive(name: str, cwd: Path) -> Iterator[Terminal]:
    """The shell called ``name``, with the start-up file that its home has."""
    with Terminal([name, "-i"], cwd=cwd, env=environment(), columns=200) as terminal:
        terminal.type(READY)
        terminal.wait_for("ready\r\n")
        yield terminal
        terminal.type("\x15exit\n")
        terminal.wait()


def completed(shell: Terminal, place: Path, line: str) -> str:
    """What the TAB key makes of ``line``."""
    ran = place / "ran"
    ran.unlink(missing_ok=True)
    shell.type(line + "\t" + START_OF_LINE + "echo " + END_OF_LINE + " >ran\n")
    try:
        wait_until(lambda: ran.exists() and ran.read_text(encoding="utf-8").endswith("\n"))
    except AssertionError:
        raise AssertionError(f"nothing ran; on the screen: {shell.screen!r}") from None
    # zsh takes the slash that it added to a directory back when a blank follows.
    return ran.read_text(encoding="utf-8").strip().rstrip("/")


def complete_invoke(shell: Terminal, name: str) -> None:
    """Install Invoke's completion by the line that docs/operations.md gives for the shell called ``name``."""
    (installing,) = re.findall(rf"^\| {name}.*\| `(.*)` \|$", OPERATIONS, re.MULTILINE)
    shell.type(installing.replace("\\|", "|") + "; echo insta''lled\n")
    shell.wait_for("installed\r\n")
