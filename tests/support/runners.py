"""Real runner processes for tests: `hpm run` with an environment made from nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hpm_tools.process.tree import all_carriers, end_carriers
from tests.support import forkserver
from tests.support.noon import NOON
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support.board_process import BoardUnderTest

HPM = [sys.executable, "-m", "hpm_tools.cli.hpm"]
AGENT = Path(__file__).with_name("scripted_agent.py")


def script(*acts: Mapping[str, Any], **rest: Any) -> str:
    """A task description that scripted_agent.py obeys."""
    return json.dumps({"do": list(acts), **rest})


class Desk:
    """One operator's place: a home, a state directory, a board and a repository; runs commands there.

    ``real`` starts them as a shell does, for tests of what a fork of a process that has imported everything
    (forkserver.py) cannot show: start-up, parents, process trees.
    """

    real = False

    def __init__(self, directory: Path, board: BoardUnderTest, repo: Path) -> None:
        self.directory = directory
        self.board = board
        self.repo = repo
        self.state = directory / "state"
        self.starts = directory / "starts"
        self.more: dict[str, str] = {}
        """Variables for every command, before those of a single one."""
        self.home = directory / "desk-home"
        self.quick_hooks = directory / "quick-hooks"
        """Hooks that let everything pass, for the shipped ones' names: three starts of Python less in each run.
        ``change(hooks_dir=None)`` brings those back."""
        for path in (self.state, self.home, self.quick_hooks):
            path.mkdir(mode=0o700, parents=True)
        for name in ("pre_task", "post_task", "health_check"):
            (self.quick_hooks / f"{name}.sh").write_text("exit 0\n", encoding="utf-8")
        (self.home / ".gitconfig").write_text(
            "[user]\n\tname = Test\n\temail = test@example.invalid\n", encoding="utf-8"
        )
        self.configure(
            executor="command",
            executor_command=[sys.executable, "-I", "-S", str(AGENT)],
            claude={"env": ["HPM_TEST_STARTS"]},
            hooks_dir=str(self.quick_hooks),
            task_check_interval=1,
        )

    def configure(self, **settings: Any) -> None:
        """Write the operator's config.yaml (JSON is YAML)."""
        path = self.state / "config.yaml"
        path.write_text(json.dumps(settings), encoding="utf-8")
        path.chmod(0o600)

    def change(self, **settings: Any) -> None:
        """Change single settings of the operator's config.yaml."""
        written = json.loads((self.state / "config.yaml").read_text(encoding="utf-8"))
        self.configure(**{**written, **settings})

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": os.environ["TMPDIR"],
            "LANG": "C.UTF-8",
            "TZ": NOON,
            "HEADLESS_PM_HOME": str(self.state),
            "HEADLESS_PM_API_URL": self.board.url,
            "HEADLESS_PM_API_KEY": self.board.key,
            "HPM_TEST_STARTS": str(self.starts),
            "GIT_CONFIG_NOSYSTEM": "1",
            "PYTHONUNBUFFERED": "1",
            **self.more,
        }

    def hpm(
        self, *arguments: object, stdin: str = "", within: float = 600, **extra: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one `hpm` command in the repository to its end."""
        return self.hpm_as(HPM, *arguments, stdin=stdin, within=within, **extra)

    def hpm_as(
        self, program: Sequence[str], *arguments: object, stdin: str = "", within: float = 600, **extra: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one command by ``program``, another way to start `hpm`."""
        return forkserver.run(
            [*program, *map(str, arguments)],
            cwd=self.repo,
            env={**self.environment, **extra},
            text=stdin,
            timeout=within,
            real=self.real,
        )

    def start(self, *arguments: object, **extra: str) -> Running:
        """Start one `hpm` command in the background; end it with `Running.end` or a with block."""
        path = self.directory / f"run-{len(list(self.directory.glob('run-*')))}.log"
        with path.open("wb") as log, open(os.devnull, "rb") as nothing:
            process = forkserver.start(
                [*HPM, *map(str, arguments)],
                cwd=self.repo,
                env={**self.environment, **extra},
                streams=(nothing.fileno(), log.fileno(), log.fileno()),
                new_session=True,
                real=self.real,
            )
        return Running(process, path)

    def run_single(self, role: str = "backend_dev", agent: str = "dev_001", *more: object) -> Any:
        return self.hpm("run", "--role", role, "--agent-id", agent, "--single-task", *more)

    def end_agents(self) -> None:
        """End what a test that failed has left of its agents."""
        logs = list((self.state / "runs").glob("*.jsonl"))
        living = all_carriers() if logs else {}
        for run in living.keys() & {log.stem for log in logs}:
            end_carriers(run, 0.0)

    def record(self, agent: str = "dev_001") -> dict[str, Any] | None:
        path = self.state / "locks" / f"agent-{agent}.lock"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def agent_starts(self) -> list[tuple[int, str, int, str]]:
        """(pid, cookie, task, status) of every agent process that was started here."""
        if not self.starts.exists():
            return []
        rows = [line.split() for line in self.starts.read_text(encoding="utf-8").splitlines()]
        return [(int(pid), cookie, int(task), status) for pid, cookie, task, status in rows]

    def git(self, *arguments: str) -> str:
        """Run git here, without the lock that it takes just to refresh the index: an agent may need it at that moment."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.repo,
            capture_output=True,
            text=True,
            check=True,
            env={**self.environment, "GIT_OPTIONAL_LOCKS": "0"},
        )
        return done.stdout.strip()


class Running:
    """A background command; killed at the end of its with block if it still runs."""

    def __init__(self, process: forkserver.Process, log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, within: float = PATIENCE) -> int:
        return wait_until(
            lambda: self.process.poll() is not None, within, f"the end of:\n{self.output()}"
        ) and int(self.process.wait())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
