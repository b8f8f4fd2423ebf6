"""Where a worktree is made in the place of an earlier one, it is said where the work is that lay there uncommitted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.fixtures_desk import events
from tests.support.runners import script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.runners import Desk

OTHER_BOARD = "http://127.0.0.1:9"
KEPT = re.compile(r"what was left uncommitted in (\S+) before is kept as (refs/hpm/salvage/\S+)")


def make(desk: Desk, board: str = "") -> tuple[int, Path]:
    """A task, and a worktree of its number in which an earlier run left a file."""
    task = desk.board.add_task(description=script({"write": ["a.txt", "x"]}), complexity="major")["id"]
    done = desk.hpm("worktree.add", "--task-id", task, HEADLESS_PM_API_URL=board or desk.board.url)
    assert done.returncode == 0, done.stderr
    place = desk.repo / ".worktrees" / f"task-{task}"
    (place / "left.txt").write_text("left", encoding="utf-8")
    return task, place


def is_kept(desk: Desk, said: str, place: Path) -> bool:
    ((where, ref),) = set(KEPT.findall(" ".join(said.split())))
    return bool((where, desk.git("show", f"{ref}:left.txt")) == (str(place), "left"))


@pytest.mark.fault("W3")
def test_runner_names_the_salvage_of_another_boards_task(desk: Desk) -> None:
    task, place = make(desk, OTHER_BOARD)
    done = desk.run_single()
    assert desk.board.task(task)["status"] == "dev_done", done.stderr
    assert is_kept(desk, done.stdout + done.stderr, place)


@pytest.mark.fault("W3")
def test_runner_names_the_salvage_of_a_run_that_left_its_branch(desk: Desk) -> None:
    _, place = make(desk)
    desk.git("-C", str(place), "checkout", "-q", "--detach")
    desk.git("-C", str(place), "commit", "-q", "--allow-empty", "-m", "elsewhere")
    done = desk.run_single("backend_dev", "dev_001", "--json")
    (told,) = events(done.stdout, "salvaged")
    assert is_kept(desk, told["text"], place)


@pytest.mark.fault("W3")
def test_worktree_add_names_the_salvage_of_another_boards_task(desk: Desk) -> None:
    task, place = make(desk, OTHER_BOARD)
    done = desk.hpm("worktree.add", "--task-id", task)
    assert is_kept(desk, done.stderr, place)


def test_nothing_is_said_where_nothing_was_left(desk: Desk) -> None:
    _, place = make(desk, OTHER_BOARD)
    (place / "left.txt").unlink()
    done = desk.run_single()
    assert (done.returncode, KEPT.findall(done.stdout + done.stderr)) == (0, [])
