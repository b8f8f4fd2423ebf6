"""Programs on a real terminal (a pty), as a person uses them: keys in, what the screen received out."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import threading
from typing import TYPE_CHECKING, Self

from tests.support import forkserver
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


class Terminal:
    """One program on a pty of its own; it is killed at the end of the with block if it still runs.

    ``stdout`` may name a file: then the screen shows stderr alone, as in ``hpm run … >log``.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path,
        env: Mapping[str, str],
        columns: int = 80,
        rows: int = 24,
        stdout: Path | None = None,
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        out = os.open(stdout, os.O_WRONLY | os.O_CREAT, 0o600) if stdout else os.dup(slave)
        try:
            self.process = forkserver.start(
                [str(word) for word in argv],
                cwd=cwd,
                env={**env, "TERM": "xterm"},
                streams=(slave, out, slave),
                terminal=True,
            )
        finally:
            os.close(slave)
            os.close(out)
        self._received = b""
        self._ending = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while not self._ending.is_set():
            if not select.select([self._master], [], [], 0.1)[0]:
                continue
            try:
                got = os.read(self._master, 65536)
            except OSError:
                return
            if not got:
                return
            self._received += got

    @property
    def screen(self) -> str:
        """Everything that was written to it so far, control sequences included."""
        return self._received.decode(errors="replace")

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def wait_for(self, text: str, within: float = PATIENCE) -> str:
        """Wait until ``text`` was written; all that was."""
        self._wait_until(lambda: text in self.screen, within, repr(text))
        return self.screen

    def wait(self, within: float = PATIENCE) -> int:
        """The exit code of the program, once all it wrote has been received."""
        self._wait_until(lambda: self.process.poll() is not None, within, "its end")
        self._reader.join(300)
        return self.process.wait()

    def _wait_until(self, condition: Callable[[], bool], within: float, what: str) -> None:
        try:
            wait_until(condition, within, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; on the screen:\n{self.screen!r}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._ending.set()
        self._reader.join(300)
        os.close(self._master)
