"""Runners that stand still past everyone's patience, and agents that outlive theirs."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.campaign.bench import DEV, Bench, Fault, make_template, single
from tests.campaign.mutants import NO_LOCAL_GUARD, make
from tests.campaign.scenario import WORK, task
from tests.campaign.scenarios import refusing
from tests.support.fixtures_board import EITHER_BOARD, MODES
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.board_process import BoardUnderTest

OTHER = "dev_002"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template") / "repo")


def bench_at(place: Path, board: BoardUnderTest, template: Path) -> Bench:
    place.mkdir()
    return Bench(place, board, template)


def cleared(board: BoardUnderTest, number: int) -> None:
    """What the board does to a holder that has long not registered, and its manager then."""
    board.sql("UPDATE tasks SET locked_by = NULL, locked_at = NULL, status = 'created' WHERE id = ?", number)


STANDING_AT = (
    "working.before",
    "agent.journalled",
    "agent.ended",
    "committing.before",
    "reporting.before",
    "starting.before",
    "lease.locked",
)
STANDING = [
    # One of the two boards for each point; the other one has its turn with the extended tests.
    pytest.param(mode, point, marks=() if (number + other) % 2 == 0 else pytest.mark.extended)
    for number, point in enumerate(STANDING_AT)
    for other, mode in enumerate(MODES)
]


@pytest.mark.fault("runner-stopped-for-long")
@pytest.mark.parametrize(("board_mode", "point"), STANDING, indirect=["board_mode"])
def test_a_runner_that_stood_still_while_another_did_its_task_reports_nothing(
    tmp_path: Path, board: BoardUnderTest, template: Path, point: str
) -> None:
    here, there = (bench_at(tmp_path / name, board, template) for name in ("here", "there"))
    number = task(here, WORK)
    stop = Fault(point, "stop")
    armed = {"HPM_FAILPOINT": stop.armed, "HPM_FAILPOINT_LOG": str(here.points)}
    with here.start(*single("backend_dev", DEV), **armed) as zombie:
        wait_until(lambda: stopped(zombie.pid), what=f"the runner standing at {point}")
        cleared(board, number)
        done = there.command(*single("backend_dev", OTHER))
        assert done.code == 0, done
        told = board.ok("GET", "/changelog", limit=-1)
        notes = board.task(number)["notes"]
        zombie.signal(signal.SIGCONT)
        code = zombie.wait()
    assert code in (1, 3), zombie.output()
    assert board.ok("GET", "/changelog", limit=-1) == told, zombie.output()
    row = board.task(number)
    assert (row["status"], row["locked_by"], row["notes"]) == ("dev_done", None, notes)
    assert list(here.processes()) == []
    assert here.record() is None


def test_a_runner_that_stood_still_in_the_middle_of_giving_back_leaves_the_task_to_its_new_holder(
    tmp_path: Path, board: BoardUnderTest, template: Path
) -> None:
    here, there = (bench_at(tmp_path / name, board, template) for name in ("here", "there"))
    number = refusing(here)
    stop = Fault("lease.unlockable", "stop")
    armed = {"HPM_FAILPOINT": stop.armed, "HPM_FAILPOINT_LOG": str(here.points)}
    with here.start(*single("backend_dev", DEV), **armed) as zombie:
        wait_until(lambda: stopped(zombie.pid), what="the runner standing between the two tellings")
        cleared(board, number)
        assert there.command(*single("backend_dev", OTHER)).code == 0
        told = board.ok("GET", "/changelog", limit=-1)
        zombie.signal(signal.SIGCONT)
        assert zombie.wait() == 1, zombie.output()
    assert board.ok("GET", "/changelog", limit=-1) == told
    assert board.task(number)["status"] == "dev_done"


@EITHER_BOARD
@pytest.mark.fault("killed-after-report")
def test_the_worktree_of_a_maker_killed_after_its_report_goes_although_qa_has_the_task(
    tmp_path: Path, board: BoardUnderTest, template: Path
) -> None:
    bench = bench_at(tmp_path / "here", board, template)
    gate = bench.directory / "gate"
    number = task(bench, WORK, [{"wait_for": str(gate)}])
    died = bench.command(*single("backend_dev", DEV), fault=Fault("post_hook.before", "kill"))
    assert died.code == -signal.SIGKILL
    try:
        with bench.start(*single("qa", "qa_001")) as qa:
            wait_until(lambda: len(bench.runs()) == 2, what="qa's agent")
            again = bench.command(*single("backend_dev", DEV))
            assert again.code in (0, 3), again
            gate.touch()
            assert qa.wait() == 0, qa.output()
    finally:
        bench.end()
    assert board.task(number)["status"] == "qa_done"
    assert len(bench.git("worktree", "list").splitlines()) == 1
    assert bench.record() is None


def overlapping(bench: Bench, board: BoardUnderTest) -> list[str]:
    """What happens when the board frees the task of a living runner, and another of its host looks."""
    number = task(bench, WORK)
    bench.flag.touch()
    try:
        with bench.start(*single("backend_dev", DEV)) as first:
            wait_until(bench.runs, what="the first agent")
            bench.await_lingering()
            first.signal(signal.SIGSTOP)
            cleared(board, number)
            bench.command(*single("backend_dev", OTHER))
        return bench.log("overlaps")
    finally:
        bench.end()


@EITHER_BOARD
@pytest.mark.fault("task-of-a-living-runner-freed")
def test_a_living_runners_task_is_left_alone_on_its_host_whatever_the_board_says(
    tmp_path: Path, board: BoardUnderTest, template: Path
) -> None:
    assert overlapping(bench_at(tmp_path / "here", board, template), board) == []


def test_without_the_local_guards_it_would_not_be(
    tmp_path: Path, exact_board: BoardUnderTest, template: Path
) -> None:
    bench = bench_at(tmp_path / "here", exact_board, template)
    bench.package = make(NO_LOCAL_GUARD, tmp_path / "package")
    assert overlapping(bench, exact_board) != []


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()[0] == "T"


@EITHER_BOARD
@pytest.mark.fault("P4")
def test_an_orphan_of_a_dead_runner_is_ended_before_another_agent_of_this_host_takes_its_task(
    tmp_path: Path, board: BoardUnderTest, template: Path
) -> None:
    bench = bench_at(tmp_path / "here", board, template)
    number = task(bench, WORK)
    bench.flag.touch()
    died = bench.command(*single("backend_dev", DEV), fault=Fault("agent.journalled", "kill"))
    assert died.code == -signal.SIGKILL
    bench.await_lingering()
    try:
        cleared(board, number)
        done = bench.command(*single("backend_dev", OTHER))
        assert bench.log("overlaps") == []
        assert done.code == 0, done
        again = bench.command(*single("backend_dev", DEV))
        assert again.code == 1, again
        assert board.statuses(number)[-1] == "dev_done"
        assert list(bench.processes()) == []
    finally:
        bench.end()
