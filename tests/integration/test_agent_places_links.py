"""An agent puts a link in the place of its worktree, or of the directory that worktrees are made in."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

WORK = {"write": ["work.txt", "work\n"]}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Somebody's directory, to which the links lead."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    (place / "precious.txt").write_text("precious\n")
    return place


def by_link(place: Path, target: Path) -> dict[str, list[str]]:
    """Move what is at ``place`` away and put a link there."""
    return {"run": ["sh", "-c", f"mv {place} {target}/moved && ln -s {target} {place}"]}


def parked(desk: Desk, task_id: int) -> bool:
    found = desk.board.task(task_id)
    return (found["status"], found["locked_by"], desk.record()) == ("pending", None, None)


@pytest.mark.fault("D2")
@pytest.mark.parametrize("committed", [False, True])
def test_worktree_replaced_by_a_link_parks_the_task(desk: Desk, elsewhere: Path, committed: bool) -> None:
    worktree = desk.repo / ".worktrees" / "task-1"
    acts: list[Any] = [WORK, *([{"commit": "work"}] if committed else []), by_link(worktree, elsewhere)]
    task = desk.board.add_task(complexity="major", description=script(*acts))
    done = desk.run_single()
    assert sorted(path.name for path in elsewhere.iterdir()) == ["moved", "precious.txt"]
    assert (elsewhere / "moved" / "work.txt").exists()
    notes = desk.board.task(task["id"])["notes"] or ""
    state = (parked(desk, task["id"]), worktree.is_symlink(), str(elsewhere) in notes)
    assert state == (True, False, True), done.stderr


@pytest.mark.fault("D2")
def test_directory_of_worktrees_replaced_by_a_link_stops_no_later_task(desk: Desk, elsewhere: Path) -> None:
    base = desk.repo / ".worktrees"
    task = desk.board.add_task(complexity="major", description=script(WORK, by_link(base, elsewhere)))
    desk.run_single()
    after = desk.board.add_task(complexity="major", description=script(WORK))
    done = desk.run_single()
    state = (parked(desk, task["id"]), base.is_symlink(), desk.board.task(after["id"])["status"])
    assert state == (True, False, "dev_done"), done.stderr


@pytest.mark.fault("D2")
def test_link_that_a_killed_runner_left_is_not_followed_at_the_next_start(
    desk: Desk, elsewhere: Path
) -> None:
    worktree = desk.repo / ".worktrees" / "task-1"
    flag = desk.directory / "linked"
    acts = (
        WORK,
        by_link(worktree, elsewhere),
        {"touch": str(flag)},
        {"wait_for": str(desk.directory / "never")},
    )
    task = desk.board.add_task(complexity="major", description=script(*acts))
    with desk.start("run", "--agent-id", "dev_001", "--role", "backend_dev", "--single-task") as running:
        wait_until(flag.exists)
        running.signal(signal.SIGKILL)
        running.wait()
    done = desk.run_single()
    state = (parked(desk, task["id"]), worktree.is_symlink(), sorted(p.name for p in elsewhere.iterdir()))
    assert state == (True, False, ["moved", "precious.txt"]), done.stderr
