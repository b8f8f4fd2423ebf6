"""One run in progress: watching its clocks, and ending it from TERM to the last straggler."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from hpm_tools import signals
from hpm_tools.process import launch, tree
from hpm_tools.process.family import Before, Family
from hpm_tools.process.identity import LINUX, Stat, start_time
from hpm_tools.process.pump import Pump
from hpm_tools.process.terms import Clocks, Ending, Finished
from hpm_tools.process.tree import ProcessRef

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from hpm_tools.process.output import Output

DRAIN = 5.0
"""How long a pipe is read after its run has ended, in seconds: somebody unknown may hold it open."""

STRAGGLERS_GRACE = 2.0
"""What the processes get that are left over when the first one has ended, in seconds from TERM to KILL."""

_ASK = 0.25
"""How often ``should_stop`` is asked, in seconds."""

_LOOK = 2.0
_LOOK_SHARE = 500
"""The run's processes are looked at every _LOOK seconds, more rarely if a look costs more than 1/_LOOK_SHARE."""

_ABSENCE = 1.0
"""A gap longer than this, in seconds, was the supervisor's own absence and no silence of the child."""

_REAP = 5.0
_IMPATIENT = 2.0
_OOM_SCORE_ADJ = b"500"
"""The kernel, short of memory, shall take the agent and not its runner (actions/runner does the same)."""


class Run:
    """One supervised process and what it started; used by ``supervise`` alone."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        output: Output,
        clocks: Clocks,
        *,
        begun: float,
        stdin: bytes,
        wake: int | None,
        cookie: str | None,
        adopts: Callable[[], bool],
        before: Before,
    ) -> None:
        _confine(process.pid)
        self.first = ProcessRef(process.pid, _start_of(process.pid))
        self._process = process
        self._output = output
        self._clocks = clocks
        self._begun = begun
        self._heard = begun
        self._pump = Pump(process, stdin, output.stdout, output.stderr, wake)
        self._family = Family(self.first, cookie, adopts=adopts, before=before)
        self._ending = Ending.EXITED
        self._stop_reason = ""
        self._returncode: int | None = None
        self._survivors: tuple[int, ...] = ()
        self._seconds = 0.0

    def watch(self, should_stop: Callable[[], str | None] | None) -> None:
        """Return when the first process has exited, a clock has run out, or ``should_stop`` gives a reason."""
        ask_at = 0.0 if should_stop else float("inf")
        look_at = self._begun + _LOOK
        now = time.monotonic()
        while True:
            before = now
            self._pump.turn(max(0.0, min(self._deadline()[0], ask_at, look_at) - time.monotonic()))
            signals.check()
            now = time.monotonic()
            absence = now - before - self._pump.waited
            if absence > _ABSENCE:
                self._heard = self._last_heard() + absence
            if self._output.failure is not None:
                raise self._output.failure
            if self._pump.exited:
                return
            deadline, ending = self._deadline()
            if now >= deadline:
                self._ending = ending
                return
            if should_stop is not None and (now >= ask_at or self._pump.woken):
                self._pump.woken = False
                reason = should_stop()
                if reason is not None:
                    self._ending, self._stop_reason = Ending.STOPPED, reason
                    return
                ask_at = time.monotonic() + _ASK
            if now >= look_at:
                self._family.look()
                seen = time.monotonic()
                look_at = seen + max(_LOOK, _LOOK_SHARE * (seen - now))

    def _deadline(self) -> tuple[float, Ending]:
        """The next moment at which a clock runs out, and what that would mean."""
        clocks, result = self._clocks, self._output.result_at
        first = self._output.heard_at is None
        silence = clocks.first_event if first and clocks.first_event is not None else clocks.stall
        if result is not None:
            limits = [(result, clocks.linger, Ending.LINGERED), (self._begun, clocks.total, Ending.LINGERED)]
        else:
            limits = [
                (self._begun, clocks.total, Ending.TIMED_OUT),
                (self._last_heard(), silence, Ending.NO_START if first else Ending.STALLED),
            ]
        return min(
            (since + limit if limit is not None else float("inf"), ending) for since, limit, ending in limits
        )

    def _last_heard(self) -> float:
        """When the child last showed life, later by what the supervisor itself was absent."""
        return max(self._heard, self._output.heard_at or 0.0)

    def end(self) -> None:
        """End the first process if it lives, then everything that is left of the run, then read what is left.

        Interrupted by an exception, it kills without any grace.
        """
        try:
            if not self._pump.exited:
                self._end_first()
            self._survivors = tuple(process.pid for process in self._end_rest())
            self.kill_group()  # where no process table tells who is left
            self._drain()
        except BaseException:
            self.kill()
            raise
        finally:
            self._returncode = launch.reap(self._process, _REAP if self._pump.exited else 0.0)
            if self._survivors:
                self._family.look()
            self._pump.close()
            self._seconds = time.monotonic() - self._begun

    def _end_first(self) -> None:
        if self._clocks.grace > 0:
            launch.signal_group(self._process, signal.SIGTERM)
            launch.signal_group(self._process, signal.SIGCONT)  # a stopped process cannot act on TERM
            self._await_exit(self._clocks.grace)
        if not self._pump.exited:
            self.kill_group()
            self._await_exit(tree.KILL_PATIENCE)

    def _await_exit(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._pump.exited and (left := until - time.monotonic()) > 0:
            self._pump.turn(left)

    def _end_rest(self) -> list[ProcessRef]:
        return tree.end_all(
            self._family.living,
            min(self._clocks.grace, STRAGGLERS_GRACE),
            pause=self._pump.turn,
            also_kill=self.kill_group,
        )

    def _drain(self) -> None:
        until = time.monotonic() + DRAIN
        while not self._pump.drained and (left := until - time.monotonic()) > 0:
            self._pump.turn(left)
        self._output.finish()

    def kill_group(self) -> None:
        """KILL the first process's group."""
        launch.signal_group(self._process, signal.SIGKILL)

    def kill(self) -> None:
        """KILL all that belongs to the run, at once, and see that it is gone."""
        self.kill_group()
        tree.end_all(self._family.living, 0, patience=_IMPATIENT)

    def finished(self) -> Finished:
        """What became of it."""
        return Finished(
            returncode=self._returncode,
            ending=self._ending,
            stop_reason=self._stop_reason,
            stdout=self._output.out.captured(),
            stderr=self._output.err.captured(),
            seconds=self._seconds,
            survivors=self._survivors,
            dropped_lines=self._output.dropped_lines,
            log_error=self._output.log.error,
        )


def _start_of(pid: int) -> str:
    """The start time of our own child, also of one that has exited already."""
    if not LINUX:
        return start_time(pid) or ""
    stat = Stat.of(pid)
    return stat.start if stat else ""


def _confine(pid: int) -> None:
    """No core dumps, and first to go when memory runs out; both as far as the system lets us."""
    if not LINUX:
        return
    import resource

    try:
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
        with open(f"/proc/{pid}/oom_score_adj", "wb", buffering=0) as file:
            file.write(_OOM_SCORE_ADJ)
    except OSError:
        pass
