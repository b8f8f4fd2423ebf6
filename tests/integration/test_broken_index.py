"""The index of the shared checkout cannot be read, its split half being gone say: the true reason, and the next task."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.support.runners import Desk, script

WAYS = {
    "its shared half is gone": "git update-index --split-index; rm -f .git/sharedindex.*",
    "it is cut short": "git add work.txt; truncate -s 20 .git/index",
}
SHARED_HALF = "its shared half is gone"


def task(desk: Desk, lines: str) -> int:
    act = {"run": ["sh", "-ec", lines]}
    return int(desk.board.add_task(description=script(act), complexity="minor")["id"])


def broken(desk: Desk, way: str) -> str:
    """Break the index of the checkout as an agent does; the notes of its task."""
    first = task(desk, f"echo work > work.txt; {WAYS[way]}")
    desk.run_single()
    found = desk.board.task(first)
    assert (found["status"], found["locked_by"]) == ("pending", None)
    return str(found["notes"])


@pytest.mark.fault("D4")
@pytest.mark.parametrize("way", [SHARED_HALF, pytest.param("it is cut short", marks=pytest.mark.extended)])
def test_the_next_minor_task_is_worked_in_a_worktree(desk: Desk, way: str) -> None:
    broken(desk, way)
    after = task(desk, "echo second > second.txt")
    done = desk.run_single()
    found = desk.board.task(after)
    assert (done.returncode, found["status"], found["locked_by"]) == (0, "dev_done", None), done.stderr


@pytest.mark.parametrize("way", [pytest.param(SHARED_HALF, marks=pytest.mark.extended), "it is cut short"])
def test_the_command_that_is_told_makes_the_index_anew(desk: Desk, way: str) -> None:
    notes = broken(desk, way)
    assert "free space" not in notes
    (command,) = set(re.findall(r"\((mv [^)\n]+)\)", notes))
    subprocess.run(command, shell=True, check=True, cwd="/")
    assert desk.git("status", "--porcelain") == "?? work.txt"
    assert (desk.repo / "work.txt").read_text(encoding="utf-8") == "work\n"


def test_a_single_command_gives_the_reason_and_the_way_out(desk: Desk) -> None:
    broken(desk, SHARED_HALF)
    said = desk.hpm("health")
    text = said.stdout + said.stderr
    assert ("free space" in text, "reset -q" in text) == (False, True), text
