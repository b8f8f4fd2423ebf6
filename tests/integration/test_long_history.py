"""A board whose changelog is too long to be read, or is not answered: what it would say is done without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.fault_server import KEEP, FaultServer, answer
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.support.fault_server import Act, Request

RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task")
QA = ("run", "--role", "qa", "--agent-id", "qa_001", "--single-task")
REJECTED = {"outcome": {"status": "rejected", "summary": "no test"}}
HTML = answer("<html>We are back soon</html>", headers={"content-type": "text/html"})


@pytest.fixture
def desk(desk: Desk) -> Desk:
    desk.more = {"HEADLESS_PM_RETRY_PAUSE": "0.1"}
    return desk


def grow(desk: Desk, *, rows: int, notes: int) -> None:
    """Give the board an old task with so many changes, each with so many bytes of notes."""
    old = desk.board.add_task("pending", title="An old one")["id"]
    desk.board.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "INSERT INTO changelog (task_id, old_status, new_status, changed_by, notes, changed_at) "
        "SELECT ?, 'created', 'created', 'pm1', printf('%.*c', ?, 'x'), '2020-01-01 00:00:00.000000' FROM n",
        rows,
        old,
        notes,
    )


def review(desk: Desk, **more: str) -> int:
    """A rejection by qa, until it is over or the runner says that it waits; the task."""
    task = desk.board.add_task("dev_done", description=script(as_qa=REJECTED), complexity="major")["id"]
    with desk.start(*QA, **more) as runner:
        wait_until(
            lambda: "trying again" in runner.output() or runner.process.poll() is not None, what="qa's runner"
        )

    return int(task)


@pytest.mark.fault("A7")
def test_rejection_is_decided_on_a_board_with_a_long_history(desk: Desk) -> None:
    grow(desk, rows=34, notes=1_000_000)
    task = review(desk)
    assert desk.board.task(task)["status"] == "created"


@pytest.mark.fault("A7")
def test_rejection_is_decided_where_nothing_of_the_changelog_can_be_read(desk: Desk) -> None:
    def on_the_way(request: Request) -> Iterable[bytes | float | Act]:
        return [HTML if request.path.endswith("/changelog") else request.forward(desk.board.url), KEEP]

    with FaultServer(on_the_way) as server:
        task = review(desk, HEADLESS_PM_API_URL=server.url)
    assert desk.board.task(task)["status"] == "created"


@pytest.mark.fault("A7")
@pytest.mark.extended
def test_lost_record_is_rebuilt_on_a_board_with_a_long_history(desk: Desk) -> None:
    grow(desk, rows=700, notes=60_000)
    task = desk.board.add_task(complexity="major")["id"]
    desk.board.register("dev_001")
    desk.board.lock(task, "dev_001")
    desk.board.put(task, "dev_001", "under_work")
    desk.hpm("recover", "--agent-id", "dev_001", "--adopt")
    desk.hpm("unlock", "--agent-id", "dev_001")
    assert desk.board.task(task)["status"] == "created"


@pytest.mark.extended
def test_answers_that_are_none_end_the_runner_in_the_end(desk: Desk, tmp_path: Path) -> None:
    """The task stays recorded and the next start goes on with it: nothing waits for ever behind a strange page."""
    closed = tmp_path / "closed"

    def on_the_way(request: Request) -> Iterable[bytes | float | Act]:
        return [HTML if closed.exists() else request.forward(desk.board.url), KEEP]

    acts: list[dict[str, Any]] = [{"write": ["a.txt", "a\n"]}, {"touch": str(closed)}]
    task = desk.board.add_task(description=script(*acts), complexity="major")["id"]
    with FaultServer(on_the_way) as server:
        ended = desk.hpm(*RUN, HEADLESS_PM_API_URL=server.url)
    assert ended.returncode == 65, ended.stderr
    assert "run the same command again" in ended.stderr
    assert desk.hpm(*RUN).returncode == 0
    assert (desk.board.task(task)["status"], len(desk.agent_starts())) == ("dev_done", 1)
