"""Places at which a test can make a run fail: killed, raising, stalled, or out of disk.

``HPM_FAILPOINT=<name>[#<n>]:<kill|raise|stall|enospc|stop>`` arms one point, at its n-th (first) time in a process,
and only together with ``HPM_FAILPOINT_LOG``, a file to which every point that is reached appends its name: an
operator who has one of them in his environment by accident arms nothing. Imports nothing that quick commands
lack. Every act that changes state has one on each side; tests/campaign finds them all in the source.

A heartbeat's thread reaches none: what it does between two acts of the main thread differs from run to run.
"""

# no failpoints in this module: its one act is to note that a point was reached

from __future__ import annotations

import os

from hpm_tools.signals import in_main_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

ARMED = "HPM_FAILPOINT"
LOG = "HPM_FAILPOINT_LOG"
FAULTS = ("kill", "raise", "stall", "enospc")
"""And ``stop``, which goes on when somebody continues the process."""

_times: dict[str, int] = {}


class InjectedFault(Exception):
    """What ``raise`` raises: no HpmError, for it stands for a bug."""


def reach(name: str) -> None:
    """The run has come to the point ``name``; fail there if it is armed."""
    log = os.environ.get(LOG)
    if log is None or not in_main_thread():
        return
    _times[name] = _times.get(name, 0) + 1
    with open(log, "a", encoding="ascii") as file:
        file.write(f"{name}\n")
    point, _, fault = os.environ.get(ARMED, "").rpartition(":")
    armed, _, time = point.partition("#")
    if armed == name and _times[name] == int(time or 1):
        _fail(name, fault)


class around:  # noqa: N801  # contextlib costs a quick command an import
    """The points ``name.before`` and ``name.after`` on the two sides of an act; the second only if it succeeded."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        reach(f"{self._name}.before")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            reach(f"{self._name}.after")


def _fail(name: str, fault: str) -> None:
    if fault == "kill":
        os.kill(os.getpid(), 9)
    if fault == "stop":
        os.kill(os.getpid(), 19)
        return
    if fault == "stall":
        import time

        while True:
            time.sleep(3600)
    if fault == "enospc":
        import errno

        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
    raise InjectedFault(name)
