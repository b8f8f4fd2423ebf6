"""What SIGINT, SIGTERM and SIGHUP do: no handler of ours raises, so none of them can be lost.

An exception out of a signal handler is dropped where the interpreter runs a callback (of a weak reference,
of an import, ``__del__``). And Python runs no handler at all while its main thread is inside a system call that
it entered just after the signal had come, or when the kernel gave the signal to another thread. Therefore:

- A command has no handlers. The kernel ends it at whatever moment; each of its steps survives that.
- While it waits for a child process, and in the commands that hand over to their next start
  (runner/stop.py), a handler sets a flag. Whoever waits looks at the flag and waits on a pipe as well, to which
  the interpreter writes in C before any Python code runs (signal.set_wakeup_fd). It writes there for every
  signal that has a handler in Python, so whoever is woken empties the pipe, looks, and waits on.
- A second signal kills the child processes and ends this one.

What was ignored at the start stays ignored: nohup means it.
"""

from __future__ import annotations

import os
import sys

from hpm_tools.errors import SIGNAL_BASE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType, TracebackType
    from typing import Any, NoReturn, Self

_signal: Any = __import__("_signal")
"""The C module under ``signal``, which would import enum and re for its constants' names."""
_thread: Any = __import__("_thread")

ENDING = tuple(
    int(getattr(_signal, name)) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(_signal, name)
)

at_once: list[Callable[[], None]] = []
"""What kills this process's children; called by the second signal."""

_commanding: int | None = None
"""The thread in which a command runs; None where this package is only a library."""
_waiting: Flag | None = None
"""The flag of the command that waits for a child process."""


def in_main_thread() -> bool:
    """Whether this is the main thread, the only one that Python lets handle signals."""
    threads = sys.modules.get("threading")  # where nobody has imported it, there is one thread
    return threads is None or threads.main_thread().ident == _thread.get_ident()


class Terminated(SystemExit):
    """A signal came while a command waited for a child process: it unwinds from that wait."""


class Flag:
    """The first signal as a flag, ``number``; ``descriptor`` becomes readable with it."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.descriptor: int | None = None
        self.reported = False
        self._before: list[tuple[int, Any]] = []

    def install(self, numbers: Iterable[int]) -> None:
        """Let these signals set the flag until ``restore``. Main thread only."""
        self.descriptor, self._writer = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._writer, False)
        self._wakeup = _signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._before = [(number, _signal.signal(number, self._on_signal)) for number in numbers]

    def restore(self) -> None:
        """Give the signals back. The flag stays what it is."""
        for number, handler in self._before:
            _signal.signal(number, handler)
        _signal.set_wakeup_fd(self._wakeup)
        # One that came between Python's last look and the handler's removal is in the pipe only.
        came = [number for number in self.drain() if number in ENDING]
        if self.number is None and came:
            self.number = came[0]
        if self.descriptor is not None:
            os.close(self.descriptor)
            os.close(self._writer)
            self.descriptor = None

    def drain(self) -> bytes:
        """Take out what made ``descriptor`` readable: the numbers of signals, one byte each."""
        try:
            return os.read(self.descriptor, 4096) if self.descriptor is not None else b""
        except BlockingIOError:
            return b""

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.number is not None:
            _end_at_once(number)
        self.number = number


def _end_at_once(number: int) -> NoReturn:
    try:
        for kill in at_once:
            try:
                kill()
            except BaseException:  # noqa: S112  # the next one has children of its own; nobody is left to be told
                continue
    finally:
        os._exit(SIGNAL_BASE + number)


class CommandSignals:
    """While a command runs: its waits for child processes heed signals (AwaitingChild).

    ``whole_process``: a front end runs it, and nobody else's code waits for its end. Then SIGINT ends it as the kernel
    does, for Python's own handler raises. A caller in Python keeps his KeyboardInterrupt and his ``finally``.
    In another thread than the main one it changes nothing: signals do not arrive there.
    """

    def __init__(self, *, whole_process: bool = True) -> None:
        self._whole_process = whole_process

    def __enter__(self) -> None:
        global _commanding  # signals belong to the process
        self._heeds = in_main_thread()
        if not self._heeds:
            return
        self._interrupt = _signal.getsignal(_signal.SIGINT) if self._whole_process else None
        if self._interrupt is _signal.default_int_handler:
            _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
        self._outer, _commanding = _commanding, _thread.get_ident()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _commanding  # noqa: PLW0603
        if not self._heeds:
            return
        _commanding = self._outer
        if self._interrupt is _signal.default_int_handler:
            _signal.signal(_signal.SIGINT, self._interrupt)


class AwaitingChild:
    """While a command waits for a child process: a signal is a flag then, and Terminated at ``check`` or the end.

    It changes nothing in other threads, where no command runs, or where the signals are handled already.
    """

    def __enter__(self) -> Self:
        global _waiting  # noqa: PLW0603
        self._flag = None
        if _commanding == _thread.get_ident() and _waiting is None:
            unheeded = [number for number in ENDING if _signal.getsignal(number) == _signal.SIG_DFL]
            if unheeded:
                self._flag = _waiting = Flag()
                self._flag.install(unheeded)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _waiting  # noqa: PLW0603
        if self._flag is None:
            return
        _waiting = None
        self._flag.restore()
        if self._flag.number is not None and not isinstance(error, Terminated):
            raise Terminated(SIGNAL_BASE + self._flag.number)


def wake() -> int | None:
    """The descriptor that a wait for a child process must watch, too; None where there is none to watch.

    Any signal with a handler in Python makes it readable: ``drain`` it then, and ask ``check``.
    """
    flag = _of_this_thread()
    return None if flag is None else flag.descriptor


def drain() -> None:
    """Empty ``wake()``, so that the next signal makes it readable again."""
    flag = _of_this_thread()
    if flag is not None:
        flag.drain()


def check() -> None:
    """Raise Terminated, once, if a signal came while this thread's command waits for a child process."""
    flag = _of_this_thread()
    if flag is not None and flag.number is not None and not flag.reported:
        flag.reported = True
        raise Terminated(SIGNAL_BASE + flag.number)


def _of_this_thread() -> Flag | None:
    return _waiting if _commanding == _thread.get_ident() else None
