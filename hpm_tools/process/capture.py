"""Running a short program to its end and taking all it printed: git, version checks, probes."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpm_tools import signals, trace
from hpm_tools.errors import BadData, TimedOut
from hpm_tools.process import launch
from hpm_tools.process.pump import Pump
from hpm_tools.text import duration, one_line, size

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

_DRAIN = 2.0
_HEEDED_EVERY = 0.2


@dataclass(frozen=True, slots=True)
class CompletedBytes:
    """What a program answered: ``rc`` (negative: the signal that ended it) and all it printed."""

    rc: int
    out: bytes
    err: bytes


def capture(
    argv: Sequence[str],
    *,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout: float = 60,
    limit: int = 64 << 20,
    heed: Callable[[], None] | None = None,
) -> CompletedBytes:
    """Run ``argv`` in a session of its own, feed it ``stdin``, and return its status and output.

    ``heed`` is called five times a second; what it raises ends the program.
    Nothing of its process group survives the call. ``env`` None passes this process's environment on.
    Raises CannotStart; signals.Terminated when a signal asks the command to end; TimedOut after ``timeout``
    seconds, or if KILL does not end it; BadData beyond ``limit`` bytes of output, for half an answer is no answer.
    """
    began = time.monotonic()
    deadline = began + timeout
    out, err = bytearray(), bytearray()
    with launch.running(argv, cwd=cwd, env=env, stdin=bool(stdin)) as process:
        pump = Pump(process, stdin, out.extend, err.extend)
        try:
            while not pump.exited:
                left = deadline - time.monotonic()
                pump.turn(left if heed is None else min(left, _HEEDED_EVERY))
                signals.check()
                if heed is not None:
                    heed()
                _check(argv, len(out) + len(err), limit, deadline, timeout)
            launch.signal_group(process, signal.SIGKILL)
            drain_until = time.monotonic() + _DRAIN
            while not pump.drained and time.monotonic() < drain_until:
                pump.turn(drain_until - time.monotonic())
                _check(argv, len(out) + len(err), limit, None, timeout)
        finally:
            pump.close()
    if process.returncode is None:
        raise TimedOut(
            f"{_named(argv)} cannot be ended", "it hangs in the kernel: is a file system unreachable?"
        )
    if trace.heard():
        trace.tell(f"{_named(argv)} → {process.returncode} in {(time.monotonic() - began) * 1000:.0f} ms")
    return CompletedBytes(process.returncode, bytes(out), bytes(err))


def _check(argv: Sequence[str], count: int, limit: int, deadline: float | None, timeout: float) -> None:
    if count > limit:
        raise BadData(f"{_named(argv)} printed more than {size(limit)}")
    if deadline is not None and time.monotonic() >= deadline:
        raise TimedOut(f"{_named(argv)} did not end within {duration(timeout)}")


def _named(argv: Sequence[str]) -> str:
    return one_line(" ".join(argv), 120)
