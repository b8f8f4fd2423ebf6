"""Finding the processes of a run and ending them, wherever they have hidden, and no others.

A run's processes are known by the environment variable that they all inherit (the cookie), by descent,
and by the session that its first process leads. Before every signal the process is checked to be the one
that was found: by pidfd where the kernel has them, else by its start time immediately before.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpm_tools.process.identity import COOKIE, Stat, ancestors, boot_id, same_process, start_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KILL_PATIENCE = 10.0
"""How long processes are killed again and again before those left are called unkillable, in seconds."""

_FREEZE_SHARE = 0.8
"""Of the time left, how much goes into stopping what forks, before it is killed."""

_UNSURE_LOOKS = 40
_UNSURE_PAUSE = 0.005

_MARK = COOKIE.encode() + b"="
_MAX_ENVIRON = 4 << 20


@dataclass(frozen=True, slots=True, order=True)
class ProcessRef:
    """One process of this boot: its number and its start time as ``identity.start_time`` gives it."""

    pid: int
    start: str


def ref_of(stat: Stat) -> ProcessRef:
    """The process that ``stat`` describes."""
    return ProcessRef(stat.pid, stat.start)


def process_numbers() -> frozenset[int]:
    """The numbers of all processes that this user may see, the kernel's own threads among them; empty without /proc."""
    try:
        return frozenset(int(name) for name in os.listdir("/proc") if name.isdecimal())
    except FileNotFoundError:
        return frozenset()


def process_table(without: frozenset[int] = frozenset()) -> dict[int, Stat]:
    """Every process that this user may see, zombies included, the kernel's own threads not; empty without /proc.

    The numbers in ``without`` are left out. Not a snapshot: processes begin and end while it is read.
    """
    table = {}
    for pid in process_numbers() - without:
        try:
            fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # it ended while we looked
            continue
        try:
            stat = Stat(os.read(fd, 4096))
        except (OSError, ValueError):
            continue
        finally:
            os.close(fd)
        if not stat.kernel:
            table[stat.pid] = stat
    return table


def own_children() -> frozenset[int] | None:
    """The numbers of this process's children, zombies included; None where the kernel does not list them.

    Other children may be missed while one of them is reaped, but never all: an empty answer, or one that
    names nothing but a child that is not reaped yet, is certain. Source: proc(5), task/<tid>/children.
    """
    found: set[int] = set()
    try:
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/children", "rb", buffering=0) as file:
                found.update(map(int, file.read().split()))
    except OSError:  # also when a thread ended meanwhile: its children went to another
        return None
    return frozenset(found)


def cookie_of(pid: int) -> str | None:
    """The run id in the environment that the process was started with; "" if it has none or we may not read it.

    None if it cannot be told now: in the middle of an exec, and at its end, a process has neither
    environment nor arguments.
    """
    environ = _read(pid, "environ")
    if environ == b"" and not _read(pid, "cmdline"):
        return None
    return _cookie_in(environ or _read(pid, "environ") or b"")


def _read(pid: int, name: str) -> bytes | None:
    try:
        with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:
            return file.read(_MAX_ENVIRON)
    except OSError:
        return None


def _cookie_in(environ: bytes) -> str:
    if _MARK in environ:
        for entry in environ.split(b"\0"):
            if entry.startswith(_MARK):
                return os.fsdecode(entry[len(_MARK) :])
    return ""


def all_carriers() -> dict[str, list[ProcessRef]]:
    """The living processes of every run on this machine, by run id, without this process and its ancestors."""
    table = process_table()
    runs: dict[str, list[ProcessRef]] = {}
    for pid in table.keys() - set(ancestors()):
        if not table[pid].zombie and (cookie := cookie_of(pid)):
            runs.setdefault(cookie, []).append(ref_of(table[pid]))
    return runs


def living_cookies() -> frozenset[str] | None:
    """The ids of all runs of which any process lives, this one and its ancestors included; None if that is not certain.

    It is uncertain without /proc, and where a process stays in the middle of an exec.
    """
    found: set[str] = set()
    for _ in range(2):  # a process that forks and ends while the table is read can hide its child
        table = process_table()
        if not table:
            return None
        unsure = {pid for pid, stat in table.items() if not stat.zombie}
        for look in range(_UNSURE_LOOKS):
            if look:
                time.sleep(_UNSURE_PAUSE)
            cookies = {pid: cookie_of(pid) for pid in unsure}
            found.update(cookie for cookie in cookies.values() if cookie)
            unsure = {pid for pid, cookie in cookies.items() if cookie is None}
            if not unsure:
                break
        else:
            return None
    return frozenset(found)


