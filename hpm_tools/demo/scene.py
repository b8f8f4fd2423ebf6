"""Sets the scene (board, repository, tasks), lets two runners play it and reads off what came of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hpm_tools import signals
from hpm_tools.board.client import Board
from hpm_tools.board.embedded import EmbeddedBoard
from hpm_tools.errors import HpmError, TimedOut
from hpm_tools.process.env import base_environment
from hpm_tools.runner import report_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hpm_tools.board.models import Task

PM = "demo_pm"
MAKER = "demo_dev"
CHECKER = "demo_qa"
PATIENCE = {"scripted": 120.0, "claude": 1800.0}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One task of the demo and the status it should end with."""

    title: str
    description: str
    difficulty: str
    complexity: str
    ends_as: str


TASKS = (
    Wanted(
        "Add a greeting",
        "Write greeting.py: a function greeting(who) for the README.",
        "senior",
        "major",
        "qa_done",
    ),
    Wanted("Add a farewell", "Write farewell.py: a function farewell(who).", "junior", "minor", "dev_done"),
    Wanted("Add a toast", "Write toast.py: a function toast(who).", "senior", "major", "dev_done"),
)
"""The oldest comes first in both queues: qa, which takes one task only, checks the greeting."""


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one task; ``seconds`` from its creation to its last status."""

    id: int
    title: str
    status: str
    branch: str
    commit: str
    seconds: float
    as_wanted: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def play(
    directory: Path, agent: str, say: Callable[[str], None], *, check_stop: Callable[[], None]
) -> list[Row]:
    """Play the demo below ``directory``; the rows in the order of TASKS. Nothing is left running."""
    make_repository(directory / "repo")
    with EmbeddedBoard(db=directory / "board.sqlite") as embedded:
        say(f"a board on {embedded.url}, a repository in {directory / 'repo'}")
        with Board(embedded.url, embedded.key) as board:
            made = add_tasks(board)
            say(f"{len(made)} tasks: " + ", ".join(f"{task.id} {task.title!r}" for task in made))
            environment = runner_environment(directory, agent, embedded.url, embedded.key)
            deadline = time.monotonic() + PATIENCE[agent]
            with Runners(directory / "repo", environment, agent, say) as runners:
                runners.start("backend_dev", MAKER, len(TASKS))
                runners.start("qa", CHECKER, 1)
                runners.wait(deadline, check_stop)
            return [row_of(board, task, wanted) for task, wanted in zip(made, TASKS, strict=True)]


def make_repository(path: Path) -> None:
    """A repository with one commit on main and nothing of the person's git configuration in it."""
    path.mkdir(parents=True)
    (path / "README.md").write_text("# A repository for the hpm-tools demo\n", encoding="utf-8")
    identity = ("-c", "user.name=Demo", "-c", "user.email=demo@localhost", "-c", "commit.gpgsign=false")
    for arguments in (
        ("init", "--quiet", "--initial-branch=main", "."),
        ("config", "user.name", "Demo"),
        ("config", "user.email", "demo@localhost"),
        ("add", "README.md"),
        (*identity, "commit", "--quiet", "--no-verify", "-m", "Begin"),
    ):
        subprocess.run(
            ["git", *arguments],
            cwd=path,
            check=True,
            stdin=subprocess.DEVNULL,
            env=base_environment(os.environ, ()),
        )


def add_tasks(board: Board) -> list[Task]:
    board.register(PM, "pm", "principal")
    epic = board.create_epic(PM, "Demo", "What the demo shows")
    feature = board.create_feature(PM, epic.id, "Words", "Things to say")
    made = []
    for wanted in TASKS:
        task = board.create_task(
            PM,
            feature_id=feature.id,
            title=wanted.title,
            description=wanted.description,
            target_role="backend_dev",
            difficulty=wanted.difficulty,
            complexity=wanted.complexity,
            branch="main",
        )
        made.append(board.set_status(task.id, PM, "created"))
    return made


