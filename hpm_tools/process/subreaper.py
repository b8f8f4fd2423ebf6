"""Adopting the orphans of our children (Linux): a double-forked daemon becomes our child, not init's.

The setting belongs to the whole process, so runs in several threads share it and the last one undoes it.
Source: prctl(2), PR_SET_CHILD_SUBREAPER.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hpm_tools.process.identity import LINUX
from hpm_tools.process.launch import started_here
from hpm_tools.process.tree import process_table

if TYPE_CHECKING:
    from collections.abc import Iterator

_SET, _GET = 36, 37

_lock = threading.RLock()  # a signal handler may come while its own thread holds it
_runs = 0
_began = 0
_ours = False


class Adoption:
    """One run's share in the setting."""

    def __init__(self, number: int) -> None:
        self._number = number

    @property
    def alone(self) -> bool:
        """Whether orphans adopted since this run began can come from no other run nor from before.

        False where this process was a subreaper already, or is init, which adopts everybody's orphans.
        """
        with _lock:
            return _ours and _runs == 1 and _began == self._number


@contextmanager
def adopting() -> Iterator[Adoption]:
    """Adopt orphans until the block ends; where the system cannot, the run goes without."""
    global _runs, _began, _ours  # noqa: PLW0603  # the setting itself is global to the process
    with _lock:
        if not _runs:
            _ours = _switch_on()
        _runs += 1
        _began += 1
        adoption = Adoption(_began)
    try:
        yield adoption
    finally:
        with _lock:
            _runs -= 1
            if not _runs and _ours:
                _prctl(_SET, 0)
                _ours = False


def reap_as_init() -> None:
    """Where this process is the first of a container, reap the orphans that have come to it and ended: nobody else does.

    Programs that were started here lead their own session and are reaped by who started them; what Python code beside
    us started is in our session.
    """
    if os.getpid() != 1:
        return
    table = process_table()
    started = started_here()
    for stat in table.values():
        if stat.zombie and stat.ppid == 1 and stat.pid not in started and stat.session != os.getsid(0):
            try:
                os.waitpid(stat.pid, os.WNOHANG)
            except ChildProcessError:  # reaped meanwhile
                pass


def _switch_on() -> bool:
    """Whether it was this call that made the process a subreaper."""
    if not LINUX:
        return False
    import ctypes

    before = ctypes.c_int(1)
    if os.getpid() == 1 or _prctl(_GET, ctypes.addressof(before)) != 0 or before.value:
        return False
    return _prctl(_SET, 1) == 0


def _prctl(option: int, argument: int) -> int:
    import ctypes

    number = ctypes.c_ulong
    result: int = ctypes.CDLL(None).prctl(
        ctypes.c_int(option), number(argument), number(0), number(0), number(0)
    )
    return result
