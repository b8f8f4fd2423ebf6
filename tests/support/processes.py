"""Real processes for tests of the supervisor: well-behaved ones, stubborn ones, and innocent bystanders."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hpm_tools.process.identity import COOKIE, start_time
from hpm_tools.process.tree import ProcessRef, cookie_of, process_table, send

if TYPE_CHECKING:
    from collections.abc import Iterator

STUBBORN = "trap '' TERM INT HUP; while :; do sleep 0.1; done"
"""A shell loop that only KILL ends; its sleeps are not stubborn."""


def python(program: str, *args: object) -> list[str]:
    """The argv of a Python program that starts quickly."""
    return [sys.executable, "-I", "-S", "-c", program, *map(str, args)]


def new_cookie() -> str:
    """A run id that no other process on this machine carries."""
    return f"test-{uuid.uuid4()}"


def environment(**more: str) -> dict[str, str]:
    """Just enough to find programs."""
    return {"PATH": os.environ["PATH"], **more}


def ref(pid: int) -> ProcessRef:
    """The living process with this number."""
    start = start_time(pid)
    assert start is not None, f"process {pid} is not alive"
    return ProcessRef(pid, start)


def alive(process: ProcessRef) -> bool:
    """Whether exactly this process lives, zombies not counted."""
    return start_time(process.pid) == process.start


def with_cookie(cookie: str) -> list[ProcessRef]:
    """The living processes that carry ``cookie``, found without the code under test's own search."""
    return [
        ProcessRef(pid, stat.start)
        for pid, stat in process_table().items()
        if not stat.zombie and cookie_of(pid) == cookie
    ]


def zombie_children() -> list[int]:
    """This process's children that nobody has reaped."""
    return [pid for pid, stat in process_table().items() if stat.ppid == os.getpid() and stat.zombie]


@contextmanager
def bystander(*argv: str, cookie: str | None = None, session: bool = True) -> Iterator[ProcessRef]:
    """A process that must survive the block; killed with its group and reaped after it."""
    environ = environment() if cookie is None else environment(**{COOKIE: cookie})
    process = subprocess.Popen(argv or ("sleep", "1000"), env=environ, start_new_session=session)
    try:
        yield ref(process.pid)
    finally:
        if session and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()


@contextmanager
def cleared(cookie: str) -> Iterator[str]:
    """Whatever fails, no process carrying ``cookie`` outlives the block."""
    try:
        yield cookie
    finally:
        for process in with_cookie(cookie):
            send(process, 9)
