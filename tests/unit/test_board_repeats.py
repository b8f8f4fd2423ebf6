"""Writes whose answer is lost on the way, between the client and a real board in both modes."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.board.client import Board
from hpm_tools.board.errors import LockLost, LostAnswer
from hpm_tools.errors import BoardUnreachable, Held, NotFound
from tests.support.fault_server import KEEP, RESET, Act, FaultServer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.support.board_process import BoardUnderTest

    Acts = Iterable[bytes | float | Act]
    Fault = Callable[[Request, BoardUnderTest], Acts]


def lost(request: Request, board: BoardUnderTest) -> Acts:
    request.forward(board.url)
    return [RESET]


def late(request: Request, board: BoardUnderTest) -> Acts:
    request.forward(board.url)
    return [30.0]


def failed_after(request: Request, board: BoardUnderTest) -> Acts:
    request.forward(board.url)
    return [answer("Internal Server Error", status=500), KEEP]


def garbled(request: Request, board: BoardUnderTest) -> Acts:
    request.forward(board.url)
    return [answer("<html>welcome to the hotel</html>"), KEEP]


def mistyped(request: Request, board: BoardUnderTest) -> Acts:
    request.forward(board.url)
    return [answer({"task": {"id": "one"}, "id": None}), KEEP]


def redirected(request: Request, board: BoardUnderTest) -> Acts:
    request.forward(board.url)
    return [answer("", status=302, headers={"Location": "http://example.invalid/"}), KEEP]


def never_arrived(_request: Request, _board: BoardUnderTest) -> Acts:
    return [RESET]


def failed_before(_request: Request, _board: BoardUnderTest) -> Acts:
    return [answer("Internal Server Error", status=500), KEEP]


def gateway(_request: Request, _board: BoardUnderTest) -> Acts:
    return [answer("<html>", status=503, headers={"Retry-After": "0"}), KEEP]


APPLIED = [lost, late, failed_after, garbled, mistyped, redirected]
NOT_APPLIED = [never_arrived, failed_before, gateway]
each_fault = pytest.mark.parametrize("fault", [*APPLIED, *NOT_APPLIED], ids=lambda fault: fault.__name__)


@contextmanager
def between(
    board: BoardUnderTest,
    fault: Fault,
    method: str,
    ending: str,
    *,
    times: int = 1,
    then: Callable[[], Any] = lambda: None,
) -> Iterator[tuple[Board, FaultServer]]:
    """A client behind a proxy that does ``fault`` to the first ``times`` matching requests, ``then()``
    something more, and passes everything else on."""
    left = [times]

    def behave(request: Request) -> Acts:
        if left[0] and request.method == method and request.path.endswith(ending):
            left[0] -= 1
            acts = fault(request, board)
            then()
            return acts
        return [request.forward(board.url), KEEP]

    with (
        FaultServer(behave) as server,
        Board(server.url, board.key, read=2.0, total=3.0, patience=30.0) as client,
    ):
        client.register("dev_001", "backend_dev", "senior")
        client.register("dev_002", "backend_dev", "senior")
        yield client, server


def writes(server: FaultServer, method: str, ending: str) -> int:
    return sum(r.method == method and r.path.endswith(ending) for r in server.requests)


# Locking


@pytest.mark.fault("answer-lost")
@each_fault
def test_a_lock_whose_answer_is_lost_is_held_by_us_not_by_someone_else(
    board: BoardUnderTest, fault: Fault
) -> None:
    task = board.add_task()
    with between(board, fault, "POST", "/lock") as (client, _server):
        assert client.lock(task["id"], "dev_001").locked_by == "dev_001"
    assert board.task(task["id"])["locked_by"] == "dev_001"
    assert board.statuses(task["id"]) == ["pending", "created"]


def test_a_lock_that_another_agent_got_meanwhile_names_that_agent(board: BoardUnderTest) -> None:
    task = board.add_task()

    def someone_else() -> None:
        board.lock(task["id"], "dev_002")

    with between(board, never_arrived, "POST", "/lock", then=someone_else) as (client, server):
        with pytest.raises(Held, match="held by dev_002") as caught:
            client.lock(task["id"], "dev_001")
        assert not isinstance(caught.value, LockLost)
        assert writes(server, "POST", "/lock") == 1


def test_a_lock_that_never_gets_an_answer_ends_in_an_error_not_in_a_guess(board: BoardUnderTest) -> None:
    task = board.add_task()
    with between(board, never_arrived, "POST", "/lock", times=1000) as (client, server):
        quick = client.impatient(retries=2, patience=30.0)
        with pytest.raises(LostAnswer, match="whether it was carried out is unknown"):
            quick.lock(task["id"], "dev_001")
        assert writes(server, "POST", "/lock") == 3
        quick.close()


def test_a_task_deleted_while_it_is_locked_is_not_found(board: BoardUnderTest) -> None:
    task = board.add_task()

    def delete() -> None:
        board.ok("DELETE", f"/tasks/{task['id']}", agent_id="pm1")

    with between(board, lost, "POST", "/lock", then=delete) as (client, _server), pytest.raises(NotFound):
        client.lock(task["id"], "dev_001")


# Setting a status


def under_work(board: BoardUnderTest) -> tuple[int, tuple[str, str]]:
    """A task that dev_001 works on; its id and lock."""
    board.register("dev_001")
    task = board.add_task()
    locked = board.lock(task["id"], "dev_001").json
    board.put(task["id"], "dev_001", "under_work")
    return task["id"], ("dev_001", locked["locked_at"])


@pytest.mark.fault("answer-lost")
@each_fault
@pytest.mark.parametrize("with_lock", [True, False], ids=["expect_lock", "bare"])
def test_a_status_whose_answer_is_lost_is_told_once(
    board: BoardUnderTest,
    fault: Fault,
    with_lock: bool,
) -> None:
    task, lock = under_work(board)
    with between(board, fault, "PUT", "/status") as (client, server):
        expected = {"expect_lock": lock, "since": lock[1]} if with_lock else {}
        done = client.set_status(task, "dev_001", "dev_done", "branch: x", **expected)  # type: ignore[arg-type]
        assert (done.status, done.locked_by, done.notes) == ("dev_done", None, "branch: x")
        assert writes(server, "PUT", "/status") == (1 if fault in APPLIED else 2)
    assert board.statuses(task) == ["pending", "created", "under_work", "dev_done"]


@pytest.mark.parametrize("with_lock", [True, False], ids=["expect_lock", "bare"])
def test_a_report_that_qa_took_up_at_once_is_not_repeated_over_its_head(
    board: BoardUnderTest, with_lock: bool
) -> None:
    task, lock = under_work(board)
    board.register("qa_001", "qa")

    def qa_takes_it() -> None:
        board.lock(task, "qa_001")
        board.put(task, "qa_001", "under_work")

    with between(board, lost, "PUT", "/status", then=qa_takes_it) as (client, _server):
        expected = {"expect_lock": lock, "since": lock[1]} if with_lock else {}
        now = client.set_status(task, "dev_001", "dev_done", "branch: x", **expected)  # type: ignore[arg-type]
        assert (now.status, now.locked_by) == ("under_work", "qa_001")
    assert board.statuses(task) == ["pending", "created", "under_work", "dev_done", "under_work"]


@pytest.mark.parametrize("fault", [never_arrived, failed_before, gateway], ids=lambda fault: fault.__name__)
def test_a_status_is_not_repeated_once_the_lock_is_anothers(board: BoardUnderTest, fault: Fault) -> None:
    task, lock = under_work(board)
    board.register("dev_002")

    def taken_over() -> None:
        board.put(task, "dev_002", "created")
        board.lock(task, "dev_002")
        board.put(task, "dev_002", "under_work")

    with between(board, fault, "PUT", "/status", then=taken_over) as (client, server):
        with pytest.raises(LockLost, match="dev_002"):
            client.set_status(task, "dev_001", "dev_done", expect_lock=lock, since=lock[1])
        assert writes(server, "PUT", "/status") == 1
    assert board.statuses(task)[-1] == "under_work"


def test_an_earlier_report_of_the_same_status_is_not_taken_for_this_one(board: BoardUnderTest) -> None:
    task, _lock = under_work(board)
    board.put(task, "dev_001", "dev_done")
    board.put(task, "pm1", "created")
    locked = board.lock(task, "dev_001").json
    board.put(task, "dev_001", "under_work")
    lock = ("dev_001", locked["locked_at"])
    with between(board, never_arrived, "PUT", "/status") as (client, server):
        client.set_status(task, "dev_001", "dev_done", expect_lock=lock, since=lock[1])
        assert writes(server, "PUT", "/status") == 2
    assert board.statuses(task)[-3:] == ["created", "under_work", "dev_done"]


def test_expect_lock_refuses_a_status_of_a_lock_that_is_gone(exact_board: BoardUnderTest) -> None:
    task, lock = under_work(exact_board)
    exact_board.put(task, "pm1", "created")
    with Board(exact_board.url, exact_board.key) as client, pytest.raises(LockLost, match="not locked"):
        client.set_status(task, "dev_001", "dev_done", expect_lock=lock, since=lock[1])
    assert exact_board.task(task)["status"] == "created"


def test_a_repetition_that_comes_too_late_knows_that_the_first_one_arrived(
    exact_board: BoardUnderTest,
) -> None:
    """The first request is carried out only after the client has looked and asked again."""
    task, lock = under_work(exact_board)
    first_done = threading.Event()
    seen = [0]

    def behave(request: Request) -> Acts:
        if request.method == "PUT":
            seen[0] += 1
            if seen[0] == 1:
                return [RESET]
            if seen[0] == 2 and not first_done.is_set():
                request.forward(exact_board.url)
                first_done.set()
        return [request.forward(exact_board.url), KEEP]

    with FaultServer(behave) as server, Board(server.url, exact_board.key) as client:
        done = client.set_status(task, "dev_001", "dev_done", expect_lock=lock, since=lock[1])
        assert done.status == "dev_done"
    assert exact_board.statuses(task)[-2:] == ["under_work", "dev_done"]


def test_a_status_stays_unknown_while_the_board_is_gone(board: BoardUnderTest) -> None:
    task, lock = under_work(board)
    down = [False]

    def behave(request: Request) -> Acts:
        if request.method == "PUT":
            request.forward(board.url)
            down[0] = True
        return [RESET] if down[0] else [request.forward(board.url), KEEP]

    with FaultServer(behave) as server, Board(server.url, board.key, retries=1) as client:
        started = time.monotonic()
        with pytest.raises(BoardUnreachable):
            client.set_status(task, "dev_001", "dev_done", expect_lock=lock, since=lock[1])
        assert time.monotonic() - started < 70  # a call may take 75


# Comments and new things


@pytest.mark.fault("answer-lost")
@each_fault
def test_a_comment_whose_answer_is_lost_is_made_once(board: BoardUnderTest, fault: Fault) -> None:
    task = board.add_task()
    with between(board, fault, "POST", "/comment") as (client, _server):
        client.comment(task["id"], "dev_001", "what I found")
    assert board.task(task["id"])["notes"].count("dev_001: what I found") == 1


@each_fault
def test_what_is_created_is_created_once_though_its_twin_is_older(
    board: BoardUnderTest, fault: Fault
) -> None:
    feature = board.feature()
    twin = {"feature_id": feature, "title": "Twin", "description": "same", "target_role": "backend_dev"}
    rest = {"difficulty": "junior", "branch": "main"}
    old = board.ok("POST", "/tasks/create", twin | rest | {"complexity": "minor"}, agent_id="pm1")
    board.sql("UPDATE tasks SET created_at = '2020-01-01 00:00:00.000000' WHERE id = ?", old["id"])
    with between(board, fault, "POST", "/tasks/create") as (client, server):
        made = client.create_task("pm1", **twin, **rest, complexity="minor")  # type: ignore[arg-type]
        assert made.id != old["id"]
        assert writes(server, "POST", "/tasks/create") == (1 if fault in APPLIED else 2)
    assert len(board.ok("GET", "/tasks")) == 2


@pytest.mark.parametrize("fault", [lost, never_arrived], ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("what", ["epics", "features"])
def test_epics_and_features_are_created_once(
    board: BoardUnderTest,
    fault: Fault,
    what: str,
) -> None:
    board.pm()
    with between(board, fault, "POST", f"/{what}") as (client, _server):
        epic = client.create_epic("pm1", "E", "e")
        feature = client.create_feature("pm1", epic.id, "F", "f")
        assert client.epics() == [epic]
        assert client.features(epic.id) == [feature]
