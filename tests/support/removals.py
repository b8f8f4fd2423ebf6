"""A repository with a task's worktree that `hpm` adds and removes, each command a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.repos import Repo


class Bench:
    """A repository with a task's worktree, and `hpm` run in it."""

    def __init__(self, repo: Repo, home: Path) -> None:
        self.repo = repo
        self.home = home

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.repo.environment,
            "HEADLESS_PM_HOME": str(self.home / ".headless-pm"),
            "HEADLESS_PM_API_URL": "http://127.0.0.1:9",
            "HEADLESS_PM_API_KEY": "a-key-of-tests",
            "HEADLESS_PM_ROLE": "backend_dev",
        }

    def hpm(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hpm_tools.cli.hpm", *args],
            cwd=self.repo.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def stopped_at(self, point: str, *args: str) -> subprocess.Popen[str]:
        """Start `hpm` and wait until it has stopped itself at a failpoint; continue it with SIGCONT."""
        process = subprocess.Popen(
            [sys.executable, "-m", "hpm_tools.cli.hpm", *args],
            cwd=self.repo.root,
            env={
                **self.environment,
                "HPM_FAILPOINT": f"{point}:stop",
                "HPM_FAILPOINT_LOG": str(self.home / "failpoints"),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        state = Path(f"/proc/{process.pid}/stat")
        wait_until(lambda: state.read_text(encoding="utf-8").rpartition(") ")[2][:1] in "TZ")
        return process

    def add(self) -> Path:
        done = self.hpm("worktree.add", "--task-id", "12")
        assert done.returncode == 0, done.stderr
        return self.worktree

    @property
    def worktree(self) -> Path:
        return self.repo.root / ".worktrees" / "task-12"

    @property
    def admin(self) -> Path:
        """The worktree's own git directory."""
        return self.repo.root / ".git" / "worktrees" / "task-12"

    def remove(self) -> subprocess.CompletedProcess[str]:
        return self.hpm("worktree.remove", "--task-id", "12")
