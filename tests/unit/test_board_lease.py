"""Taking, keeping and leaving a task on a real board, in both modes unless a mode matters."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.board import lease
from hpm_tools.board.client import Board
from hpm_tools.board.heartbeat import Heartbeat
from hpm_tools.errors import BoardUnreachable, Held, HpmError, NotFound
from tests.support.board_process import running_board
from tests.support.fault_server import KEEP, RESET, FaultServer, Request, answer
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hpm_tools.board.lease import Lease
    from tests.support.board_process import BoardUnderTest

ME, OTHER = "dev_001", "dev_002"
HALF_HOUR = 1860.0


@pytest.fixture
def client(board: BoardUnderTest) -> Iterator[Board]:
    with Board(board.url, board.key) as client:
        yield client


def take(client: Board, task: dict[str, Any], agent: str = ME) -> Lease:
    return lease.take(client, task, agent, role="backend_dev", level="senior")


def working(client: Board, board: BoardUnderTest, agent: str = ME) -> Lease:
    """A lease on a new task that is under_work."""
    held = take(client, board.add_task(), agent)
    lease.begin_work(client, held)
    return held


def steal(board: BoardUnderTest, task: int, status: str = "created") -> None:
    """The task, given back and taken up by another agent."""
    board.register(OTHER)
    board.put(task, OTHER, status)
    assert board.lock(task, OTHER).status == 200
    board.put(task, OTHER, "under_work")


# Taking


def test_a_free_task_is_taken_worked_and_reported(board: BoardUnderTest, client: Board) -> None:
    task = board.add_task()
    held = take(client, task)
    now = board.task(task["id"])
    assert (held.task_id, held.agent_id, held.created_at) == (task["id"], ME, task["created_at"])
    assert (now["locked_by"], now["locked_at"], now["status"]) == (ME, held.locked_at, "created")
    assert (held.status_before, held.target_role, held.exact) == (
        "created",
        "backend_dev",
        not board.upstream,
    )
    assert held.task is not None
    assert held.lock_seconds > 0
    assert lease.begin_work(client, held).status == "under_work"
    assert lease.report(client, held, "dev_done", "branch: x").notes == "branch: x"
    done = board.task(task["id"])
    assert (done["status"], done["locked_by"]) == ("dev_done", None)
    assert board.statuses(task["id"]) == ["pending", "created", "under_work", "dev_done"]


def test_a_task_is_taken_from_the_client_as_from_a_record(board: BoardUnderTest, client: Board) -> None:
    board.add_task()
    offered = client.next_task("backend_dev", "senior")
    assert offered is not None
    held = lease.take(client, offered, ME, "created", role="backend_dev", level="senior")
    again = lease.take(client, offered.to_json(), ME, role="backend_dev", level="senior")
    assert (held.task_id, held.locked_at) == (again.task_id, again.locked_at)


def test_qa_takes_and_returns_what_is_done(board: BoardUnderTest, client: Board) -> None:
    task = board.add_task("dev_done")
    held = lease.take(client, task, "qa_001", role="qa", level="junior")
    lease.begin_work(client, held)
    assert lease.give_back(client, held) == "dev_done"
    assert board.task(task["id"])["locked_by"] is None


def test_taking_waits_before_it_believes_an_inexact_lock(upstream_board: BoardUnderTest) -> None:
    with Board(upstream_board.url, upstream_board.key) as client:
        task = upstream_board.add_task()
        started = time.monotonic()
        held = take(client, task)
        assert time.monotonic() - started >= held.lock_seconds + max(0.1, 2 * held.lock_seconds)


@pytest.mark.parametrize("delay", [0.0, pytest.param(0.05, marks=pytest.mark.extended), 0.5])
def test_of_many_contenders_for_one_task_exactly_one_gets_it(tmp_path: Path, delay: float) -> None:
    """In three waves within the time that one write takes: the last write comes when the first ones believe."""
    with running_board(tmp_path, upstream=True, lock_delay=delay) as board:
        assert_one_winner(board, contenders=16, within=delay)


def test_an_exact_board_has_one_winner_too(exact_board: BoardUnderTest) -> None:
    assert_one_winner(exact_board, contenders=16, within=0.0)


def assert_one_winner(board: BoardUnderTest, contenders: int, within: float) -> None:
    task = board.add_task()
    agents = [f"dev_{number:03}" for number in range(contenders)]
    for agent in agents:
        board.register(agent)
    barrier = threading.Barrier(contenders)
    taken: list[Lease] = []
    refused: list[HpmError] = []

    def contend(number: int) -> None:
        with Board(board.url, board.key) as client:
            client.advertises()
            barrier.wait(PATIENCE)
            time.sleep(within * (number % 3) / 3)
            try:
                taken.append(take(client, task, agents[number]))
                lease.begin_work(client, taken[-1])
            except lease.NOT_TAKEN as error:
                refused.append(error)

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(contenders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [held.agent_id for held in taken] == [board.task(task["id"])["locked_by"]]
    assert len(refused) == contenders - 1
    assert board.statuses(task["id"]) == ["pending", "created", "under_work"]


def test_an_agent_that_was_silent_for_long_does_not_lose_what_it_takes(
    board: BoardUnderTest, client: Board
) -> None:
    client.register(ME, "backend_dev", "senior")
    board.shift_clock(HALF_HOUR)
    held = working(client, board)
    board.register(OTHER)
    assert lease.confirm(client, held, "under_work").locked_by == ME


def test_a_task_that_moved_on_is_given_back_to_the_status_it_is_in(
    board: BoardUnderTest, client: Board
) -> None:
    task = board.add_task()
    board.put(task["id"], "pm1", "qa_done")
    with pytest.raises(lease.TaskMoved, match="moved from created to qa_done"):
        take(client, task)
    now = board.task(task["id"])
    assert (now["status"], now["locked_by"]) == ("qa_done", None)


def test_a_crashed_agents_task_is_put_back_among_the_offered(board: BoardUnderTest, client: Board) -> None:
    """Offered as created, but since then worked on by an agent whose lock the board cleared as stale."""
    task = board.add_task()
    board.register(OTHER)
    board.lock(task["id"], OTHER)
    board.put(task["id"], OTHER, "under_work")
    board.shift_clock(HALF_HOUR)
    board.register("somebody")
    assert board.task(task["id"])["locked_by"] is None
    started = time.monotonic()
    with pytest.raises(lease.TaskMoved):
        take(client, task)
    assert time.monotonic() - started < lease.NOTICE_LOST
    now = board.task(task["id"])
    assert (now["status"], now["locked_by"]) == ("created", None)


def test_a_living_workers_task_is_held_back_until_that_worker_knows(upstream_board: BoardUnderTest) -> None:
    """The real board's late writer: it saw the task free long ago, and writes when another works already."""
    with Board(upstream_board.url, upstream_board.key) as client:
        theirs = working(client, upstream_board, OTHER)
        upstream_board.sql("UPDATE tasks SET locked_by = NULL, locked_at = NULL")
        offered = {**upstream_board.task(theirs.task_id), "status": "created"}
        heard = []

        def listen() -> None:
            with Heartbeat(
                client, OTHER, "backend_dev", "senior", task_id=theirs.task_id, every=0.05
            ) as heart:
                heard.append(wait_until(lambda: heart.lost))

        worker = threading.Thread(target=listen)
        worker.start()
        started = time.monotonic()
        with pytest.raises(lease.TaskMoved):
            lease.take(client, offered, ME, role="backend_dev", level="senior", notice_lost=1.0)
        assert time.monotonic() - started >= 1.0
        worker.join()
        assert heard
        now = upstream_board.task(theirs.task_id)
        assert (now["status"], now["locked_by"]) == ("created", None)


