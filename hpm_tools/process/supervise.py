"""Running one program under supervision: four clocks, bounded output, and the end of all it started.

A child may hang at its start, in the middle or after its final result, ignore TERM, leave grandchildren
that hold its pipes or daemons in other sessions, and print without end. None of that may hang, fill or
outlive the run.
"""

from __future__ import annotations

import atexit
import os
import time
from typing import TYPE_CHECKING

from hpm_tools import signals, trace
from hpm_tools.errors import TryLater
from hpm_tools.process import launch, subreaper, tree
from hpm_tools.process.family import Before
from hpm_tools.process.identity import COOKIE
from hpm_tools.process.launch import CannotStart
from hpm_tools.process.output import Captured, Output, RunLog
from hpm_tools.process.run import Run
from hpm_tools.process.terms import Child, Clocks, Ending, Finished
from hpm_tools.text import duration, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import BinaryIO

__all__ = ["CannotStart", "Captured", "Child", "Clocks", "Ending", "Finished", "kill_all", "supervise"]

_live: set[Run] = set()


def supervise(
    argv: Sequence[str],
    *,
    cwd: str | os.PathLike[str] | None,
    env: Mapping[str, str],
    stdin: bytes = b"",
    clocks: Clocks | None = None,
    keep: int = 1 << 20,
    max_line: int = 8 << 20,
    log: BinaryIO | str | os.PathLike[str] | None = None,
    log_limit: int = 256 << 20,
    secrets: Iterable[str] = (),
    on_line: Callable[[bytes], bool | None] | None = None,
    on_spawn: Callable[[Child], None] | None = None,
    should_stop: Callable[[], str | None] | None = None,
    wake: int | None = None,
    cookie: str | None = None,
    hands_over: bool = False,
) -> Finished:
    """Run ``argv`` to its end in a session of its own, and end whatever it leaves behind.

    ``on_spawn`` is called once the process exists and before it is fed ``stdin``, so that a journal can name it.
    ``on_line`` gets each line of stdout up to ``max_line`` bytes, without its newline; True means that it was the
    final result and starts the linger clock. ``should_stop`` is asked at least every 0.25 s, and at once when the
    file descriptor ``wake`` becomes readable; a reason ends the run. ``cookie`` marks the environment of all its
    processes. ``hands_over``: it may hand work to a server that was there before, so any process with the cookie is
    ended, however old; that costs a look at all processes. ``log`` receives stdout, redacted of ``secrets``, up to
    ``log_limit`` bytes; ``keep`` bytes of each output come back. Works in any thread.

    An exception out of a callback passes on after everything has been ended, and so does signals.Terminated
    when a signal asks the command to end; a second signal kills at once. Raises CannotStart, or TryLater when
    the machine is out of processes or memory; then nothing was started.
    """
    output = Output(keep, max_line, on_line, RunLog(log, secrets, log_limit))
    marked = _marked(env, cookie)
    run: Run | None = None
    try:
        with subreaper.adopting() as adoption:
            before, begun = Before.now(all_may_serve=hands_over), time.monotonic()
            with launch.running(argv, cwd=cwd, env=marked, stdin=bool(stdin)) as process:
                run = Run(
                    process,
                    output,
                    clocks or Clocks(),
                    begun=begun,
                    stdin=stdin,
                    wake=wake,
                    cookie=cookie,
                    adopts=lambda: adoption.alone,
                    before=before,
                )
                _live.add(run)
                trace.tell(f"process {process.pid} began: {one_line(' '.join(argv), 120)}")
                try:
                    if on_spawn is not None:
                        on_spawn(Child(run.first.pid, run.first.start, process.pid))
                    run.watch(should_stop)
                finally:
                    try:
                        run.end()
                    finally:
                        _live.discard(run)
    except BaseException as error:
        if run is None and cookie is not None and not isinstance(error, CannotStart | TryLater):
            # Where we are used as a library, SIGINT raises: perhaps between the fork and our knowing of it.
            tree.end_carriers(cookie, 0)
        raise
    finally:
        output.close()
    if output.failure is not None:
        raise output.failure
    done = run.finished()
    trace.tell(f"process {run.first.pid} {done.ending} ({done.returncode}) after {duration(done.seconds)}")
    return done


def kill_all() -> None:
    """KILL every run of this process, within seconds."""
    runs = list(_live)
    for run in runs:
        run.kill_group()
    for run in runs:
        run.kill()


signals.at_once.append(kill_all)
atexit.register(kill_all)
os.register_at_fork(after_in_child=_live.clear)


def _marked(env: Mapping[str, str], cookie: str | None) -> dict[str, str]:
    marked = {name: value for name, value in env.items() if name != COOKIE}
    return marked if cookie is None else marked | {COOKIE: cookie}
