"""Python programs run beside a test: real processes that hold guards, write files and are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
from contextlib import contextmanager


class Child:
    """A running Python program that says what it does, one line each, on its standard output."""

    def __init__(self, program: str, *args: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def line(self) -> str:
        """The next line it prints; AssertionError if it ends instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the child ended ({self.process.wait()}) without a word"
        return line.strip()

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """SIGKILL it and wait until it is gone."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        code = self.process.wait(300)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        return code


@contextmanager
def _running(program: str, *args: str) -> Iterator[Child]:
    child = Child(program, *args)
    try:
        yield child
    finally:
        child.kill()


def running(program: str, *args: str | os.PathLike[str]) -> AbstractContextManager[Child]:
    """A child for the length of a ``with`` block, killed at its end."""
    return _running(program, *(os.fspath(arg) for arg in args))


def run(program: str, *args: str | os.PathLike[str]) -> int:
    """Run a program to its end and return its exit code."""
    with running(program, *args) as child:
        assert child.process.stdin is not None
        child.process.stdin.close()
        return child.process.wait(300)
