"""The client against a real board, ours and one with the real server's faults."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from hpm_tools.board.client import Board
from hpm_tools.errors import BadData, BoardUnreachable, Held, NotFound, Refused
from tests.support.board_process import running_board

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest


@pytest.fixture
def client(board: BoardUnderTest) -> Iterator[Board]:
    with Board(board.url, board.key) as client:
        yield client


def test_health_tells_what_the_board_can_and_how_fast_it_is(board: BoardUnderTest, client: Board) -> None:
    health = client.health()
    assert health.version == "1.0.0"
    assert health.exact_lock is not board.upstream
    assert health.cheap_wait is not board.upstream
    assert 0 < health.seconds < 300
    assert client.advertises() == health
    assert client.context().database_type == "sqlite"


def test_registering_again_keeps_the_first_role_and_says_so(client: Board) -> None:
    assert client.register("dev_001", "backend_dev", "senior").differs == ""
    again = client.register("dev_001", "qa", "junior")
    assert (again.agent.role, again.agent.level) == ("backend_dev", "senior")
    assert again.differs == "the board keeps agent dev_001 as senior backend_dev, not as junior qa"
    assert [agent.agent_id for agent in client.agents()] == ["dev_001"]


def test_fullstack_registers_as_backend_and_is_offered_both_roles_oldest_first(
    board: BoardUnderTest, client: Board
) -> None:
    assert client.register("full", "fullstack_dev", "senior").differs == ""
    front = board.add_task(target_role="frontend_dev")
    back = board.add_task(target_role="backend_dev")
    first = client.next_task("fullstack_dev", "senior")
    assert first is not None
    assert first.id == front["id"]
    board.put(front["id"], "pm1", "pending")
    second = client.next_task("fullstack_dev", "senior")
    assert second is not None
    assert second.id == back["id"]
    board.put(back["id"], "pm1", "pending")
    assert client.next_task("fullstack_dev", "senior") is None


def test_a_board_is_filled_read_and_worked_through(board: BoardUnderTest, client: Board) -> None:
    board.pm()
    epic = client.create_epic("pm1", "Greetings", "All of them")
    feature = client.create_feature("pm1", epic.id, "Hello", "First")
    title = "Say hello\x1b[31m é 🙂\n" + "x" * 2_000_000
    made = client.create_task(
        "pm1",
        feature_id=feature.id,
        title=title,
        description="",
        target_role="backend_dev",
        difficulty="junior",
        branch="../../etc; x",
    )
    assert (made.status, made.complexity, made.title) == ("pending", "major", title)
    assert client.epics() == [epic]
    assert client.features(epic.id) == [feature]
    assert client.next_task("backend_dev", "principal") is None
    assert client.set_status(made.id, "pm1", "created").status == "created"
    offered = client.next_task("backend_dev", "junior")
    assert offered is not None
    assert offered.id == made.id
    client.register("dev_001", "backend_dev", "junior")
    assert client.lock(made.id, "dev_001").locked_by == "dev_001"
    assert client.next_task("backend_dev", "principal") is None
    client.set_status(made.id, "dev_001", "under_work")
    done = client.set_status(made.id, "dev_001", "dev_done", "branch: x")
    assert (done.locked_by, done.notes) == (None, "branch: x")
    client.comment(made.id, "dev_001", "and more")
    assert [task.id for task in client.tasks("dev_done", "backend_dev")] == [made.id]
    assert client.tasks("created") == []
    found = client.find_task(made.id, status="dev_done", role="backend_dev")
    assert found is not None
    assert found.notes == "branch: x\n\ndev_001: and more"
    changes = [(row.old_status, row.new_status, row.changed_by) for row in client.changelog(limit=3)]
    assert changes == [
        ("under_work", "dev_done", "dev_001"),
        ("created", "under_work", "dev_001"),
        ("pending", "created", "pm1"),
    ]


def test_a_task_is_found_by_one_short_listing_and_by_all_when_it_moved(
    board: BoardUnderTest, client: Board
) -> None:
    task = board.add_task()
    for status, role in (("created", "backend_dev"), ("under_work", None), ("dev_done", "qa"), (None, None)):
        found = client.find_task(task["id"], status=status, role=role)
        assert found is not None
        assert found.status == "created"
    assert client.find_task(task["id"] + 1) is None


def test_ones_own_lock_counts_as_taken_and_anothers_names_its_holder(
    board: BoardUnderTest, client: Board
) -> None:
    task = board.add_task()
    for agent in ("dev_001", "dev_002"):
        client.register(agent, "backend_dev", "senior")
    first = client.lock(task["id"], "dev_001")
    again = client.lock(task["id"], "dev_001")
    assert (again.locked_by, again.locked_at) == ("dev_001", first.locked_at)
    with pytest.raises(Held, match="held by dev_001"):
        client.lock(task["id"], "dev_002")


def test_unknown_things_are_named(board: BoardUnderTest, client: Board) -> None:
    task = board.add_task()
    client.register("dev_001", "backend_dev", "senior")
    with pytest.raises(NotFound, match="99 not found"):
        client.lock(99, "dev_001")
    with pytest.raises(NotFound, match="nobody"):
        client.lock(task["id"], "nobody")
    with pytest.raises(NotFound):
        client.set_status(99, "dev_001", "created")
    with pytest.raises(NotFound):
        client.comment(99, "dev_001", "text")
    with pytest.raises(BadData, match=r"body\.status: Input should be"):
        client.set_status(task["id"], "dev_001", "completed")
    with pytest.raises(BadData, match=r"body\.role"):
        client.register("dev_002", "chef", "senior")
    with pytest.raises(Refused):
        client.create_epic("dev_001", "E", "not a pm")


def test_a_wrong_or_missing_key_is_refused(board: BoardUnderTest) -> None:
    for key, problem in (
        ("wrong", "refused the API key"),
        ("", "no API key is set"),
        (None, "no API key is set"),
    ):
        with Board(board.url, key) as client:
            with pytest.raises(Refused, match=problem) as caught:
                client.tasks()
            assert "HEADLESS_PM_API_KEY" in caught.value.hint
            assert client.health().version == "1.0.0"


def test_a_long_poll_wakes_when_a_task_appears(exact_board: BoardUnderTest) -> None:
    with Board(exact_board.url, exact_board.key, read=1.0, total=1.0) as client:
        feature = exact_board.feature()
        timer = threading.Timer(1.5, lambda: exact_board.add_task(feature_id=feature))
        timer.start()
        started = time.monotonic()
        assert client.next_task("backend_dev", "senior", timeout=500) is not None
        assert 1.0 < time.monotonic() - started < 300
        timer.join()
        assert client.next_task("qa", "senior", timeout=1) is None


def test_a_fullstack_poll_notices_either_role(exact_board: BoardUnderTest) -> None:
    with Board(exact_board.url, exact_board.key) as client:
        feature = exact_board.feature()
        timer = threading.Timer(
            0.5, lambda: exact_board.add_task(feature_id=feature, target_role="frontend_dev")
        )
        timer.start()
        found = client.next_task("fullstack_dev", "senior", timeout=500)
        timer.join()
        assert found is not None
        assert found.target_role == "frontend_dev"


@pytest.mark.parametrize("upstream", [False, True], ids=["exact", "upstream"])
def test_a_board_that_comes_back_is_used_again(tmp_path: Path, upstream: bool) -> None:
    with running_board(tmp_path, upstream=upstream) as first:
        url = first.url
        client = Board(url, first.key, retries=1)
        task = first.add_task()
    with pytest.raises(BoardUnreachable, match="no connection"):
        client.tasks()
    port = int(url.rpartition(":")[2])
    with running_board(tmp_path, upstream=upstream, port=port):
        assert [found.id for found in client.tasks()] == [task["id"]]
        client.close()
