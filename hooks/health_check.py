#!/usr/bin/env python3
"""Is this machine fit to go on taking tasks? What pre_task checks, and memory, the board, stray agents.

A hook of hpm-tools that also runs alone: ``echo '{}' | python hooks/health_check.py``. It reads one JSON
object on stdin and prints one line per check; the exit code is 0 unless a check failed. Warnings do not
count. It runs the checks of the pre_task.py beside it, with the same fields, because a machine that
pre_task found unfit is fit again only when those pass. Further fields: ``api_url`` (default: the variable
HEADLESS_PM_API_URL, then http://localhost:6969), ``min_memory_mb`` (default 256).

Agents whose runner is gone are reported and never signalled: the next start of their agent id ends them.
"""

from __future__ import annotations

import fcntl
import http.client
import importlib
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

OK, WARN, FAIL = "ok", "warn", "fail"
Line = tuple[str, str]

MIN_MEMORY_MB = 256.0
BOARD_SECONDS = 5.0
BODY_LIMIT = 64 * 1024
COOKIE = "HPM_RUN_ID"
REAPERS = (
    "init",
    "systemd",
    "launchd",
    "tini",
    "docker-init",
    "dumb-init",
    "catatonit",
    "s6-svscan",
    "runit",
)
"""Programs that adopt the children of the dead."""


class Process(NamedTuple):
    pid: int
    parent: int
    name: str
    run: str
    """The run it belongs to: its cookie, empty for processes that carry none."""


def memory(data: dict[str, Any]) -> list[Line]:
    """What programs can still get without swapping, within this control group's limit if it has one."""
    needed = data.get("min_memory_mb")
    needed = float(needed) if isinstance(needed, (int, float)) else MIN_MEMORY_MB
    known = [amount for amount in (_machine_memory(), _group_memory()) if amount is not None]
    if not known:
        return [(WARN, "memory: cannot be read on this system without psutil")]
    free = min(known) / 2**20
    if free < needed:
        return [(FAIL, f"memory: {free:.0f} MiB available, {needed:g} needed")]
    return [(OK, f"memory: {free:.0f} MiB available")]


def _machine_memory() -> float | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import psutil
    except ImportError:
        return None
    return float(psutil.virtual_memory().available)


def _group_memory() -> float | None:
    """Bytes left below the memory limit of this process's control group (version 2); None without one."""
    try:
        entry = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()[-1]
        group = Path("/sys/fs/cgroup", entry.rpartition("::")[2].lstrip("/"))
        limit = float((group / "memory.max").read_text(encoding="ascii"))
        used = float((group / "memory.current").read_text(encoding="ascii"))
        facts = dict(
            line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines()
        )
        return limit - used + float(facts.get("inactive_file", 0))
    except (OSError, ValueError, IndexError):
        return None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def board(data: dict[str, Any]) -> list[Line]:
    """The board's /health answers 200; its status may well be ``degraded`` (no dashboard). No key is sent."""
    url = str(data.get("api_url") or os.environ.get("HEADLESS_PM_API_URL") or "http://localhost:6969")
    if url == "embedded":
        return [(OK, "board: embedded in the runner")]
    if not url.startswith(("http://", "https://")):
        return [(FAIL, f"board: {_plain(url)} is no http address")]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    try:
        with opener.open(url.rstrip("/") + "/health", timeout=BOARD_SECONDS) as answer:
            body = answer.read(BODY_LIMIT)
            code = answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return [(FAIL, f"board: {_plain(url)} answers {error.code}")]
    except (OSError, ValueError, http.client.HTTPException) as error:
        return [(FAIL, f"board: {_plain(url)} cannot be reached: {_plain(getattr(error, 'reason', error))}")]
    if code != 200:
        return [(FAIL, f"board: {_plain(url)} answers {code}")]
    return [(OK, f"board: {_plain(url)} answers{_board_status(body)}")]


def _board_status(body: bytes) -> str:
    try:
        status = json.loads(body).get("status")
    except (ValueError, AttributeError):
        return ""
    return f" ({_plain(status)})" if status else ""


