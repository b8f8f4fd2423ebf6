"""Directories, FIFOs, sockets, loops of links and huge files where git keeps a small file."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task")
HANGS = 120.0
COMMENTS = "# nothing\n" * 200_000


def put(path: Path, kind: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.rename(path.with_name(f"{path.name}.saved"))
    match kind:
        case "directory":
            path.mkdir()
        case "FIFO":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path.name)
        case "socket":
            with socket.socket(socket.AF_UNIX) as made:
                here = os.getcwd()
                os.chdir(path.parent)  # the name of a socket may have 107 bytes
                try:
                    made.bind(path.name)
                finally:
                    os.chdir(here)


def take_away(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    saved = path.with_name(f"{path.name}.saved")
    if saved.exists():
        saved.rename(path)


@pytest.mark.fault("D4")
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("config", "directory"),
        ("config", "FIFO"),
        ("info/attributes", "FIFO"),
        ("packed-refs", "socket"),
        ("info/exclude", "loop"),
        ("objects/info/alternates", "directory"),
    ],
)
def test_what_is_no_file_at_the_start_is_named_with_78_and_nothing_is_taken(
    desk: Desk, repo: Repo, name: str, kind: str
) -> None:
    path = repo.root / ".git" / name
    put(path, kind)
    work = script({"write": ["a.txt", "a"]})
    task = desk.board.add_task(complexity="major", description=work)
    try:
        refused = desk.hpm(*RUN, within=HANGS)
        code, said = refused.returncode, refused.stderr
    except subprocess.TimeoutExpired:
        code, said = None, "it hangs"
    status, record = desk.board.task(task["id"])["status"], desk.record()
    take_away(path)
    done = desk.run_single()
    after = desk.board.task(task["id"])["status"]
    named = str(path) in said
    assert (code, named, status, record, after) == (78, True, "created", None, "dev_done"), said + done.stderr


@pytest.mark.fault("D4")
@pytest.mark.parametrize(
    ("steps", "path"),
    [
        ('mv "$c/config" "$c/config.saved"; mkdir "$c/config"', "config"),
        ('mv "$c/info/exclude" "$c/info/exclude.saved"; ln -s exclude "$c/info/exclude"', "info/exclude"),
        ('mv "$d/index" "$d/index.saved"; mkdir "$d/index"', ""),
    ],
    ids=["config", "exclude", "own-index"],
)
def test_what_is_no_file_after_a_run_parks_that_task_and_pauses_the_next(
    desk: Desk, repo: Repo, tmp_path: Path, steps: str, path: str
) -> None:
    """``path``: what concerns the whole repository; where it is empty the next task is worked at once."""
    plant = tmp_path / "plant"
    directories = (
        "d=$(git rev-parse --absolute-git-dir)\nc=$(git rev-parse --path-format=absolute --git-common-dir)\n"
    )
    plant.write_text(directories + steps, encoding="utf-8")
    work = script({"write": ["work.txt", "work"]}, {"run": ["sh", "-e", str(plant)]})
    task = desk.board.add_task(complexity="major", description=work)
    first = desk.run_single()
    parked = desk.board.task(task["id"])
    left = desk.repo / ".worktrees" / f"task-{task['id']}" / "work.txt"
    next_task = desk.board.add_task(complexity="major", description=script({"write": ["a.txt", "a"]}))
    second = desk.run_single()
    if path:
        take_away(repo.root / ".git" / path)
        third = desk.run_single()
        codes = (second.returncode, third.returncode)
    else:
        codes = (78, second.returncode)
    status = desk.board.task(next_task["id"])["status"]
    assert (parked["locked_by"], parked["status"], left.exists(), codes, status) == (
        None,
        "pending",
        True,
        (78, 0),
        "dev_done",
    ), first.stderr + second.stderr


@pytest.mark.fault("D4")
@pytest.mark.parametrize("name", ["commondir", "HEAD"])
def test_a_directory_in_the_place_of_a_worktrees_own_file_is_moved_aside(
    desk: Desk, repo: Repo, tmp_path: Path, name: str
) -> None:
    plant = tmp_path / "plant"
    plant.write_text(
        f"d=$(git rev-parse --absolute-git-dir)\nrm $d/{name}\nmkdir $d/{name}\n", encoding="utf-8"
    )
    work = script({"write": ["work.txt", "work"]}, {"run": ["sh", "-e", str(plant)]})
    tasks = [desk.board.add_task(complexity="major", description=work) for _ in range(2)]
    done = desk.hpm("run", "--role", "backend_dev", "--agent-id", "dev_001", "--max-tasks", 2)
    statuses = [desk.board.task(task["id"])["status"] for task in tasks]
    assert (done.returncode, statuses) == (0, ["dev_done", "dev_done"]), done.stderr


@pytest.mark.fault("D4")
@pytest.mark.parametrize("name", [".gitignore", "docs/.gitattributes"])
@pytest.mark.parametrize("complexity", ["major", "minor"])
def test_fifo_that_git_would_read_in_the_checkout_is_removed(desk: Desk, name: str, complexity: str) -> None:
    write = {"write": ["docs/work.txt", "work"]}
    task = desk.board.add_task(complexity=complexity, description=script(write, {"run": ["mkfifo", name]}))
    try:
        said = desk.hpm(*RUN, within=HANGS).stderr
    except subprocess.TimeoutExpired:
        desk.end_agents()
        said = "it hangs"
    found = desk.board.task(task["id"])
    assert (found["status"], f"{name} was no file and was removed" in found["notes"]) == ("dev_done", True), (
        said
    )


@pytest.mark.fault("D4")
def test_a_change_at_the_end_of_a_large_hook_is_told(desk: Desk, repo: Repo, tmp_path: Path) -> None:
    hook = repo.root / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_bytes(b"#!/bin/sh\nexit 0\n" + b"#" * (3 << 20) + b"\n")
    change = tmp_path / "change"
    change.write_text(f"echo more >> '{hook}'\n", encoding="utf-8")
    work = script({"write": ["a.txt", "a"]}, {"run": ["sh", str(change)]})
    task = desk.board.add_task(complexity="major", description=work)
    desk.run_single()
    assert "hooks/pre-push was changed; it was not run" in desk.board.task(task["id"])["notes"]


def test_large_files_of_gits_are_no_hindrance(desk: Desk, repo: Repo) -> None:
    with (repo.root / ".git" / "config").open("a", encoding="utf-8") as file:
        file.write(COMMENTS)
    head = repo.git("rev-parse", "HEAD")
    lines = "".join(f"{head} refs/tags/t{number}\n" for number in range(20_000))
    (repo.root / ".git" / "packed-refs").write_text(f"# pack-refs with: peeled fully-peeled \n{lines}")
    task = desk.board.add_task(complexity="major", description=script({"write": ["a.txt", "a"]}))
    done = desk.run_single()
    assert desk.board.task(task["id"])["status"] == "dev_done", done.stderr
