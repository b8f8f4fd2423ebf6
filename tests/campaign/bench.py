"""One case's place: a desk with the campaign's agent, a clone of its own, and an owner process for scripts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import forkserver
from tests.support.repos import make_repo
from tests.support.runners import HPM, Desk, Running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.board_process import BoardUnderTest

AGENT = Path(__file__).with_name("agent.py")
LONGEST = 600.0
"""Seconds within which every command of a case must have ended."""

STALLED = 0.3
"""Seconds for which a stalled runner is let stand, its threads going on, before it is killed."""

LONGEST_START = 300.0

DEV = "dev_001"
IGNORED = "secret.txt"


@dataclass(frozen=True, slots=True)
class Done:
    """How one command ended, and which failpoints it reached, in order."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    seconds: float
    reached: tuple[str, ...] = ()

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    def __str__(self) -> str:
        return f"$ hpm {' '.join(self.argv)}\n{self.output}[exit code {self.code}, {self.seconds:.1f} s]"


@dataclass(frozen=True, slots=True)
class Fault:
    """``kind`` at the n-th time that ``point`` is reached in the scenario's command number ``command``."""

    point: str
    kind: str
    nth: int = 1
    command: int = 0

    @property
    def armed(self) -> str:
        return f"{self.point}#{self.nth}:{self.kind}"

    def __str__(self) -> str:
        return self.armed + (f" in command {self.command}" if self.command else "")


