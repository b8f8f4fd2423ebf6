"""An agent moves its worktree away, or deletes it: it is found and put back, or the notes say what became of it."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

WORK = "echo work > work.txt"


def acts(desk: Desk, *lines: str) -> dict[str, Any]:
    begin = [f"main='{desk.repo}'", f"away='{desk.repo.parent}/away'", 'here="$PWD"']
    return {"run": ["sh", "-ec", "\n".join([*begin, *lines])]}


def work(desk: Desk, *lines: str) -> tuple[str, str]:
    """The status and the notes of a major task whose agent does ``lines`` and says done."""
    task = desk.board.add_task(description=script(acts(desk, *lines)), complexity="major")
    done = desk.run_single()
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    row = desk.board.task(task["id"])
    assert (row["locked_by"], desk.record()) == (None, None)
    return str(row["status"]), str(row["notes"])


def committed(desk: Desk) -> list[str]:
    return desk.git("ls-tree", "-r", "--name-only", "feature/task-1").splitlines()


WAYS = {
    "as reported": [WORK, 'mv "$here" "$away"'],
    "by git": [WORK, "git worktree unlock .", 'git worktree move . "$away"'],
    "an empty directory in its place": [WORK, 'mv "$here" "$away"', 'mkdir "$here"'],
    "a file in its place, after a commit": [
        "echo first > first.txt; git add first.txt; git commit -q -m First",
        WORK,
        'mv "$here" "$away"; echo x > "$here"',
    ],
    "with all worktrees": [WORK, 'mv "$main/.worktrees" "$away"'],
    "into a directory that is deep down": [WORK, 'mkdir -p "$away/a/b"; mv "$here" "$away/a/b/c"'],
}


QUICK = ("as reported", "by git", "an empty directory in its place")


@pytest.mark.fault("D2")
@pytest.mark.parametrize(
    "way", [way if way in QUICK else pytest.param(way, marks=pytest.mark.extended) for way in WAYS]
)
def test_a_worktree_that_was_moved_is_put_back_and_its_work_committed(desk: Desk, way: str) -> None:
    status, notes = work(desk, *WAYS[way])
    files = ["README.md", *(["first.txt"] if "first" in WAYS[way][0] else []), "src/shop.py", "work.txt"]
    assert (status, committed(desk)) == ("dev_done", files), notes


def test_the_notes_say_where_the_worktree_was(desk: Desk) -> None:
    _status, notes = work(desk, *WAYS["as reported"])
    assert f"had been moved to {desk.repo.parent}/away and was put back" in notes


@pytest.mark.extended
def test_what_stood_in_its_place_is_kept_and_named(desk: Desk) -> None:
    _status, notes = work(desk, *WAYS["a file in its place, after a commit"])
    (kept,) = (desk.repo / ".worktrees" / "kept").iterdir()
    assert (kept.read_text(encoding="utf-8"), str(kept) in notes) == ("x\n", True)


@pytest.mark.fault("D2")
def test_a_worktree_behind_a_link_is_named_with_its_files(desk: Desk) -> None:
    """The link leads somewhere else than the worktree, which D2's tests do not have."""
    lines = [WORK, 'mkdir "$away"', 'mv "$here" "$away/mine"', 'ln -s "$main/src" "$here"']
    status, notes = work(desk, *lines)
    mine = desk.repo.parent / "away" / "mine"
    found = (status, (mine / "work.txt").exists(), f"uncommitted files in {mine}" in notes)
    assert found == ("pending", True, True), notes


def test_a_worktree_that_was_removed_is_told(desk: Desk) -> None:
    status, notes = work(desk, WORK, 'cd "$main"', 'rm -rf "$here"')
    told = f"{desk.repo}/.worktrees/task-1 was removed, with what was uncommitted in it" in notes
    assert (status, told) == ("pending", True), notes


@pytest.mark.fault("D2")
def test_a_task_is_parked_when_its_worktree_was_removed_after_a_commit(desk: Desk) -> None:
    commit = "echo first > first.txt; git add first.txt; git commit -q -m First"
    status, notes = work(desk, commit, 'cd "$main"', 'rm -rf "$here"')
    assert (status, "first.txt" in committed(desk)) == ("pending", True), notes
    said = "".join(desk.board.sql("SELECT comments FROM tasks")[0])
    assert "was removed while the agent worked" in said
    assert "feature/task-1" in said


def test_a_task_is_given_back_when_its_agent_removed_the_worktree_and_died(desk: Desk) -> None:
    task = desk.board.add_task(
        description=script(acts(desk, 'cd "$main"', 'rm -rf "$here"'), {"kill": 9}), complexity="major"
    )
    done = desk.run_single()
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"given back: an agent removed {desk.repo}/.worktrees/task-{task['id']}" in done.stdout
    assert desk.board.task(task["id"])["status"] == "created"


def test_a_runner_that_takes_over_finds_the_worktree_beside_the_repository(desk: Desk) -> None:
    flag = desk.directory / "moved"
    moving = (
        acts(desk, WORK, 'mv "$here" "$away"'),
        {"touch": str(flag)},
        {"wait_for": str(desk.directory / "never")},
    )
    task = desk.board.add_task(complexity="major", description=script(*moving))
    with desk.start("run", "--agent-id", "dev_001", "--role", "backend_dev", "--single-task") as running:
        wait_until(flag.exists)
        running.signal(signal.SIGKILL)
        running.wait()
    desk.end_agents()
    flag.with_name("never").touch()
    done = desk.run_single()
    found = (desk.board.task(task["id"])["locked_by"], "work.txt" in committed(desk))
    assert found == (None, True), done.stderr
