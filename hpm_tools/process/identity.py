"""Who a process is, so that a number reused by an innocent process is never taken for ours.

A process is the triple (boot id, pid, start time in ticks since boot); wall-clock start times are not
used, for they move when the clock is set (psutil issue 2526). Imports little: the quickest commands
load it.
"""

from __future__ import annotations

import os
import sys

COOKIE = "HPM_RUN_ID"
"""The environment variable that every process of a run inherits; its value is the run's id."""

LINUX = sys.platform.startswith("linux")
_KERNEL_THREAD = 0x00200000
"""PF_KTHREAD among a process's flags (include/linux/sched.h)."""

_boot_id = ""


class Stat:
    """The fields of /proc/<pid>/stat that tell who a process is; ``start`` in clock ticks since boot.

    ``kernel`` marks the kernel's own threads. ``image`` changes when the process executes another program: its name and
    where its environment lies in memory (proc(5), fields 2 and 50).
    """

    __slots__ = ("image", "kernel", "pgid", "pid", "ppid", "session", "start", "zombie")

    def __init__(self, data: bytes) -> None:
        """Read the content of the file; raises ValueError if it is no such thing.

        The command's name, in parentheses, may itself hold spaces and parentheses. A process whose first
        thread has ended shows as a zombie while its other threads live on.
        """
        self.pid = int(data[: data.index(b" ")])
        name_ends = data.rindex(b")")
        fields = data[name_ends + 2 :].split()
        if len(fields) < 20:
            raise ValueError(f"not the content of a /proc/<pid>/stat file: {data[:80]!r}")
        self.ppid, self.pgid, self.session = int(fields[1]), int(fields[2]), int(fields[3])
        self.kernel = bool(int(fields[6]) & _KERNEL_THREAD)
        self.zombie = fields[0] in (b"Z", b"X", b"x") and int(fields[17]) <= 1
        self.start = fields[19].decode("ascii")
        self.image = data[data.index(b"(") : name_ends] + b"".join(fields[47:48])

    @classmethod
    def of(cls, pid: int) -> Stat | None:
        """The process with this number, None if there is none; raises PermissionError if it may not be seen."""
        try:
            with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
                return cls(file.read(4096))
        except (FileNotFoundError, ProcessLookupError):
            os_says_missing(pid)
            return None


def os_says_missing(pid: int) -> None:
    """Raise PermissionError if the process exists all the same: /proc may hide other users' (hidepid)."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        pass


def boot_id() -> str:
    """What changes with every boot of this machine, so that records of an earlier boot name no live process."""
    global _boot_id  # noqa: PLW0603  # asked often, constant for the life of this process
    if not _boot_id:
        if LINUX:
            with open("/proc/sys/kernel/random/boot_id", "rb") as file:
                _boot_id = file.read().decode("ascii").strip()
        else:
            _boot_id = _ask("sysctl", "-n", "kern.bootsessionuuid") or "unknown"
    return _boot_id


def hostname() -> str:
    """This machine's name as the kernel has it, without asking a name server."""
    return os.uname().nodename


def start_time(pid: int) -> str | None:
    """When the process began, in clock ticks since boot, as text.

    None if there is no such process, if it is a zombie, or if this user may not see it.
    Source: proc(5), /proc/<pid>/stat field 22; elsewhere what ``ps`` says.
    """
    try:
        return _live_start(pid)
    except PermissionError:
        return None


def same_process(pid: int, start: str, boot: str) -> bool:
    """Whether the process recorded as (pid, start, boot) still runs on this machine.

    A process that exists but may not be looked at counts as alive: only proof of death is death.
    """
    if boot != boot_id():
        return False
    try:
        return _live_start(pid) == start
    except PermissionError:
        return True


def ancestors() -> list[int]:
    """This process's number and those of its parents, up to the first process that may be seen."""
    pids, pid = [os.getpid()], os.getppid()
    while pid > 0:
        pids.append(pid)
        pid = _parent(pid)
    return pids


def _parent(pid: int) -> int:
    """The number of a process's parent; 0 if there is none that may be seen."""
    if not LINUX:
        return int(_ask("ps", "-o", "ppid=", "-p", str(pid)) or 0)
    try:
        stat = Stat.of(pid)
    except PermissionError:
        return 0
    return stat.ppid if stat is not None else 0


def _live_start(pid: int) -> str | None:
    if pid <= 0:
        return None
    if LINUX:
        stat = Stat.of(pid)
        return None if stat is None or stat.zombie else stat.start
    state, _, start = _ask("ps", "-o", "state=,lstart=", "-p", str(pid)).partition(" ")
    return start.strip() if state and not state.startswith("Z") else None


def _ask(*argv: str) -> str:
    import subprocess

    answer = subprocess.run(argv, capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=10)
    return answer.stdout.decode("utf-8", "replace").strip()
