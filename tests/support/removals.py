"""A repository with a task's worktree that `hpm` adds and removes, each command a process of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


class Bench:
    """A repository with a task's worktree, and `hpm` run in it."""

    def __init__(self, repo: Repo, home: Path) -> None:
        self.repo = repo
        self.home = home

    def hpm(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hpm_tools.cli.hpm", *args],
            cwd=self.repo.root,
            env={
                **self.repo.environment,
                "HEADLESS_PM_HOME": str(self.home / ".headless-pm"),
                "HEADLESS_PM_API_URL": "http://127.0.0.1:9",
                "HEADLESS_PM_API_KEY": "a-key-of-tests",
                "HEADLESS_PM_ROLE": "backend_dev",
            },
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

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
