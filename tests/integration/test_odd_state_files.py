"""What is no file where the state directory keeps one: the reason, a command that mends it, and no wait."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.support.runners import Desk, script


def test_a_directory_for_a_guard_is_told_with_the_command_that_moves_it(desk: Desk) -> None:
    task = desk.board.add_task(description=script({"write": ["work.txt", "work\n"]}))
    (desk.state / "locks").mkdir()
    (desk.state / "locks" / "agent-dev_001.guard").mkdir()
    refused = desk.run_single()
    (command,) = re.findall(r"mv \S+ \S+", refused.stderr)
    subprocess.run(command, shell=True, check=True, cwd="/")
    done = desk.run_single()
    found = (refused.returncode, done.returncode, desk.board.task(task["id"])["status"])
    assert found == (78, 0, "dev_done"), refused.stderr + done.stderr


@pytest.mark.parametrize("kind", ["directory", "FIFO"])
def test_an_agents_odd_thing_for_its_record_is_told_and_got_over(desk: Desk, kind: str) -> None:
    path = desk.state / "locks" / "agent-dev_001.lock"
    make = "mkdir" if kind == "directory" else "mkfifo"
    odd = f"echo work > work.txt; [ -e '{desk.directory}/once' ] || {{ rm '{path}'; {make} '{path}'; }}"
    acts = {"run": ["sh", "-ec", f"{odd}; touch '{desk.directory}/once'"]}
    task = desk.board.add_task(description=script(acts), complexity="major")
    first = desk.run_single()
    assert (first.returncode, f"mv {path} {path}.aside" in first.stderr) == (65, True), first.stderr
    done = desk.run_single()
    assert not os.path.isdir(path)
    found = desk.board.task(task["id"])
    assert (done.returncode, found["status"], found["locked_by"]) == (0, "dev_done", None), done.stderr
