"""`demo`: what it says is what the board's database and git say, and nothing is left behind."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from hpm_tools.process.tree import process_table
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

GOAL_SECONDS = 20


def demo(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hpm_tools.cli.hpm", "demo", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_the_demo_tells_the_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "kept"
    done = demo(tmp_path, "--json", "--keep", str(kept))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    with closing(sqlite3.connect(kept / "board.sqlite")) as database:
        rows = database.execute("SELECT id, status, locked_by IS NULL FROM tasks ORDER BY id").fetchall()
    assert [(row["id"], row["status"], 1) for row in told["tasks"]] == rows
    assert [row["status"] for row in told["tasks"]] == ["qa_done", "dev_done", "dev_done"]
    for row in told["tasks"]:
        log = git(kept, "log", "--format=%H", row["branch"])
        assert row["commit"] in log.split()
    assert git(kept, "status", "--porcelain") == ""
    assert len(git(kept, "worktree", "list").splitlines()) == 1
    with capsys.disabled():
        print(f"\nthe demo took {told['seconds']} s (goal: {GOAL_SECONDS} s)")


@pytest.mark.extended
def test_the_demo_leaves_nothing_running_and_no_file(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "qa_done" in done.stdout
    assert os.listdir(tmp_path / "tmp") == []
    assert os.listdir(tmp_path / "home") == []
    wait_until(lambda: not processes_below(tmp_path), what="the end of every process of the demo")


def test_keep_refuses_a_directory_that_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    done = demo(tmp_path, "--keep", str(tmp_path / "mine"))
    assert done.returncode == 73
    assert "not empty" in done.stderr


def git(kept: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=kept / "repo", capture_output=True, text=True, check=True)
    return done.stdout.strip()


def processes_below(directory: Path) -> list[int]:
    """The processes whose working directory lies below ``directory``."""
    found = []
    for pid in process_table():
        try:
            if os.readlink(f"/proc/{pid}/cwd").startswith(f"{directory}/tmp"):
                found.append(pid)
        except OSError:
            continue
    return found
