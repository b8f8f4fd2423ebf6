"""One host of a world: a bench whose runners run side by side, and can be stopped at a failpoint."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.campaign.bench import Bench
from tests.support import forkserver
from tests.support.runners import HPM
from tests.worlds.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.campaign.soak import Board

AGENT = Path(__file__).with_name("agent.py")
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
    def reached(self) -> list[str]:
        """The failpoints that it came to, in order."""
        return self.points.read_text(encoding="ascii").split() if self.points.exists() else []

    def is_stopped(self) -> bool:
        """Whether it stands still (SIGSTOP)."""
        try:
            text = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="latin-1")
        except OSError:
            return False
        return text.rpartition(")")[2].split()[0] == "T"

    def kill(self) -> None:
        self.killed = True
        self.process.send_signal(signal.SIGKILL)

    def __str__(self) -> str:
        return f"$ hpm {' '.join(self.argv)}\n{self.output}[{self.agent}: exit code {self.code}]"


class Site(Bench):
    """``wrapper`` comes before every command line (then it is started for real), ``more`` are variables for all commands."""

    def __init__(self, directory: Path, board: Board, template: Path) -> None:
        self.wrapper: list[str] = []
        self.boards = board
        super().__init__(directory, board.under_test, template)
        self.flag.unlink(missing_ok=True)
        self.elsewhere = directory / "elsewhere"
        self.elsewhere.mkdir()
        (self.elsewhere / "letter.txt").write_text("somebody's\n", encoding="utf-8")
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

        self.ways_out: list[tuple[str, Callable[[], object]]] = []
        """(words that a command says, what a person does who reads them)."""

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
    ) -> Runner:
        """Start ``run`` in the background, for one task unless ``lasting``; at ``point`` (``NAME#N``) ``kind`` happens."""
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
                cwd=self.repo,
                env=env,
                streams=(nothing.fileno(), out.fileno(), out.fileno()),
                new_session=True,
                real=bool(self.wrapper),
            )
        runner = Runner(agent, role, number, process, log, points, words, point, lasting=lasting)
        self.launched.append(runner)
        return runner

    def person(self, who: str, *roots: Path) -> Ledger:
        """The ledger of what somebody beside the agents does, in the checkout unless told otherwise."""
        return Ledger(self.logs, who, [str(root) for root in roots or (self.repo,)])

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
            self.plain_git("branch", f"feature/task-{number}", base)
            commit = self.plain_git("rev-parse", base).stdout.strip()
            self.board.put(number, "pm1", "dev_done", f"branch: feature/task-{number}\ncommit: {commit}")
        self.tasks.append(number)
        return number

    def living_agents(self) -> Iterator[tuple[int, int, str]]:
        """(pid, task, place) of every agent of this host that lives."""
        from tests.worlds.agent import started

        for line in self.log("starts"):
            pid, start, _, task, _, place = line.split(" ", 5)
            if started(int(pid)) == start:
                yield int(pid), int(task), place

    def facts(self, *command: object) -> Any:
        """What a command says with --json; None if it says nothing that can be read."""
        done = self.command(*command, "--json")
        try:
            return json.loads(done.stdout)
        except ValueError:
            return None

    def end(self) -> None:
        for runner in self.launched:
            if runner.code is None:
                runner.process.send_signal(signal.SIGKILL)
            runner.process.wait()
        super().end()
        for undo in reversed(self.undo):
            undo()

    @property
    def git_directory(self) -> Path:
        """Where the repository's refs and objects are, which need not be the checkout's .git."""
        said = self.plain_git("rev-parse", "--path-format=absolute", "--git-common-dir")
        return Path(said.stdout.strip() or self.repo / ".git")

    def set_worktree(self, **settings: Any) -> None:
        """Settings of config.yaml below ``worktree``, beside those that are there."""
        self.settings["worktree"] = {**self.settings.get("worktree", {}), **settings}

    def take_ways_out(self) -> list[str]:
        """Do what a person does who reads what runners said last; the words that he heeded."""
        last = {runner.agent: runner for runner in self.launched}
        said = " ".join(" ".join(runner.output.split()) for runner in last.values())
        taken = [(words, does) for words, does in self.ways_out if words in said]
        for way_out in taken:
            self.ways_out.remove(way_out)
            way_out[1]()
        return [words for words, _ in taken]