def test_ones_own_unfinished_task_is_taken_up_again(board: BoardUnderTest, client: Board) -> None:
    held = working(client, board)
    again = lease.take(client, board.task(held.task_id), ME, "created", role="backend_dev", level="senior")
    assert again.locked_at == held.locked_at
    lease.begin_work(client, again)
    board.shift_clock(HALF_HOUR)
    board.register("somebody")
    once_more = lease.take(
        client, board.task(held.task_id), ME, "created", role="backend_dev", level="senior"
    )
    assert once_more.locked_at != held.locked_at
    lease.begin_work(client, once_more)
    assert board.statuses(held.task_id) == ["pending", "created", "under_work"]
    with pytest.raises(lease.LockLost):
        lease.confirm(client, held)


@pytest.mark.fault("task-id-reused")
def test_an_id_that_was_reused_is_another_task(upstream_board: BoardUnderTest) -> None:
    with Board(upstream_board.url, upstream_board.key) as client:
        old = upstream_board.add_task()
        held = take(client, old)
        upstream_board.ok("DELETE", f"/tasks/{old['id']}", agent_id="pm1")
        new = upstream_board.add_task()
        assert new["id"] == old["id"]
        for act in (lease.confirm, lease.begin_work, lease.give_back):
            with pytest.raises(lease.TaskMoved, match="reused"):
                act(client, held)
        with pytest.raises(lease.TaskMoved, match="reused"):
            take(client, old)
        now = upstream_board.task(new["id"])
        assert (now["status"], now["locked_by"]) == ("created", None)


