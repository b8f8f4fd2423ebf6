"""Who holds a record, and whether that holder is alive, dead, or cannot be told: by proof, never by age."""

from __future__ import annotations

import os

from hpm_tools.errors import UsageError
from hpm_tools.process import identity
from hpm_tools.state.record import HAND, HOLDERS, PROCESS, RUNNER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    from hpm_tools.state.record import Record

    Liveness = Literal["alive", "dead", "unknown"]

ALIVE: Liveness = "alive"
DEAD: Liveness = "dead"
UNPROVEN: Liveness = "unknown"


def in_words(holder: str, alive: str) -> str:
    """``runner dead``, or ``by hand``: that nobody can tell whether a person is still at it says nothing."""
    return "by hand" if holder == HAND else f"{holder} {alive}"


def holder_fields(holder: str, owner_pid: int | None = None) -> dict[str, Any]:
    """The record's fields that say who holds it and what would prove his death.

    ``runner`` is this process, proven by the agent's guard; ``process`` is ``owner_pid``, by its start
    time and the boot; ``hand`` is a person. UsageError for a process that does not run.
    """
    if holder not in HOLDERS:
        raise UsageError(f"unknown holder {holder!r}", f"valid are: {', '.join(HOLDERS)}")
    pid = owner_pid if holder == PROCESS else os.getpid() if holder == RUNNER else None
    start = None
    if holder == PROCESS:
        start = identity.start_time(pid) if pid is not None and pid > 0 else None
        if start is None:
            raise UsageError(
                f"there is no process {pid} that could own a task", "pass --owner-pid $$ from a shell"
            )
    return {
        "holder": holder,
        "host": identity.hostname(),
        "machine": machine_id(),
        "boot_id": identity.boot_id(),
        "pid_ns": pid_namespace(),
        "pid": pid,
        "pid_start": start if holder != RUNNER else identity.start_time(os.getpid()),
    }


def machine_id() -> str | None:
    """What tells two machines of one name apart; None where the system does not say."""
    try:
        with open("/etc/machine-id", "rb") as file:
            return file.read(64).decode("ascii", "replace").strip() or None
    except OSError:
        return None


def pid_namespace() -> str | None:
    """The pid namespace, outside which a process number means another process or none; None without them."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None


def holder_alive(record: Record, guard_held: bool, home: str | None = None) -> Liveness:
    """Whether the record's holder lives.

    ``guard_held``: whether somebody other than the caller holds the agent's guard; ``home``: the state directory that
    record and guard lie in. A runner is as alive as its guard is held, an owner process as its pid with that start
    time. That holds on the boot that is recorded, whatever the container: it is the same kernel. The holder of another
    boot is dead if it was this machine's, or if ``home`` is on a file system that one machine at a time has. For a
    person, for the earlier runner's record and for another host's there is no proof: ``unknown``.
    """
    if record.holder == RUNNER and guard_held:
        return ALIVE
    if record.holder not in (RUNNER, PROCESS):
        return UNPROVEN
    if record.boot_id != identity.boot_id():
        return DEAD if _is_over(record, home) else UNPROVEN
    return DEAD if record.holder == RUNNER else _process_alive(record)


def _is_over(record: Record, home: str | None) -> bool:
    """Whether the boot that the record names is over."""
    if not record.boot_id:
        return record.holder == RUNNER and _of_this_host(record)
    if _of_this_host(record):
        return record.holder == RUNNER or bool(record.pid and record.pid_start)
    if home is None:
        return False
    from hpm_tools.state.mounts import is_local  # seldom needed

    return is_local(home)


def _of_this_host(record: Record) -> bool:
    if record.host != identity.hostname():
        return False
    recorded, here = record.machine, machine_id()
    return recorded is None or here is None or recorded == here


def _process_alive(record: Record) -> Liveness:
    pid, start, boot = record.pid, record.pid_start, record.boot_id
    if pid is None or not start or not boot:
        return UNPROVEN
    if record.pid_ns is not None and record.pid_ns != pid_namespace():
        return UNPROVEN
    return ALIVE if identity.same_process(pid, start, boot) else DEAD