def stray_agents(_: dict[str, Any]) -> list[Line]:
    """Processes of a run whose runner is gone."""
    processes = {process.pid: process for process in _processes()}
    if not processes:
        return [(WARN, "agents: processes cannot be looked at on this system without psutil")]
    own = os.environ.get(COOKIE)
    runs: dict[str, list[Process]] = {}
    for process in processes.values():
        if process.run and process.run != own:
            runs.setdefault(process.run, []).append(process)
    owners = _recorded_runs() if runs else {}
    stray = {
        run: members
        for run, members in runs.items()
        if (not owners[run] if run in owners else _orphaned(members, processes))
    }
    lines = [
        (WARN, f"agents: the runner of {_plain(run)} is gone, but not its {_listed(members)}")
        for run, members in sorted(stray.items())
    ]
    return lines or [(OK, f"agents: {len(runs)} at work, none without a runner")]


def _orphaned(members: list[Process], processes: dict[int, Process]) -> bool:
    """Whether every process at the top of the run's tree was adopted: proof that who started it is dead."""
    pids = {process.pid for process in members}
    tops = [processes.get(process.parent) for process in members if process.parent not in pids]
    return all(parent is not None and (parent.pid == 1 or parent.name in REAPERS) for parent in tops)


def _listed(members: list[Process]) -> str:
    shown = ", ".join(f"{process.pid} ({_plain(process.name)})" for process in members[:5])
    return f"processes {shown}" + (f" and {len(members) - 5} more" if len(members) > 5 else "")


def _recorded_runs() -> dict[str, bool]:
    """For each run that a task record names: whether its owner still lives."""
    named = os.environ.get("HEADLESS_PM_HOME")
    locks = (Path(named).expanduser() if named else Path.home() / ".headless-pm") / "locks"
    owners = {}
    for path in locks.glob("agent-*.lock"):
        try:
            record = json.loads(path.read_bytes()[: 4 << 20])
            run = record.get("run_id")
        except (OSError, ValueError, AttributeError):
            continue
        if isinstance(run, str) and run:
            owners[run] = _guard_held(path.with_suffix(".guard")) or _owner_lives(record)
    return owners


def _guard_held(path: Path) -> bool:
    """Whether a runner holds its guard. A shared lock, for an instant, so that two who look do not collide."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _owner_lives(record: dict[str, Any]) -> bool:
    """Whether the script that holds the record runs; a record by hand has no owner that could be seen dead."""
    if record.get("holder") == "runner":
        return False
    if record.get("holder") != "process" or not Path("/proc/self/stat").exists():
        return True
    try:
        stat = Path("/proc", str(record.get("pid")), "stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[19].decode() == record.get("pid_start")


def _processes() -> Iterator[Process]:
    if Path("/proc/self/stat").exists():
        return _linux_processes()
    return _other_processes()


def _linux_processes() -> Iterator[Process]:
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            head, _, tail = Path("/proc", entry, "stat").read_bytes().rpartition(b")")
            state, parent = tail.split()[:2]
        except (OSError, ValueError):
            continue
        run = "" if state in b"ZX" else _cookie(entry)
        yield Process(int(entry), int(parent), head.partition(b"(")[2].decode(errors="replace"), run)


def _cookie(pid: str) -> str:
    try:
        variables = Path("/proc", pid, "environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    prefix = f"{COOKIE}=".encode()
    found = next((variable for variable in variables if variable.startswith(prefix)), b"")
    return found[len(prefix) :].decode(errors="replace")


def _other_processes() -> Iterator[Process]:
    try:
        import psutil
    except ImportError:
        return
    for process in psutil.process_iter():
        try:
            run = process.environ().get(COOKIE, "")
        except psutil.Error:
            run = ""
        try:
            yield Process(process.pid, process.ppid(), process.name(), run)
        except psutil.Error:
            continue


def _plain(value: object) -> str:
    return "".join(character for character in str(value) if character.isprintable())[:200]


def machine(data: dict[str, Any]) -> list[Line]:
    """Disk, git and the agent's program, as the pre_task.py beside this file checks them."""
    sys.dont_write_bytecode = True
    try:
        pre_task = importlib.import_module("pre_task")
    except ImportError:
        return [(WARN, "disk, git, agent: not checked, for there is no pre_task.py beside this file")]
    return [*pre_task.disk(data), *pre_task.git(data), *pre_task.agent_cli(data)]


def main() -> int:
    text = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()
    try:
        data = json.loads(text) if text.strip() else {}
    except ValueError as error:
        sys.exit(f"stdin is not JSON: {error}")
    if not isinstance(data, dict):
        sys.exit("stdin is not a JSON object")
    lines = [*machine(data), *memory(data), *board(data), *stray_agents(data)]
    for state, line in lines:
        print(f"{state:4} {line}")
    return int(any(state == FAIL for state, _ in lines))


if __name__ == "__main__":
    sys.exit(main())
