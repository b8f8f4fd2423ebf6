"""One host of a world: a bench whose runners run side by side, and can be stopped at a failpoint."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.campaign.bench import LONGEST, Bench, Done
from tests.support import disks, forkserver
from tests.support.runners import HPM
from tests.worlds.declared import Unavailable
from tests.worlds.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.campaign.bench import Fault
    from tests.campaign.soak import Board
    from tests.worlds.fault_board import Network

MOST_FILES = 500
"""Uncommitted files above which a task's place stays: few enough that an agent can leave more in a moment."""

AGENT = Path(__file__).with_name("agent.py")
LONGEST_LAST_WORD = 2.0
"""Seconds in which a git of one that was stopped must have ended; what it does later counts as the agent's."""

ROLES = {"major": "backend_dev", "minor": "backend_dev", "review": "qa"}


@dataclass
class Runner:
    """A runner of a world, in its n-th life: ``point`` is the failpoint at which it stops, "" for none."""

    agent: str
    role: str
    number: int
    process: forkserver.Process
    log: Path
    points: Path
    argv: tuple[str, ...]
    point: str = ""
    killed: bool = False
    """Somebody ended it with SIGKILL, as a part of the world."""

    lasting: bool = False
    told_to_end: bool = False
    """Somebody sent it SIGTERM."""

    stopped_at: list[str] = field(default_factory=list)

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="surrogateescape")

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self.process.poll()

    @property
    def pid(self) -> int:
        """The process that is `hpm` itself, where a wrapper that waits for it was started."""
        return hpm_below(self.process.pid)

    @property
    def reached(self) -> list[str]:
        """The failpoints that it came to, in order."""
        return self.points.read_text(encoding="ascii").split() if self.points.exists() else []

    def is_stopped(self) -> bool:
        """Whether it stands still (SIGSTOP)."""
        return state_of(self.pid) == "T"

    def signal(self, number: int) -> None:
        """Send it a signal; nothing if it has ended."""
        if self.code is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it with SIGKILL, and wait until it is gone."""
        self.killed = True
        self.signal(signal.SIGKILL)
        self.process.wait()

    def __str__(self) -> str:
        return f"$ hpm {' '.join(self.argv)}\n{self.output}[{self.agent}: exit code {self.code}]"


def hpm_below(pid: int) -> int:
    """The first process from ``pid`` downwards that runs `hpm`, ``pid`` itself if there is none."""
    waiting = [pid]
    while waiting:
        found = waiting.pop(0)
        words = _read(f"/proc/{found}/cmdline").split("\0")
        if HPM[-1] in words[:4]:
            return found
        waiting += map(int, _read(f"/proc/{found}/task/{found}/children").split())
    return pid


def state_of(pid: int) -> str:
    """``T`` for a stopped process, ``R``, ``S``… as proc_pid_stat(5) has it; "" if there is none."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].strip()[:1]


def copy_all(source: Path, target: Path) -> None:
    """Copy what is in a directory, of every kind of file, with owners, modes and times."""
    target.mkdir(mode=0o700, exist_ok=True)
    subprocess.run(["cp", "-a", f"{source}/.", str(target)], check=True, capture_output=True)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


