"""More uncommitted content than belongs into git: nothing of it is read, its place stays, the task is parked."""

from __future__ import annotations

import signal

import pytest

from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

FILES = "i=0; while [ $i -lt 20500 ]; do : > f$i; i=$((i+1)); done"


def run_task(desk: Desk, command: str, *, complexity: str = "major", **outcome: str) -> dict[str, str]:
    acts = [{"run": ["sh", "-c", command]}]
    more = {"outcome": {"summary": "did", **outcome}} if outcome else {}
    task = desk.board.add_task(complexity=complexity, description=script(*acts, **more))
    done = desk.run_single()
    assert "Traceback" not in done.stderr, done.stderr
    return dict(desk.board.task(task["id"]))


def objects(desk: Desk) -> int:
    return int(desk.git("count-objects").split()[0])


@pytest.mark.fault("B9")
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(f"mkdir -p deps; cd deps; {FILES}", id="a-forgotten-ignore-file"),
        pytest.param(f"{FILES}; echo x >> README.md; git add README.md", id="beside-staged-work"),
    ],
)
def test_too_many_files_park_the_task_with_their_number(desk: Desk, command: str) -> None:
    before = objects(desk)
    task = run_task(desk, command)
    place = desk.repo / ".worktrees" / "task-1"
    assert (task["status"], place.is_dir(), objects(desk) - before < 100) == ("pending", True, True)


@pytest.mark.fault("D6")
@pytest.mark.parametrize(
    ("command", "outcome"),
    [
        pytest.param("truncate -s 2100M core.img", "done", id="new"),
        pytest.param("truncate -s 2100M README.md", "done", id="tracked"),
        pytest.param("truncate -s 2100M core.img", "blocked", id="blocked"),
    ],
)
def test_a_sparse_file_counts_with_its_holes_and_is_not_read(desk: Desk, command: str, outcome: str) -> None:
    task = run_task(desk, command, status=outcome)
    place = desk.repo / ".worktrees" / "task-1"
    assert (task["status"], place.is_dir()) == ("pending", True)


def test_the_way_out_of_a_place_with_too_much_works_as_printed(desk: Desk) -> None:
    desk.change(worktree={"max_files": 3})
    run_task(desk, "touch a b c d")
    place = desk.repo / ".worktrees" / "task-1"
    stays = desk.hpm("worktree.remove", "--path", str(place), "--repo", str(desk.repo))
    assert stays.returncode == 1
    assert f"HEADLESS_PM_WORKTREE_MAX_FILES=4 hpm worktree.remove --path {place}" in stays.stderr
    desk.more["HEADLESS_PM_WORKTREE_MAX_FILES"] = "4"
    removed = desk.hpm("worktree.remove", "--path", str(place), "--repo", str(desk.repo))
    assert (removed.returncode, place.exists()) == (0, False), removed.stderr
    assert "d" in desk.git("ls-tree", "--name-only", removed.stdout.strip()).split()


def test_a_signal_ends_the_reading_of_a_large_file(desk: Desk) -> None:
    desk.change(worktree={"max_bytes": 1 << 40})
    act = {"run": ["sh", "-c", "truncate -s 300G core.img"]}
    desk.board.add_task(complexity="major", description=script(act))
    with desk.start("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task") as runner:
        wait_until(lambda: (desk.record() or {}).get("step") == "committing")
        runner.signal(signal.SIGTERM)
        assert runner.wait() == 128 + signal.SIGTERM
