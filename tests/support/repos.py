"""Real git repositories for tests, made with an environment from nothing."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools.worktree.repository import Repository
from hpm_tools.worktree.task_key import TaskKey
from hpm_tools.worktree.worktrees import GitWorktree

if TYPE_CHECKING:
    from collections.abc import Mapping

BOARD = "localhost-6969"
FILES = {"README.md": "a shop\n", "src/shop.py": "PRICE = 1\n"}


def key(task_id: int = 12, created_at: str = "2026-01-02T03:04:05") -> TaskKey:
    """A task's key on the test board."""
    return TaskKey(BOARD, task_id, created_at)


class Repo:
    """A repository at ``root``, and git as a person or an agent in it would run it: with hooks and all."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "A. Person",
            "GIT_AUTHOR_EMAIL": "person@example.org",
            "GIT_COMMITTER_NAME": "A. Person",
            "GIT_COMMITTER_EMAIL": "person@example.org",
        }

    def git(
        self, *args: str, cwd: Path | None = None, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> str:
        """Run git in the root or ``cwd``; its output without the final newline. Raises if it fails."""
        done = subprocess.run(
            ["git", *args],
            cwd=cwd or self.root,
            env={**self.environment, **(env or {})},
            input=stdin.encode(),
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"git {' '.join(args)}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode(errors="surrogateescape").rstrip("\n")

    def fails(self, *args: str, cwd: Path | None = None) -> bool:
        """Whether git refuses to do it."""
        try:
            self.git(*args, cwd=cwd)
        except AssertionError:
            return True
        return False

    def write(self, files: Mapping[str, str | bytes], *, at: Path | None = None) -> None:
        """Write files below the root or ``at``, making their directories."""
        for name, content in files.items():
            path = (at or self.root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(
        self, files: Mapping[str, str | bytes], message: str = "work", *, at: Path | None = None
    ) -> str:
        """Write, add and commit ``files``; the commit's id."""
        self.write(files, at=at)
        for name in files:
            self.git("add", "-f", "--", name, cwd=at)
        self.git("commit", "-q", "-m", message, cwd=at)
        return self.git("rev-parse", "HEAD", cwd=at)

    def refs(self, pattern: str = "refs/") -> dict[str, str]:
        """Name → id of every ref below ``pattern``."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)", pattern).splitlines()
        return dict(line.split(" ") for line in lines)

    def show(self, spec: str) -> str:
        """A file's content in a commit, as ``<commit>:<path>``."""
        return self.git("show", spec)

    def repository(self) -> Repository:
        return Repository.discover(self.root)

    def worktrees(self, **options: object) -> GitWorktree:
        return GitWorktree(self.repository(), **options)  # type: ignore[arg-type]


def make_repo(root: Path, *, files: Mapping[str, str] | None = None, branch: str = "main") -> Repo:
    """A repository with one commit on ``branch``; no commit for ``files={}``.

    The usual one is made once per pytest process and copied from then on, which saves five starts of git: its
    commit is as old as that process, and the same in every copy.
    """
    if files is None and branch == "main":
        shutil.copytree(_template(), root, symlinks=True, dirs_exist_ok=True)
        return Repo(Path(os.path.realpath(root)))
    return _new_repo(root, FILES if files is None else files, branch)


@cache
def _template() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="hpm-repo-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return _new_repo(directory / "repo", FILES, "main").root


def _new_repo(root: Path, files: Mapping[str, str], branch: str) -> Repo:
    root.mkdir(parents=True, exist_ok=True)
    repo = Repo(Path(os.path.realpath(root)))
    repo.git("init", "-q", "-b", branch)
    if files:
        repo.commit(files, "the beginning")
    return repo