class Site(Bench):
    """``wrapper`` comes before every command line (then it is started for real), ``more`` are variables for all commands."""

    def __init__(self, directory: Path, board: Board, template: Path) -> None:
        self.wrapper: list[str] = []
        self.boards = board
        super().__init__(directory, board.under_test, template)
        self.flag.unlink(missing_ok=True)
        self.set_worktree(max_files=MOST_FILES)
        self.elsewhere = directory / "elsewhere"
        self.elsewhere.mkdir()
        (self.elsewhere / "letter.txt").write_text("somebody's\n", encoding="utf-8")
        self.more["HEADLESS_PM_WORKTREE_MAX_FILES"] = str(MOST_FILES)
        self.launched: list[Runner] = []
        self.tasks: list[int] = []
        self.undo: list[Any] = []
        """Functions that make the host as it was, for what outlives a directory: mounts."""

        self.fields: dict[str, Any] = {}
        """Fields of every task of this world."""

        self.smudges: list[Callable[[bytes], bytes]] = []
        """What git makes of a stored file when it checks it out here, where that is another one."""

        self.stores: list[Path] = []
        """Directories beside the repository in which its filters keep content."""

        self.own_places: list[Path] = []
        """Where git and hpm keep what is theirs in this repository, beside .git and .worktrees."""

        self.made_later: dict[str, dict[str, str]] = {}
        """Git directory → references, of a repository that a person has made to be used instead of the first one."""

        self.backed_up = self.repo / ".git"
        """The git directory of which a person has a copy; not what .git is once somebody has made it another one."""

        self.ways_out: list[tuple[str, Callable[[], object]]] = []
        """(words that a command says, what a person does who reads them)."""
        self.agents: dict[str, str] = {}
        """Agent id → role, of the runners of this world."""

        self.network: Network | None = None
        """What stands between this host and the board, in worlds where that is disturbed."""

        self.disks: list[Path] = []
        """Directories that are disks of their own, small enough to be filled."""

        self.passing: list[Callable[[], object]] = []
        """Functions that end what goes by by itself: an outage, a full disk, a program that is away."""

        self.commands: list[Done] = []
        """What a person's commands said."""

        self.repairs: dict[str, Callable[[], object]] = {}
        """What a person does about this host once runners refuse to work there, by what was wrong."""

    def configure(self, **settings: Any) -> None:
        super().configure(
            **{
                "executor_command": [sys.executable, "-S", str(AGENT)],
                "retry_pause": 0.1,
                **self.settings,
                **settings,
            }
        )

    def launch(
        self,
        agent: str,
        role: str,
        *more: object,
        point: str = "",
        kind: str = "stop",
        lasting: bool = False,
        extra: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        known_as: str = "",
    ) -> Runner:
        """Start ``run`` in the background, for one task unless ``lasting``; at ``point`` (``NAME#N``) ``kind`` happens.

        ``known_as``: what it is called in the world, if it is none of its own runners.
        """
        number = len(self.launched)
        once = () if lasting else ("--single-task",)
        words = ("run", "--role", role, "--agent-id", agent, *once, *map(str, more))
        log, points = self.directory / f"runner-{number}.log", self.directory / f"points-{number}"
        env = {**self.environment, "HPM_FAILPOINT_LOG": str(points), **(extra or {})}
        if point:
            env["HPM_FAILPOINT"] = f"{point}:{kind}"
        with log.open("wb") as out, open(os.devnull, "rb") as nothing:
            process = forkserver.start(
                [*self.wrapper, *HPM, *words],
                cwd=cwd or self.repo,
                env=env,
                streams=(nothing.fileno(), out.fileno(), out.fileno()),
                new_session=True,
                real=bool(self.wrapper),
            )
        runner = Runner(known_as or agent, role, number, process, log, points, words, point, lasting=lasting)
        self.launched.append(runner)
        return runner

    def command(self, *arguments: object, fault: Fault | None = None, within: float = LONGEST) -> Done:
        """Run one `hpm` command to its end, on the same host as the runners; no fault is armed in it."""
        assert fault is None
        argv, began = tuple(map(str, arguments)), time.monotonic()
        out, err = self.directory / "stdout", self.directory / "stderr"
        with out.open("wb") as stdout, err.open("wb") as stderr, open(os.devnull, "rb") as nothing:
            process = forkserver.start(
                [*self.wrapper, *HPM, *argv],
                cwd=self.repo,
                env=self.environment,
                streams=(nothing.fileno(), stdout.fileno(), stderr.fileno()),
                new_session=True,
                real=bool(self.wrapper),
            )
            try:
                code = process.wait(within)
            finally:
                process.kill()
                process.wait()
        said = [path.read_text("utf-8", errors="surrogateescape") for path in (out, err)]
        self.commands.append(Done(argv, code, said[0], said[1], time.monotonic() - began))
        return self.commands[-1]

    def person(self, who: str, *roots: Path) -> Ledger:
        """The ledger of what somebody beside the agents does, anywhere on the host unless told otherwise."""
        from tests.worlds.findable import places

        others = (place for place in places(self) if place not in (self.repo, self.state))
        if not roots or self.directory in roots:
            roots = (self.repo, *others)
        return Ledger(self.logs, who, [str(root) for root in roots])

    @contextmanager
    def by_hand(self, who: str, *roots: Path) -> Iterator[None]:
        """Keep a ledger of what somebody does by hand, while no runner and no agent does anything."""
        standing = self.stand_still()
        try:
            ledger = self.person(who, *roots)
            ledger.begin("by hand")
            try:
                yield
            finally:
                ledger.end("by hand")
        finally:
            self.go_on(standing)

    def stand_still(self) -> list[int]:
        """Stop all runners and agents, at a moment when they run no other program; which."""
        pids = [runner.pid for runner in self.launched if runner.code is None and not runner.is_stopped()]
        pids += [pid for pid, _, _ in self.living_agents()]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        deadline = time.monotonic() + LONGEST_LAST_WORD
        while time.monotonic() < deadline and any(
            state_of(int(child)) != "Z" and _read(f"/proc/{child}/comm").startswith("git")
            for pid in pids
            for child in _read(f"/proc/{pid}/task/{pid}/children").split()
        ):
            time.sleep(0.01)
        return pids

    def go_on(self, pids: list[int]) -> None:
        """Let what stands still go on, agents first: their runners must not take them for hung."""
        for pid in reversed(pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def plain_git(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """git as the person uses it; it may fail."""
        return subprocess.run(
            ["git", *words],
            cwd=cwd or self.repo,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
            env=self.environment,
        )

    def add_task(self, description: str, kind: str, **fields: Any) -> int:
        """A task of the board for an agent's program; ``review`` is one that a maker has reported."""
        complexity = "minor" if kind == "minor" else "major"
        fields = {
            "title": "Add \x1b[2Ja gree\u202eting\x07",
            "complexity": complexity,
            **fields,
            **self.fields,
        }
        made = self.board.add_task("created", description=description, **fields)
        number = int(made["id"])
        if kind == "review":
            base = self.plain_git("rev-parse", "--verify", "-q", "main").stdout.strip() or "HEAD"
            # Whatever hooks the repository has: the maker has reported its branch.
            self.plain_git("-c", "core.hooksPath=/dev/null", "branch", f"feature/task-{number}", base)
            commit = self.plain_git("rev-parse", base).stdout.strip()
            self.board.put(number, "pm1", "dev_done", f"branch: feature/task-{number}\ncommit: {commit}")
        self.tasks.append(number)
        return number

    def living_agents(self) -> Iterator[tuple[int, int, str]]:
        """(pid, task, place) of every agent of this host that lives."""
        from tests.worlds.agent import started

        for line in self.log("starts"):
            pid, start, _, task, _, place = line.split(" ", 5)
            if (here := self.pid_here(int(pid))) and started(here) == start:
                yield here, int(task), place

    def pid_here(self, pid: int) -> int | None:
        """The number that a process of this host has outside its pid namespace; None if it is gone."""
        if "--pid" not in self.wrapper:
            return pid
        for found in self.processes():
            number = found.partition(":")[0]
            inside = re.search(r"^NSpid:.*\b(\d+)$", _read(f"/proc/{number}/status"), re.MULTILINE)
            if inside and int(inside[1]) == pid and AGENT.name in found:
                return int(number)
        return None

    def calm(self) -> None:
        """What goes by by itself is over."""
        while self.passing:
            self.passing.pop()()

    def mount(self, place: Path, size: int = 64 << 20) -> None:
        """Put a small tmpfs in the place of a directory, with what it holds; Unavailable where nobody may mount."""
        held = self.directory / f"before-mount-{len(self.undo)}"
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy_all(place, held)
        mode = stat.S_IMODE(place.stat().st_mode)
        done = disks.mount("-t", "tmpfs", "-o", f"size={size},mode={mode:o}", "tmpfs", str(place))
        if done.returncode == 0:
            self.undo.append(lambda: disks.unmount(place))
            copy_all(held, place)
        shutil.rmtree(held)
        if done.returncode != 0:
            raise Unavailable(done.stderr.strip())

    def facts(self, *command: object) -> Any:
        """What a command says with --json; None if it says nothing that can be read."""
        done = self.command(*command, "--json")
        try:
            return json.loads(done.stdout)
        except ValueError:
            return None

    def end(self) -> None:
        with ExitStack() as last:  # in the reverse order, each whatever becomes of the others
            for undo in self.undo:
                last.callback(undo)
            last.callback(self.end_spawned)
            last.callback(super().end)
            last.callback(self.end_launched)
            self.calm()

    def end_launched(self) -> None:
        for runner in self.launched:
            runner.process.kill()
            runner.process.wait()

    @property
    def git_directory(self) -> Path:
        """Where the repository's refs and objects are, which need not be the checkout's .git."""
        said = self.plain_git("rev-parse", "--path-format=absolute", "--git-common-dir")
        return Path(said.stdout.strip() or self.repo / ".git")

    def set_worktree(self, **settings: Any) -> None:
        """Settings of config.yaml below ``worktree``, beside those that are there."""
        self.settings["worktree"] = {**self.settings.get("worktree", {}), **settings}

    def take_ways_out(self) -> list[str]:
        """Do what a person does who reads what runners said; the words that he heeded."""
        said = " ".join(" ".join(runner.output.split()) for runner in self.launched)
        taken = [(words, does) for words, does in self.ways_out if words in said]
        for words, does in taken:
            ledger = self.person("person", self.repo, self.home, self.elsewhere)
            ledger.begin(words)
            does()
            ledger.end(words)
        self.ways_out = [way_out for way_out in self.ways_out if way_out not in taken]
        return [words for words, _ in taken]

    def spawned(self) -> Iterator[tuple[int, int]]:
        """(pid, the runner that had to end it) of every living process whose environment does not show its site."""
        from tests.worlds.agent import started

        for line in self.log("spawned"):
            pid, start, runner = line.split()
            if started(int(pid)) == start:
                yield int(pid), int(runner)

    def end_spawned(self) -> None:
        for pid, _ in list(self.spawned()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
