"""The terms in which a supervised run is asked for and reported."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpm_tools.process.output import Captured


@dataclass(frozen=True, slots=True)
class Clocks:
    """The limits of one run, in seconds; None: no limit.

    ``total`` from the start; ``first_event`` from the start to the first output; ``stall`` between two
    outputs, and before the first if ``first_event`` is None; ``linger`` from the final result to the
    exit; ``grace`` from TERM to KILL. Output means stdout when its lines are listened to, else stdout or
    stderr. Time in which the supervisor itself did not run (stopped, or busy in a callback) is not held
    against ``first_event`` and ``stall``.
    """

    total: float | None = None
    first_event: float | None = None
    stall: float | None = None
    linger: float | None = None
    grace: float = 10.0


class Ending(StrEnum):
    """Why a run ended: by itself, by one of the clocks, or because it was asked to stop.

    LINGERED means that the final result had come, so it counts whatever ended the process.
    """

    EXITED = "exited"
    TIMED_OUT = "timed_out"
    NO_START = "no_start"
    STALLED = "stalled"
    LINGERED = "lingered"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Child:
    """The run's first process, as a journal records it: number, start time in ticks, process group."""

    pid: int
    start: str
    pgid: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that is over.

    ``returncode`` is negative for a signal, None if the program cannot be ended. ``survivors``: processes
    of the run that KILL did not end. ``dropped_lines``: lines too long to be handed out. ``log_error``:
    why the log is incomplete.
    """

    returncode: int | None
    ending: Ending
    stop_reason: str
    stdout: Captured
    stderr: Captured
    seconds: float
    survivors: tuple[int, ...] = ()
    dropped_lines: int = 0
    log_error: str = ""
