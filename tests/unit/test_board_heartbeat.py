"""The thread that keeps a lock alive, on a real board in both modes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.board import lease
from hpm_tools.board.client import Board
from hpm_tools.board.heartbeat import Heartbeat
from tests.support.fault_server import KEEP, RESET, FaultServer, Request, answer
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpm_tools.board.lease import Lease
    from tests.support.board_process import BoardUnderTest

ME, OTHER = "dev_001", "dev_002"
TWENTY_MINUTES = 1200.0
QUICK = 0.05


@pytest.fixture
def client(board: BoardUnderTest) -> Iterator[Board]:
    with Board(board.url, board.key) as client:
        yield client


def working(client: Board, board: BoardUnderTest) -> Lease:
    held = lease.take(client, board.add_task(), ME, role="backend_dev", level="senior")
    lease.begin_work(client, held)
    return held


def heart_of(client: Board, held: Lease, every: float = QUICK) -> Heartbeat:
    return Heartbeat(
        client,
        ME,
        "backend_dev",
        "senior",
        task_id=held.task_id,
        created_at=held.created_at,
        locked_at=held.locked_at,
        every=every,
    )


def others_come_by(board: BoardUnderTest) -> None:
    """Another agent registers, which makes the board clear stale locks."""
    board.register(OTHER)


def test_a_beating_heart_keeps_the_lock_for_hours(board: BoardUnderTest, client: Board) -> None:
    held = working(client, board)
    heart = heart_of(client, held)
    for passed in range(1, 7):
        board.shift_clock(passed * TWENTY_MINUTES)
        heart.beat()
        others_come_by(board)
    assert (heart.lost, heart.problem, heart.beats) == (None, None, 6)
    assert lease.confirm(client, held, "under_work").locked_by == ME
    heart.stop()


def test_without_one_the_lock_goes_and_the_next_beat_says_so(board: BoardUnderTest, client: Board) -> None:
    held = working(client, board)
    board.shift_clock(2 * TWENTY_MINUTES)
    others_come_by(board)
    heart = heart_of(client, held)
    heart.beat()
    assert heart.lost == f"the board no longer says that task {held.task_id} is locked (under_work)"


def test_the_thread_beats_at_once_and_goes_on(board: BoardUnderTest, client: Board) -> None:
    held = working(client, board)
    with Board(board.url, board.key) as restarted, heart_of(restarted, held, every=3600) as patient:
        wait_until(lambda: patient.beats == 1)
    with heart_of(client, held) as heart:
        wait_until(lambda: heart.beats >= 3)
        assert heart.lost is None
        assert heart.outage == 0


def take_over(board: BoardUnderTest, task: int) -> None:
    board.register(OTHER)
    board.put(task, "pm1", "created")
    board.lock(task, OTHER)


def delete(board: BoardUnderTest, task: int) -> None:
    board.ok("DELETE", f"/tasks/{task}", agent_id="pm1")


def free(board: BoardUnderTest, task: int) -> None:
    board.put(task, "pm1", "created")


def lock_anew(board: BoardUnderTest, task: int) -> None:
    board.put(task, "pm1", "created")
    board.lock(task, ME)


@pytest.mark.parametrize(
    ("happens", "words"),
    [
        (take_over, "gave task {id} to dev_002"),
        (delete, "task {id} was deleted"),
        (free, "no longer says that task {id} is locked"),
        (lock_anew, "task {id} was locked anew under this agent's id"),
    ],
)
def test_a_lock_that_is_lost_is_noticed(
    board: BoardUnderTest, client: Board, happens: Any, words: str
) -> None:
    held = working(client, board)
    # Before the first beat: one between the two calls of `happens` would see, and tell, the state in between.
    happens(board, held.task_id)
    with heart_of(client, held) as heart:
        assert words.format(id=held.task_id) in str(wait_until(lambda: heart.lost))


def test_another_task_under_a_reused_id_is_a_lost_lock(upstream_board: BoardUnderTest) -> None:
    with Board(upstream_board.url, upstream_board.key) as client:
        held = working(client, upstream_board)
        heart = heart_of(client, held)
        delete(upstream_board, held.task_id)
        new = upstream_board.add_task()
        assert new["id"] == held.task_id
        upstream_board.lock(new["id"], ME)
        heart.beat()
        assert heart.lost == f"task {held.task_id} is another task on the board now"


def test_what_is_lost_stays_lost(board: BoardUnderTest, client: Board) -> None:
    held = working(client, board)
    heart = heart_of(client, held)
    free(board, held.task_id)
    heart.beat()
    said = heart.lost
    board.lock(held.task_id, ME)
    board.sql("UPDATE tasks SET locked_at = ?", held.locked_at.replace("T", " "))
    heart.beat()
    assert said is not None
    assert heart.lost == said


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param([RESET], id="reset"),
        pytest.param([answer("Internal Server Error", status=500), KEEP], id="500"),
        pytest.param([answer("", status=429, headers={"Retry-After": "3600"}), KEEP], id="busy"),
        pytest.param([answer({"detail": "Invalid API key"}, status=401), KEEP], id="key rotated"),
        pytest.param([answer("<html>"), KEEP], id="html"),
        pytest.param([answer({"agent": 5}), KEEP], id="wrong types"),
        pytest.param([answer("", status=302, headers={"Location": "/x"}), KEEP], id="redirect"),
    ],
)
@pytest.mark.parametrize("where", ["/register", "/tasks"])
def test_an_outage_is_no_lost_lock(exact_board: BoardUnderTest, fault: list[Any], where: str) -> None:
    broken = threading.Event()

    def behave(request: Request) -> Any:
        if broken.is_set() and request.path.endswith(where):
            return fault
        return [request.forward(exact_board.url), KEEP]

    with FaultServer(behave) as server, Board(server.url, exact_board.key) as client:
        held = working(client, exact_board)
        with heart_of(client, held) as heart:
            wait_until(lambda: heart.beats)
            broken.set()
            wait_until(lambda: heart.problem)
            assert heart.lost is None
            broken.clear()
            before = heart.beats
            wait_until(lambda: heart.beats > before)
            assert (heart.lost, heart.problem, heart.outage) == (None, None, 0)


def test_an_outage_is_measured(unused_url: str) -> None:
    with Board(unused_url, "key", retries=0) as client:
        heart = Heartbeat(client, ME, "backend_dev", "senior", task_id=1)
        assert heart.outage == 0
        heart.beat()
        first = heart.outage
        heart.beat()
        assert heart.outage > first >= 0
        assert "no connection" in str(heart.problem)


@pytest.fixture
def unused_url() -> str:
    with FaultServer(lambda _request: []) as server:
        return server.url


def test_a_board_that_hangs_does_not_hold_up_the_end() -> None:
    with FaultServer(lambda _request: [60.0]) as server, Board(server.url, "key") as client:
        heart = Heartbeat(client, ME, "backend_dev", "senior", task_id=1)
        heart.start()
        wait_until(lambda: server.requests)
        started = time.monotonic()
        heart.stop()
        heart.stop()
        assert time.monotonic() - started < 60


def test_an_agent_without_a_task_only_registers(board: BoardUnderTest, client: Board) -> None:
    with Heartbeat(client, ME, "fullstack_dev", "senior", every=QUICK) as heart:
        wait_until(lambda: heart.beats >= 2)
    assert [(agent.agent_id, agent.role) for agent in client.agents()] == [(ME, "backend_dev")]


def test_a_heart_that_was_never_started_can_be_stopped(client: Board) -> None:
    Heartbeat(client, ME, "qa", "senior").stop()


def test_who_registered_just_now_does_not_do_so_again(exact_board: BoardUnderTest) -> None:
    with (
        FaultServer(lambda request: [request.forward(exact_board.url), KEEP]) as server,
        Board(server.url, exact_board.key) as client,
    ):
        held = lease.take(client, exact_board.add_task(), ME, role="backend_dev", level="senior")
        before = len(server.requests)
        with heart_of(client, held, every=3600):
            lease.begin_work(client, held)
            lease.report(client, held, "dev_done")
        assert [request.path for request in server.requests[before:] if "register" in request.path] == []


@pytest.mark.parametrize("begun", [False, True])
def test_no_beat_asks_for_all_tasks(board: BoardUnderTest, begun: bool) -> None:
    def pass_on(request: Request) -> list[Any]:
        return [request.forward(board.url), KEEP]

    with FaultServer(pass_on) as server, Board(server.url, board.key) as client:
        held = lease.take(client, board.add_task(), ME, role="backend_dev", level="senior")
        if begun:
            lease.begin_work(client, held)
        before = len(server.requests)
        heart = Heartbeat(
            client,
            ME,
            "backend_dev",
            "senior",
            task_id=held.task_id,
            likely=("under_work", "created"),
            target_role="backend_dev",
        )
        heart.beat()
        if not begun:
            lease.begin_work(client, held)
            heart.beat()
        heart.stop()
    listings = [request.query for request in server.requests[before:] if request.path.endswith("/tasks")]
    assert heart.beats == (1 if begun else 2)
    assert len(listings) >= heart.beats
    assert all("status" in query for query in listings), listings
