"""An agent damages a file of the repository itself in the shared checkout: its runner waits until it is mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.repos import make_repo
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001", "--max-tasks", "2")


@pytest.mark.fault("D4")
@pytest.mark.parametrize("name", ["index", pytest.param("packed-refs", marks=pytest.mark.extended)])
def test_runner_outlives_a_damaged_file_and_goes_on_once_it_is_mended(
    tmp_path: Path, exact_board: BoardUnderTest, name: str
) -> None:
    desk = Desk(tmp_path / "desk", exact_board, make_repo(tmp_path / "code").root)
    desk.change(retry_pause=0.2)
    act = {"run": ["sh", "-ec", f"echo a > a.txt; echo junk > .git/{name}"]}
    first, second = (
        exact_board.add_task(description=script(each), complexity="minor")["id"]
        for each in (act, {"write": ["b.txt", "b\n"]})
    )
    with desk.start(*RUN) as runner:

        def over() -> bool:
            return runner.process.poll() is not None

        wait_until(lambda: over() or "no task is taken" in runner.output(), what="a pause or the end")
        (desk.repo / ".git" / name).unlink()
        (desk.repo / "a.txt").unlink()
        if name == "index":
            desk.git("reset", "-q")
        wait_until(lambda: over() or exact_board.task(second)["status"] == "dev_done", what="the next task")
    found = [exact_board.task(number)["status"] for number in (first, second)]
    assert found == ["pending", "dev_done"], runner.output()


@pytest.mark.parametrize("state", ["no commit yet", pytest.param("merge", marks=pytest.mark.extended)])
def test_health_says_what_keeps_tasks_out_of_the_checkout(
    tmp_path: Path, exact_board: BoardUnderTest, state: str
) -> None:
    repo = make_repo(tmp_path / "code", files={} if state == "no commit yet" else None)
    if state == "merge":
        repo.git("checkout", "-q", "-b", "theirs")
        repo.git("commit", "-q", "--allow-empty", "-m", "theirs")
        repo.git("checkout", "-q", "main")
        repo.git("merge", "-q", "--no-commit", "--no-ff", "theirs")
    said = Desk(tmp_path / "desk", exact_board, repo.root).hpm("health").stdout
    assert state in next(line for line in said.splitlines() if "repository:" in line)