def carriers(cookie: str) -> list[ProcessRef]:
    """The living processes that carry ``cookie``, without this process and its ancestors."""
    return sorted(all_carriers().get(cookie, []))


def send(process: ProcessRef, number: int) -> bool:
    """Signal exactly this process; False if it is gone or may not be signalled, and for init and groups (0, 1, below)."""
    if process.pid <= 1:
        return False
    try:
        pidfd = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        return start_time(process.pid) == process.start and _kill(process.pid, number)
    try:
        if start_time(process.pid) != process.start:
            return False
        signal.pidfd_send_signal(pidfd, number)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


def _kill(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except OSError:
        return False
    return True


def end_all(
    find: Callable[[], Iterable[ProcessRef]],
    grace: float,
    *,
    pause: Callable[[float], None] = time.sleep,
    also_kill: Callable[[], None] = lambda: None,
    patience: float = KILL_PATIENCE,
) -> list[ProcessRef]:
    """End whatever ``find`` keeps finding: TERM, ``grace`` seconds, then KILL again and again.

    TERM goes to those found first: what appears during the grace may be their own cleaning up. Returns
    what is still alive ``patience`` seconds after the grace. ``pause`` waits, ``also_kill`` is
    called with every round of KILL. Only two empty looks in a row mean that nothing is left: a process
    that forks and ends while the process table is read can hide its child from one.
    """
    begun = time.monotonic()
    asked = False
    killed: set[ProcessRef] = set()
    wait = 0.01
    while living := set(find()) or set(find()):
        left = begun + grace - time.monotonic()
        if left > 0:
            for process in () if asked else living:
                send(process, signal.SIGTERM)
                send(process, signal.SIGCONT)  # a stopped process cannot act on TERM
            asked = True
            pause(min(wait, left))
        elif left > -patience:
            also_kill()
            if killed and living - killed:
                living = _frozen(find, time.monotonic() + _FREEZE_SHARE * (patience + left))
            for process in living:
                send(process, signal.SIGKILL)
            killed |= living
            pause(min(wait, 0.05))
        else:
            return sorted(living)
        wait = min(wait * 1.5, 0.2)
    return []


def _frozen(find: Callable[[], Iterable[ProcessRef]], until: float) -> set[ProcessRef]:
    """Stop all that ``find`` finds until it finds nothing new, and return them.

    Processes that fork faster than they can be killed must be stopped first: a stopped one forks no more
    and keeps its place in the process table, while every one killed makes room for another.
    """
    stopped: set[ProcessRef] = set()
    while True:
        living = set(find())
        if living <= stopped or time.monotonic() >= until:
            return living
        for process in living - stopped:
            send(process, signal.SIGSTOP)
        stopped |= living


def end_process(pid: int, start: str, boot: str, grace: float) -> bool:
    """End the process recorded as (pid, start, boot), and no other; True once it is gone."""
    process = ProcessRef(pid, start)
    return not end_all(lambda: [process] if same_process(pid, start, boot) else [], grace)


def end_carriers(cookie: str, grace: float) -> list[int]:
    """End every process that carries ``cookie``, and its descendants.

    Returns the numbers of those that could not be ended.
    """
    from hpm_tools.process.family import Family

    return [process.pid for process in end_all(Family(None, cookie).living, grace)]


def end_run(child: ProcessRef | None, cookie: str | None, boot: str, grace: float = 10.0) -> list[int]:
    """End what a dead runner left running, as its record tells it.

    ``child`` is the run's first process, ``cookie`` its run id, ``boot`` the boot they were recorded in; of
    another boot nothing can be alive, and nothing is signalled. The first process's group is asked before
    the rest: Claude Code ends its tools itself, cleanly. Returns the numbers of those that could not be ended.
    """
    from hpm_tools.process.family import Family

    if boot != boot_id():
        return []
    family = Family(child, cookie)
    end_all(family.group, grace)
    return [process.pid for process in end_all(family.living, min(grace, 2.0))]
