"""Directories, links and files where hpm keeps its guards and what it moves aside, and where git makes its lock files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

DIRECTORIES = (
    "d=$(git rev-parse --absolute-git-dir)\nc=$(git rev-parse --path-format=absolute --git-common-dir)\n"
)
PLANTED = {
    "own guard": 'rm -f "$d/hpm.guard"; mkdir "$d/hpm.guard"',
    "shared guards": 'for f in "$c"/hpm/*; do rm -rf "$f"; mkdir -p "$f/x"; done',
    "guards' directory a link": 'mv "$c/hpm" "$c/elsewhere"; ln -s elsewhere "$c/hpm"',
    "index.lock": 'mkdir -p "$d/index.lock/x"',
}


def work_two_tasks(desk: Desk, plant: Path, planted: str) -> None:
    """Two tasks whose agents run ``planted`` after their work; both must be done."""
    plant.write_text(DIRECTORIES + planted, encoding="utf-8")
    acts = ({"write": ["work.txt", "work"]}, {"run": ["sh", "-e", str(plant)]})
    tasks = [desk.board.add_task(complexity="major", description=script(*acts)) for _ in range(2)]
    done = desk.hpm("run", "--role", "backend_dev", "--agent-id", "dev_001", "--max-tasks", 2)
    found = [(desk.board.task(task["id"])["status"], desk.record()) for task in tasks]
    assert (done.returncode, found) == (0, [("dev_done", None)] * 2), done.stderr


@pytest.mark.fault("D4")
@pytest.mark.parametrize("planted", PLANTED)
def test_what_stands_in_the_place_of_a_guard_or_lock_stops_no_task(
    desk: Desk, tmp_path: Path, planted: str
) -> None:
    work_two_tasks(desk, tmp_path / "plant", PLANTED[planted])


@pytest.mark.parametrize("kept", ["touch ../kept", "ln -s /tmp ../kept"])
def test_what_stands_in_the_place_of_kept_stops_no_task(desk: Desk, tmp_path: Path, kept: str) -> None:
    work_two_tasks(desk, tmp_path / "plant", f"rm .git; git init -q .; rm -rf ../kept; {kept}")
    assert (desk.repo / ".worktrees" / "kept").is_dir()


@pytest.mark.fault("D2")
@pytest.mark.parametrize(
    "planted",
    [
        pytest.param('mv "$d" "$d.real"; ln -s "$d.real" "$d"', id="its git directory a link"),
        pytest.param("cd ../..; mv .worktrees others; touch .worktrees", id="directory of worktrees a file"),
    ],
)
def test_what_an_agent_put_in_the_place_of_a_directory_stops_no_later_task(
    desk: Desk, tmp_path: Path, planted: str
) -> None:
    plant = tmp_path / "plant"
    plant.write_text(DIRECTORIES + planted, encoding="utf-8")
    acts = ({"write": ["work.txt", "work"]}, {"run": ["sh", "-e", str(plant)]})
    desk.board.add_task(complexity="major", description=script(*acts))
    desk.run_single()
    left = desk.record()
    task = desk.board.add_task(complexity="major", description=script({"write": ["a.txt", "a"]}))
    done = desk.run_single()
    assert (left, desk.board.task(task["id"])["status"]) == (None, "dev_done"), done.stderr
