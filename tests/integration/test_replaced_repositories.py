"""An agent renames or replaces the repository's git directory: the task parks, the runner waits, a person puts it back."""

from __future__ import annotations

import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

AWAY = 'echo work > work.txt; mv "$main/.git" "$main/.git.old"'
WAYS = {
    "nothing in its place": [AWAY],
    "a file in its place": [AWAY, 'echo junk > "$main/.git"'],
    "an empty repository in its place": [AWAY, 'git init -q "$main"'],
    "a pointer to it in its place": [
        'mv "$main/.git" "$main/../real"',
        'echo "gitdir: $main/../real" > "$main/.git"',
    ],
}


def task(desk: Desk, *lines: str, complexity: str = "minor") -> int:
    act = {"run": ["sh", "-ec", "\n".join([f"main='{desk.repo}'", *lines])]}
    return int(desk.board.add_task(description=script(act), complexity=complexity)["id"])


def put_back(text: str) -> None:
    """Do what a message says."""
    (command,) = set(re.findall(r"to put it back: (mv [^)\n]*?)\)", text))
    subprocess.run(command, shell=True, check=True, cwd="/")


def state(desk: Desk, task_id: int) -> tuple[object, object, object]:
    found = desk.board.task(task_id)
    return found["status"], found["locked_by"], desk.record()


PARKED = [
    *((way, "minor") for way in WAYS),
    ("nothing in its place", "major"),
    ("a file in its place", "major"),
]


@pytest.mark.fault("D4b")
@pytest.mark.parametrize(("way", "complexity"), [one for one in PARKED if "pointer" not in one[0]])
def test_the_task_parks_and_its_notes_put_the_repository_back(desk: Desk, way: str, complexity: str) -> None:
    parks_and_is_put_back(desk, way, complexity)


@pytest.mark.parametrize(("way", "complexity"), [one for one in PARKED if "pointer" in one[0]])
def test_what_a_pointer_leads_to_parks_the_task_as_well(desk: Desk, way: str, complexity: str) -> None:
    parks_and_is_put_back(desk, way, complexity)


def parks_and_is_put_back(desk: Desk, way: str, complexity: str) -> None:
    parked = task(desk, *WAYS[way], complexity=complexity)
    head = desk.git("rev-parse", "HEAD")
    done = desk.run_single()
    assert "Traceback" not in done.stderr
    notes = str(desk.board.task(parked)["notes"])
    if "to put it back" in notes:
        put_back(notes)
    back = subprocess.run(["git", "rev-parse", "HEAD"], cwd=desk.repo, capture_output=True, text=True)
    found = (state(desk, parked), back.stdout.strip(), "refs/hpm/salvage" in notes)
    assert found == (("pending", None, None), head, False), done.stderr + notes


@pytest.mark.fault("D4b")
@pytest.mark.parametrize(
    "way",
    [pytest.param("nothing in its place", marks=pytest.mark.extended), "an empty repository in its place"],
)
def test_the_runner_waits_until_the_repository_is_back(desk: Desk, way: str) -> None:
    parked = task(desk, *WAYS[way])
    desk.change(retry_pause=0.2)
    with desk.start("run", "--agent-id", "dev_001", "--role", "backend_dev", "--max-tasks", "2") as running:
        wait_until(
            lambda: (
                desk.board.task(parked)["status"] in ("pending", "created")
                or running.process.poll() is not None
            )
        )
        second = task(desk, "echo second > second.txt", complexity="major")
        wait_until(lambda: "no task is taken" in running.output() or running.process.poll() is not None)
        told = running.output()
        meanwhile = desk.board.task(second)["status"]
        if "to put it back" in told:
            put_back(told)
            running.wait()
        found = (state(desk, parked), state(desk, second))
    assert (meanwhile, *found) == (
        "created",
        ("pending", None, None),
        ("dev_done", None, None),
    ), running.output()
    assert desk.git("show", "feature/task-2:second.txt") == "second"


def test_a_runner_that_is_started_then_says_how_to_put_the_repository_back(desk: Desk) -> None:
    (desk.repo / ".git").rename(desk.repo / ".git.old")
    (desk.repo / ".git").write_text("junk\n", encoding="utf-8")
    done = desk.run_single("backend_dev", "dev_001", "--repo", desk.repo)
    assert (done.returncode, f"mv {desk.repo}/.git.old {desk.repo}/.git" in done.stderr) == (78, True), (
        done.stderr
    )


def test_no_worktree_is_made_again_in_the_repository_that_stands_there_now(
    desk: Desk, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    other = 'git init -q "$main"; git -C "$main" commit -q --allow-empty -m other'
    number = task(desk, AWAY, other, 'rm -rf "$PWD"', f"echo > '{gone}'; sleep 600", complexity="major")
    with desk.start("run", "--agent-id", "dev_001", "--role", "backend_dev", "--single-task") as runner:
        wait_until(gone.exists, what="the agent's last act")
        runner.signal(signal.SIGKILL)
        runner.process.wait()
    done = desk.run_single()
    notes = str(desk.board.task(number)["notes"])
    assert (desk.board.task(number)["status"], "to put it back: mv" in notes) == ("pending", True), (
        done.stderr
    )
    assert not desk.git("worktree", "list").count("task-")
