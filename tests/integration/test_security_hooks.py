"""Hooks in whole runs: one that others could have written is not run, and without pre_task no agent starts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import hpm_tools
from hpm_tools.hook.safety import private_group
from tests.support.runners import Desk, script

needs_root = pytest.mark.needs("root")
PROJECT = Path(hpm_tools.__file__).resolve().parent.parent


def make_hook(directory: Path, name: str) -> Path:
    """A hook that says yes and leaves a trace."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    hook = directory / f"{name}.sh"
    hook.write_text(f"#!/bin/sh\ntouch '{directory.parent}/ran'\n", encoding="utf-8")
    hook.chmod(0o755)
    return hook


def unsafe(kind: str, name: str, desk: Desk, tmp_path: Path) -> Path:
    """The directory of a hook that must not run."""
    if kind in ("repository", "worktree"):
        if kind == "worktree":
            desk.git("worktree", "add", "-q", str(tmp_path / "elsewhere"))
        place = desk.repo if kind == "repository" else tmp_path / "elsewhere"
        return make_hook(place / "hooks", name).parent
    hook = make_hook(tmp_path / "hooks", name)
    match kind:
        case "writable":
            hook.chmod(0o777)
        case "writable directory":
            hook.parent.chmod(0o777)
        case "link":
            hook.rename(tmp_path / "outside.sh")
            hook.symlink_to(tmp_path / "outside.sh")
        case "foreign":
            os.chown(hook, 54321, 54321)
        case "fifo":
            hook.unlink()
            os.mkfifo(hook, 0o755)
    return hook.parent


KINDS = {
    "writable": "can be written by everyone",
    "writable directory": "can be written by everyone",
    "link": "is a link that leads out",
    "foreign": "belongs to user 54321",
    "fifo": "is not a regular file",
    "repository": "lies in the repository",
    "worktree": "lies in the repository",
}


@pytest.mark.fault("P5")
@pytest.mark.parametrize(
    "kind",
    [
        "writable",
        pytest.param("writable directory", marks=pytest.mark.extended),
        pytest.param("link", marks=pytest.mark.extended),
        pytest.param("foreign", marks=[pytest.mark.extended, needs_root]),
        pytest.param("fifo", marks=pytest.mark.extended),
        "repository",
        pytest.param("worktree", marks=pytest.mark.extended),
    ],
)
def test_an_unsafe_pre_task_stops_the_task_before_any_agent(kind: str, desk: Desk, tmp_path: Path) -> None:
    task = desk.board.add_task(description=script({"write": ["a.txt", "x"]}), complexity="major")
    hooks = unsafe(kind, "pre_task", desk, tmp_path)
    done = desk.run_single("backend_dev", "dev_001", "--hooks-dir", hooks)
    assert done.returncode == 1, done.stdout + done.stderr
    assert KINDS[kind] in done.stderr
    assert not (hooks.parent / "ran").exists()
    assert desk.agent_starts() == []
    found = desk.board.task(task["id"])
    assert (found["status"], found["locked_by"]) == ("created", None)


@pytest.mark.fault("hook-misbehaves")
def test_an_unsafe_post_task_is_told_and_blocks_nothing(desk: Desk, tmp_path: Path) -> None:
    task = desk.board.add_task(description=script({"write": ["a.txt", "x"]}), complexity="major")
    hooks = unsafe("writable", "post_task", desk, tmp_path)
    done = desk.run_single("backend_dev", "dev_001", "--hooks-dir", hooks)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "can be written by everyone" in done.stderr
    assert not (hooks.parent / "ran").exists()
    assert desk.board.task(task["id"])["status"] == "dev_done"


@pytest.mark.fault("hook-unsafe")
@pytest.mark.skipif(not private_group(os.getegid()), reason="this user shares its group")
def test_a_clone_made_under_umask_002_runs_its_own_hooks(desk: Desk, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    for part in ("hpm_tools", "hooks"):
        shutil.copytree(PROJECT / part, clone / part, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (clone, *clone.rglob("*")):
        path.chmod(path.stat().st_mode | 0o060)
    desk.change(hooks_dir=None)
    desk.board.add_task(description=script({"write": ["a.txt", "x"]}), complexity="major")
    words = ("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task")
    done = desk.hpm(*words, PYTHONPATH=str(clone), PYTHONDONTWRITEBYTECODE="1")
    assert done.returncode == 0, done.stdout + done.stderr
    listed = desk.hpm("hooks.list", PYTHONPATH=str(clone), PYTHONDONTWRITEBYTECODE="1")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert str(clone / "hooks" / "pre_task.py") in listed.stdout
