"""The runner, or a script, as the first process of a container: number 1, and the parent of every orphan."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import make_repo
from tests.support.runners import HPM, Desk, script

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
"""The program that follows is process 1, without an init."""

pytestmark = pytest.mark.needs("unshare")


@pytest.fixture
def desk(tmp_path: Path, exact_board: BoardUnderTest) -> Iterator[Desk]:
    desk = Desk(tmp_path / "desk", exact_board, make_repo(tmp_path / "repo").root)
    desk.real = True
    yield desk
    desk.end_agents()


def in_container(desk: Desk, *words: object) -> subprocess.CompletedProcess[str]:
    return desk.hpm_as([*CONTAINER, *HPM], *words)


def by_script(desk: Desk, text: str) -> subprocess.CompletedProcess[str]:
    """Run ``text`` by a shell that is process 1; ``hpm`` is the command."""
    return desk.hpm_as([*CONTAINER, "bash", "-c", f'hpm() {{ {shlex.join(HPM)} "$@"; }}\n{text}'])


@pytest.mark.fault("E1")
def test_runner_that_is_process_1_does_its_task_and_reaps_its_orphans(desk: Desk, tmp_path: Path) -> None:
    """The first agent leaves an orphan in a session of its own that forgot the run; the second looks for zombies."""
    seen = tmp_path / "zombies"
    zombies = "grep -hs '(true) Z' /proc/[0-9]*/stat"
    orphan = f"(env -i setsid true &); n=0; until {zombies} || test $n = 100; do n=$((n+1)); sleep 0.02; done"
    look = f"{zombies} > {seen}; true"
    first = script({"run": ["sh", "-c", orphan]}, {"write": ["a.txt", "a\n"]})
    second = script({"run": ["sh", "-c", look]}, {"write": ["b.txt", "b\n"]})
    tasks = [desk.board.add_task(description=text) for text in (first, second)]
    done = in_container(desk, "run", "--role", "backend_dev", "--agent-id", "dev_001", "--max-tasks", 2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {desk.board.task(task["id"])["status"] for task in tasks} == {"dev_done"}
    assert seen.read_text(encoding="ascii") == ""
    assert desk.record() is None


@pytest.mark.fault("E1")
def test_script_that_is_process_1_may_own_a_task(desk: Desk) -> None:
    task = desk.board.add_task(description="{}")
    desk.board.register("dev_001")
    steps = (
        "token=$(hpm lock --agent-id dev_001 --task-id 1 --owner-pid $$) && test $$ = 1 && hpm locks && "
        'hpm unlock --agent-id dev_001 --token "$token"'
    )
    done = by_script(desk, steps.replace("--task-id 1", f"--task-id {task['id']}"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "process alive" in done.stdout
    assert desk.board.task(task["id"])["status"] == "created"