def test_a_deleted_task_is_not_found(board: BoardUnderTest, client: Board) -> None:
    task = board.add_task()
    held = take(client, task)
    lease.begin_work(client, held)
    board.ok("DELETE", f"/tasks/{task['id']}", agent_id="pm1")
    with pytest.raises(NotFound):
        lease.report(client, held, "dev_done")
    with pytest.raises(NotFound):
        take(client, task)


def test_an_error_that_leaves_the_lock_open_is_none_of_not_taken(board: BoardUnderTest) -> None:
    task = board.add_task()

    def behave(request: Request) -> Any:
        if request.path.endswith("/lock"):
            request.forward(board.url)
            return [RESET]
        if request.path.endswith("/tasks"):
            return [RESET]
        return [request.forward(board.url), KEEP]

    with FaultServer(behave) as server, Board(server.url, board.key, retries=1) as client:
        with pytest.raises(BoardUnreachable) as caught:
            take(client, task)
        assert not isinstance(caught.value, lease.NOT_TAKEN)
    with Board(board.url, board.key) as client:
        assert take(client, task).locked_at == board.task(task["id"])["locked_at"]


# Working


def test_beginning_twice_tells_the_board_once(board: BoardUnderTest, client: Board) -> None:
    held = working(client, board)
    lease.begin_work(client, held)
    assert board.statuses(held.task_id) == ["pending", "created", "under_work"]


def test_nothing_begins_on_a_task_that_was_taken_over(board: BoardUnderTest, client: Board) -> None:
    held = take(client, board.add_task())
    board.put(held.task_id, "pm1", "under_work")
    steal(board, held.task_id)
    with pytest.raises(lease.LockLost, match=OTHER):
        lease.begin_work(client, held)
    assert board.task(held.task_id)["locked_by"] == OTHER


def test_a_task_that_somebody_parked_before_work_began_stays_parked(
    board: BoardUnderTest, client: Board
) -> None:
    held = take(client, board.add_task())
    board.put(held.task_id, "pm1", "pending")
    with pytest.raises(lease.TaskMoved, match="pending"):
        lease.begin_work(client, held)
    now = board.task(held.task_id)
    assert (now["status"], now["locked_by"]) == ("pending", None)


# Leaving


def test_a_task_is_given_back_from_any_step(board: BoardUnderTest, client: Board) -> None:
    locked = take(client, board.add_task())
    assert lease.give_back(client, locked) == "created"
    begun = working(client, board)
    assert lease.give_back(client, begun) == "created"
    for held in (locked, begun):
        now = board.task(held.task_id)
        assert (now["status"], now["locked_by"]) == ("created", None)
        rows = board.statuses(held.task_id)
        assert lease.give_back(client, held) == "created"
        assert board.statuses(held.task_id) == rows


def test_giving_back_goes_on_where_a_crash_interrupted_it(board: BoardUnderTest, client: Board) -> None:
    held = take(client, board.add_task())
    board.put(held.task_id, ME, "under_work")
    assert lease.give_back(client, held) == "created"
    assert board.statuses(held.task_id) == ["pending", "created", "under_work", "created"]