def runner_environment(directory: Path, agent: str, url: str, key: str) -> dict[str, str]:
    """Everything below ``directory``, but for the person's own Claude login where it is asked for.

    That is in their home, where ~/.invoke.yaml may set something, too.
    """
    environment = dict(base_environment(os.environ, ()))
    environment |= {
        "HEADLESS_PM_HOME": str(directory / "state"),
        "HEADLESS_PM_API_URL": url,
        "HEADLESS_PM_API_KEY": key,
        "HEADLESS_PM_ON_PROBLEM": "release",
        "HEADLESS_PM_WORKTREE_BASE": str(directory / "repo" / ".worktrees"),
        "PYTHONUNBUFFERED": "1",
    }
    if agent == "claude":
        keep = {
            name: value for name, value in os.environ.items() if name.startswith(("ANTHROPIC_", "CLAUDE_"))
        }
        return environment | keep | {"HEADLESS_PM_EXECUTOR": "claude"}
    home = directory / "home"
    home.mkdir()
    script = str(Path(__file__).with_name("agent.py"))
    (directory / "state").mkdir(mode=0o700)
    config = directory / "state" / "config.yaml"
    config.write_text(
        f"executor: command\nexecutor_command: [{sys.executable!r}, {script!r}]\n"
        "executor_exit_code_is_outcome: false\n",
        encoding="utf-8",
    )
    config.chmod(0o600)
    return environment | {"HOME": str(home)}


class Runners:
    """Runner processes whose event lines are told as they come; whoever is left at the end is ended."""

    def __init__(
        self, repo: Path, environment: dict[str, str], agent: str, say: Callable[[str], None]
    ) -> None:
        self._repo = repo
        self._environment = environment
        self._agent = agent
        self._say = say
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._threads: list[threading.Thread] = []

    def start(self, role: str, agent_id: str, tasks: int) -> None:
        argv = [sys.executable, "-m", "hpm_tools.cli.hpm", "run", "--role", role, "--agent-id", agent_id]
        argv += ["--repo", str(self._repo), "--max-tasks", str(tasks), "--json"]
        process = subprocess.Popen(
            argv,
            cwd=self._repo.parent,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._processes[agent_id] = process
        thread = threading.Thread(target=self._tell, args=(agent_id, process), daemon=True)
        thread.start()
        self._threads.append(thread)

    def _tell(self, agent_id: str, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            said = told(line.rstrip())
            if said:
                self._say(f"{agent_id}: {said}")

    def wait(self, deadline: float, check_stop: Callable[[], None]) -> None:
        """Wait for every runner. TimedOut at the deadline, HpmError when one failed."""
        for agent_id, process in self._processes.items():
            while process.poll() is None:
                check_stop()
                if time.monotonic() > deadline:
                    raise TimedOut(
                        "the demo did not come to its end in time", "the lines above say where it stands"
                    )
                time.sleep(0.05)
            if process.returncode != 0:
                raise HpmError(f"the runner {agent_id} ended with exit code {process.returncode}")
        for thread in self._threads:
            thread.join(10)

    def _kill(self) -> None:
        for process in self._left():
            process.kill()

    def __enter__(self) -> Self:
        signals.at_once.append(self._kill)
        return self

    def __exit__(self, *_exc: object) -> None:
        for process in self._left():
            process.send_signal(signal.SIGTERM)
        for process in self._left():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        for process in self._processes.values():
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        signals.at_once.remove(self._kill)

    def _left(self) -> Iterator[subprocess.Popen[str]]:
        return (process for process in self._processes.values() if process.poll() is None)


def told(line: str) -> str:
    """What a runner's line of output says to a person: an event's sentence, or the line as it is."""
    try:
        event = json.loads(line)
    except ValueError:
        return line
    return str(event.get("text", "")) if isinstance(event, dict) else line


def row_of(board: Board, task: Task, wanted: Wanted) -> Row:
    found = board.find_task(task.id) or task
    reported = report_lines.read(found.notes)
    return Row(
        id=task.id,
        title=wanted.title,
        status=found.status,
        branch=reported.branch or "",
        commit=reported.commit or "",
        seconds=round(seconds_between(task.created_at, found.updated_at), 1),
        as_wanted=found.status == wanted.ends_as,
    )


def seconds_between(first: str, last: str) -> float:
    from datetime import datetime

    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