class Bench(Desk):
    """A desk whose agents write down what they do in ``logs``; ``points`` is the file of reached failpoints."""

    def __init__(self, directory: Path, board: BoardUnderTest, template: Path) -> None:
        repo = directory / "repo"
        shutil.copytree(template, repo, symlinks=True)
        self.logs = directory / "logs"
        self.logs.mkdir()
        self.points = directory / "points"
        self.flag = directory / "linger"
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        self.owner: subprocess.Popen[bytes] | None = None
        self._begun: tuple[tuple[str, ...], float, Running] | None = None
        self.package: Path | None = None
        """A directory with another hpm_tools, which is run instead of this one."""
        self.settings: dict[str, Any] = {}
        super().__init__(directory, board, repo)
        self.settings.clear()
        self.configure()

    def configure(self, **settings: Any) -> None:
        self.settings |= settings
        super().configure(
            **{
                "executor": "command",
                "executor_command": [sys.executable, "-S", str(AGENT)],
                "claude": {"env": ["HPM_TEST_LOGS"]},
                "hooks_dir": str(self.quick_hooks),
                "task_check_interval": 1,
                "retry_pause": 0.1,
                "heartbeat_interval": 0.5,
                **self.settings,
            }
        )

    @property
    def environment(self) -> dict[str, str]:
        return {
            **super().environment,
            "HPM_TEST_LOGS": str(self.logs),
            "TMPDIR": str(self.temporary),
            **({"PYTHONPATH": str(self.package)} if self.package else {}),
        }

    def command(self, *arguments: object, fault: Fault | None = None, within: float = LONGEST) -> Done:
        """Run one `hpm` command to its end, with ``fault`` armed."""
        argv = tuple(map(str, arguments))
        began = time.monotonic()
        extra = {"HPM_FAILPOINT_LOG": str(self.points)}
        if fault is not None:
            extra["HPM_FAILPOINT"] = fault.armed
        self.points.write_bytes(b"")
        out, err = self.directory / "stdout", self.directory / "stderr"
        with out.open("wb") as stdout, err.open("wb") as stderr, open(os.devnull, "rb") as nothing:
            process = forkserver.start(
                [*HPM, *argv],
                cwd=self.repo,
                env={**self.environment, **extra},
                streams=(nothing.fileno(), stdout.fileno(), stderr.fileno()),
                new_session=True,
                real=self.real,
            )
            try:
                self._await(process, fault, began + within)
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGKILL)
                process.wait()
        return Done(
            argv,
            process.wait(),
            out.read_text("utf-8", errors="surrogateescape"),
            err.read_text("utf-8", errors="surrogateescape"),
            time.monotonic() - began,
            self.reached(),
        )

    def begin(self, *arguments: object) -> None:
        """Start the command that ``await_begun`` waits for; no fault is armed in it."""
        self._begun = tuple(map(str, arguments)), time.monotonic(), self.start(*arguments)

    def await_begun(self) -> Done:
        assert self._begun is not None
        argv, began, running = self._begun
        code = running.wait(LONGEST)
        return Done(argv, code, running.output(), "", time.monotonic() - began)

    def _await(self, process: forkserver.Process, fault: Fault | None, deadline: float) -> None:
        """Wait for its end, or until it stands at a ``stall`` and has stood there for a moment."""
        stalling = fault is not None and fault.kind == "stall"
        while time.monotonic() < deadline:
            try:
                process.wait(0.05 if stalling else max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                if stalling and fault and self.reached().count(fault.point) >= fault.nth:
                    time.sleep(STALLED)
                    return
            else:
                return

    def reached(self) -> tuple[str, ...]:
        """The failpoints that the command in progress, or the last one, has reached, in order."""
        return tuple(self.points.read_text(encoding="ascii").split())

    def await_lingering(self) -> None:
        """Until the agent that shall outlive its runner is at work, if there is one; the next one will not linger."""
        deadline = time.monotonic() + LONGEST_START
        while self.flag.exists() and any("agent.py" in found for found in self.processes()):
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        self.flag.unlink(missing_ok=True)

    def log(self, name: str) -> list[str]:
        """The lines that agents left in one of their logs."""
        try:
            return (self.logs / name).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        except FileNotFoundError:
            return []

    def runs(self) -> list[tuple[int, str, str, int, int]]:
        """(pid, start time, cookie, task, number) of every agent run."""
        rows = [line.split() for line in self.log("starts")]
        return [(int(pid), start, cookie, int(task), int(n)) for pid, start, cookie, task, n in rows]

    def writes(self) -> list[tuple[int, int, str, str]]:
        """(task, run, path, content) of everything that agents wrote."""
        rows = [line.split(" ", 2) for line in self.log("writes")]
        return [(int(task), int(run), *json.loads(what)) for task, run, what in rows]

    def note_write(self, task: int, path: Path, text: str) -> None:
        """Somebody wrote this, and it must never be lost."""
        with (self.logs / "writes").open("a", encoding="utf-8") as log:
            log.write(f"{task} 1 {json.dumps([str(path), text])}\n")

    def forget_writes(self, task: int) -> None:
        """What was written for the task may go: somebody says so."""
        kept = [line for line in self.log("writes") if not line.startswith(f"{task} ")]
        (self.logs / "writes").write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def own(self) -> int:
        """The process that owns what a script locks: it lives until ``disown``."""
        self.owner = subprocess.Popen(["sleep", "300"], env={"PATH": os.environ["PATH"]})
        return self.owner.pid

    def disown(self) -> None:
        if self.owner is not None:
            self.owner.kill()
            self.owner.wait()
            self.owner = None

    def processes(self) -> Iterator[str]:
        """Every process that was started for this case and lives, in words."""
        return living_below(self.directory)

    def end(self) -> None:
        """End what is left of a case that failed."""
        self.disown()
        if self._begun is not None:
            with self._begun[2]:
                pass
        end_all_below(self.directory)


def living_below(directory: Path) -> Iterator[str]:
    """Every living process whose environment names something below the directory: ``PID: its words``."""
    mark = os.fsencode(str(directory))
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) != os.getpid():
            try:
                environ = Path(f"/proc/{name}/environ").read_bytes()
                if mark in environ and Path(f"/proc/{name}/stat").read_text().rpartition(")")[2][1] != "Z":
                    words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
                    yield f"{name}: {b' '.join(words).decode(errors='replace').strip()}"
            except OSError:
                continue


def end_all_below(directory: Path) -> None:
    """SIGKILL to all of them, and to what works there: a forked command has its fork server's environment."""
    pids = {int(found.partition(":")[0]) for found in living_below(directory)}
    for name in os.listdir("/proc"):
        with suppress(OSError):
            if name.isdecimal() and Path(os.readlink(f"/proc/{name}/cwd")).is_relative_to(directory):
                pids.add(int(name))
    for pid in pids - {os.getpid()}:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def make_template(directory: Path) -> Path:
    """The repository that every case gets a copy of."""
    files = {"README.md": "a shop\n", "src/shop.py": "PRICE = 1\n", ".gitignore": f"{IGNORED}*\n"}
    return make_repo(directory, files=files).root


def single(role: str, agent: str, *more: object) -> Sequence[object]:
    """The runner for one task."""
    return ("run", "--role", role, "--agent-id", agent, "--single-task", *more)