def test_what_somebody_else_decided_meanwhile_stays(board: BoardUnderTest, client: Board) -> None:
    held = take(client, board.add_task())
    board.put(held.task_id, "pm1", "evaluation")
    assert lease.give_back(client, held) == "evaluation"
    assert board.task(held.task_id)["locked_by"] is None
    other = take(client, board.add_task())
    board.put(other.task_id, "pm1", "committed")
    with pytest.raises(lease.TaskMoved, match="committed"):
        lease.report(client, other, "dev_done", "notes")
    now = board.task(other.task_id)
    assert (now["status"], now["locked_by"], now["notes"]) == ("committed", None, None)


def test_a_task_stuck_under_work_is_given_back_to_what_it_was_before(
    board: BoardUnderTest, client: Board
) -> None:
    held = working(client, board, OTHER)
    board.shift_clock(HALF_HOUR)
    board.register("somebody")
    mine = take(client, board.task(held.task_id))
    assert (mine.status_before, mine.agent_id) == ("under_work", ME)
    assert lease.give_back(client, mine) == "created"


@pytest.mark.parametrize("act", ["report", "park", "give_back"])
def test_a_lost_lock_is_told_nothing(board: BoardUnderTest, client: Board, act: str) -> None:
    held = working(client, board)
    steal(board, held.task_id)
    before = board.task(held.task_id), board.statuses(held.task_id)
    with pytest.raises(lease.LockLost, match=OTHER):
        leave(client, held, act)
    assert (board.task(held.task_id), board.statuses(held.task_id)) == before


def leave(client: Board, held: Lease, act: str) -> None:
    if act == "report":
        lease.report(client, held, "dev_done", "notes")
    elif act == "park":
        lease.park(client, held, "why")
    else:
        lease.give_back(client, held)


def test_a_lock_that_the_board_cleared_is_lost(board: BoardUnderTest, client: Board) -> None:
    held = working(client, board)
    board.shift_clock(HALF_HOUR)
    board.register(OTHER)
    with pytest.raises(lease.LockLost, match="held by nobody"):
        lease.report(client, held, "dev_done")
    assert board.task(held.task_id)["status"] == "under_work"


@pytest.mark.fault("P6")
@pytest.mark.parametrize("act", ["report", "park", "give_back"])
def test_what_was_told_before_a_crash_is_not_told_again(
    board: BoardUnderTest, client: Board, act: str
) -> None:
    held = working(client, board)
    leave(client, held, act)
    before = board.task(held.task_id), board.statuses(held.task_id)
    leave(client, held, act)
    assert (board.task(held.task_id), board.statuses(held.task_id)) == before
    steal(board, held.task_id, before[0]["status"])
    taken = board.task(held.task_id), board.statuses(held.task_id)
    leave(client, held, act)
    assert (board.task(held.task_id), board.statuses(held.task_id)) == taken


def test_a_parked_task_says_why_below_what_it_said_before(board: BoardUnderTest, client: Board) -> None:
    held = working(client, board)
    client.comment(held.task_id, "pm1", "remember this")
    assert lease.park(client, held, "parked: blocked") == "pending"
    now = board.task(held.task_id)
    assert (now["status"], now["locked_by"]) == ("pending", None)
    assert "pm1: remember this" in now["notes"]
    assert now["notes"].endswith(f"{ME}: parked: blocked")


def test_parking_goes_on_where_a_crash_interrupted_it(board: BoardUnderTest, client: Board) -> None:
    held = working(client, board)
    board.put(held.task_id, ME, "pending")
    lease.park(client, held, "why")
    lease.park(client, held, "why")
    assert board.task(held.task_id)["notes"] == f"{ME}: why"
    assert board.statuses(held.task_id)[-2:] == ["under_work", "pending"]


def test_a_board_without_pending_gets_the_task_back(board: BoardUnderTest) -> None:
    def behave(request: Request) -> Any:
        if request.method == "PUT" and request.json["status"] == "pending":
            faults = [{"type": "enum", "loc": ["body", "status"], "msg": "Input should be 'created'"}]
            return [answer({"detail": faults}, status=422), KEEP]
        return [request.forward(board.url), KEEP]

    with FaultServer(behave) as server, Board(server.url, board.key) as client:
        held = working(client, board)
        assert lease.park(client, held, "why") == "created"
        now = board.task(held.task_id)
        assert (now["status"], now["locked_by"], now["notes"]) == ("created", None, f"{ME}: why")


