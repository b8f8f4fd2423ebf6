"""What a killed runner left running, whatever step it stood at: ended before that step begins again."""

from __future__ import annotations

import signal
from itertools import product
from typing import TYPE_CHECKING

import pytest

from hpm_tools.process.identity import start_time
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN = ("run", "--role", "backend_dev", "--single-task", "--agent-id", "dev_001")


@pytest.fixture
def desk(desk: Desk, tmp_path: Path) -> Iterator[Desk]:
    yield desk
    (tmp_path / "go").touch()


@pytest.mark.extended
@pytest.mark.parametrize(
    ("step", "complexity"),
    [
        *product(("pre_task", "agent", "daemon of the agent", "post_task"), ("minor", "major")),
        ("set-up", "major"),  # the checkout is not set up
    ],
)
def test_a_step_begins_again_only_after_what_was_left_of_it_is_ended(
    desk: Desk, tmp_path: Path, step: str, complexity: str
) -> None:
    pids, go = tmp_path / "pids", tmp_path / "go"
    long = tmp_path / "long.sh"
    wait = f"until [ -e {go} ]; do sleep 0.05; done\n"
    long.write_text(f"echo $$ >>{pids}\n{wait}", encoding="utf-8")
    acts = [{"write": ["a.txt", "a\n"]}]
    match step:
        case "set-up":
            desk.change(worktree={"setup": ["sh", str(long)]})
        case "agent":
            acts.append({"run": ["sh", str(long)]})
        case "daemon of the agent":
            acts.append({"run": ["sh", "-c", f"setsid sh {long} & {wait}"]})
        case hook:
            (desk.quick_hooks / f"{hook}.sh").write_text(long.read_text(encoding="utf-8"), encoding="utf-8")
    task = desk.board.add_task(description=script(*acts), complexity=complexity)["id"]
    with desk.start(*RUN) as runner:
        wait_until(lambda: len(numbers(pids)) == 1, what=f"the {step}")
        runner.signal(signal.SIGKILL)
        runner.process.wait()
    assert start_time(numbers(pids)[0]) is not None
    with desk.start(*RUN) as runner:
        wait_until(
            lambda: len(numbers(pids)) == 2 or runner.process.poll() is not None, what="the second time"
        )
        left = start_time(numbers(pids)[0])
        go.touch()
        code = runner.wait()
    assert (left, code, desk.board.task(task)["status"]) == (None, 0, "dev_done"), runner.output()


def numbers(pids: Path) -> list[int]:
    return [int(line) for line in pids.read_text(encoding="utf-8").split()] if pids.exists() else []