@pytest.mark.fault("P6")
def test_every_outward_status_carries_the_lock_it_was_decided_under(board: BoardUnderTest) -> None:
    with (
        FaultServer(lambda request: [request.forward(board.url), KEEP]) as proxy,
        Board(proxy.url, board.key) as client,
    ):
        held = working(client, board)
        lease.report(client, held, "dev_done")
        back = take(client, board.add_task())
        lease.give_back(client, back)
        puts = [request.query for request in proxy.requests if request.method == "PUT"]
        assert [put["expect_lock"] for put in puts] == [
            f"{ME},{held.locked_at}",
            f"{ME},{held.locked_at}",
            f"{ME},{back.locked_at}",
            f"{ME},{back.locked_at}",
        ]


def test_the_normal_case_reads_one_short_listing_at_a_time(board: BoardUnderTest) -> None:
    with (
        FaultServer(lambda request: [request.forward(board.url), KEEP]) as proxy,
        Board(proxy.url, board.key) as client,
    ):
        held = working(client, board)
        lease.report(client, held, "dev_done")
        listings = [request.query for request in proxy.requests if request.path.endswith("/tasks")]
        # What an exact board answers to the lock and to under_work was decided with the lock in hand.
        read_backs = ["created", "under_work"] if board.upstream else []
        assert [listing["status"] for listing in listings] == sorted(["created", "under_work", *read_backs])
        assert all(listing["role"] == "backend_dev" for listing in listings)


def test_a_task_is_read_alone_where_the_board_can(exact_board: BoardUnderTest) -> None:
    first, second, _ = (exact_board.add_task()["id"] for _ in range(3))
    answers: list[bytes] = []

    def pass_on(request: Request) -> list[Any]:
        answers.append(request.forward(exact_board.url))
        return [answers[-1], KEEP]

    with FaultServer(pass_on) as proxy, Board(proxy.url, exact_board.key) as client:
        for status in (None, "created", "dev_done"):
            found = client.find_task(second, status=status, role="backend_dev")
            assert found is not None
            assert found.id == second
        assert client.find_task(10**30) is None
    assert not any(f'"id":{first}'.encode() in body for body in answers)


# Remembering


@dataclass
class Record:
    task_id: int
    agent_id: str
    created_at: str | None = None
    board_locked_at: str | None = None
    board_status_before: str | None = None
    task_data: dict[str, Any] = field(default_factory=dict)


def test_a_lease_survives_in_the_record(board: BoardUnderTest, client: Board) -> None:
    held = working(client, board)
    assert held.task is not None
    record = Record(held.task_id, ME, held.created_at, held.locked_at, "created", held.task.to_json())
    remembered = lease.of_record(record)
    assert lease.confirm(client, remembered, "under_work").locked_by == ME
    assert lease.report(client, remembered, "dev_done").status == "dev_done"


def test_a_record_of_the_earlier_runner_suffices_to_give_back(board: BoardUnderTest, client: Board) -> None:
    held = working(client, board)
    remembered = lease.of_record(Record(held.task_id, ME))
    assert remembered.status_before == "created"
    assert lease.give_back(client, remembered) == "created"
    assert board.task(held.task_id)["locked_by"] is None
    assert lease.give_back(client, remembered) == "created"


def test_the_status_before_is_read_from_the_changelog(board: BoardUnderTest, client: Board) -> None:
    task = board.add_task()
    assert lease.status_before(client, task["id"]) == "created"
    for status in ("dev_done", "under_work", "under_work"):
        board.put(task["id"], "pm1", status)
    assert lease.status_before(client, task["id"], task["created_at"]) == "dev_done"
    assert lease.status_before(client, task["id"], "2999-01-01T00:00:00") == "created"


def test_leases_are_held_errors_with_codes() -> None:
    assert issubclass(lease.LockLost, Held)
    assert issubclass(lease.TaskMoved, Held)
    assert (lease.LockLost.kind, lease.TaskMoved.kind) == ("lock_lost", "task_moved")
