"""Every fault of the real server that ``--upstream`` reproduces (docs/headless-pm.md names them all)."""

from __future__ import annotations

import signal
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.support.board_process import running_board
from tests.support.polling import hanging_polls
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

WORKER_THREADS = 40


class TestLock:
    def test_two_at_once_are_both_told_that_they_hold_it(self, tmp_path: Path) -> None:
        agents = ("dev1", "dev2")
        with running_board(tmp_path, upstream=True, lock_delay=0.5) as board, ThreadPoolExecutor(2) as pool:
            feature = board.feature()
            for agent in agents:
                board.register(agent)

            def race() -> bool:
                task = board.add_task(feature_id=feature)["id"]
                replies = list(pool.map(lambda agent: board.lock(task, agent), agents))
                told = {reply.json["locked_by"] for reply in replies if reply.status == 200}
                assert board.task(task)["locked_by"] in told
                return told == set(agents)

            assert wait_until(race, what="two winners")

    def test_it_is_refused_to_its_holder(self, upstream_board: BoardUnderTest) -> None:
        task = upstream_board.add_task()["id"]
        upstream_board.register("dev1")
        assert upstream_board.lock(task, "dev1").status == 200
        again = upstream_board.lock(task, "dev1")
        assert again.status == 409
        assert "already locked by another agent" in again.detail

    def test_only_leaving_under_work_clears_it(self, upstream_board: BoardUnderTest) -> None:
        task = upstream_board.add_task()["id"]
        upstream_board.register("dev1")
        upstream_board.lock(task, "dev1")
        assert upstream_board.put(task, "dev1", "dev_done")["task"]["locked_by"] == "dev1"
        assert upstream_board.ok("GET", "/tasks/next", role="qa", level="junior", timeout=0) is None
        assert upstream_board.put(task, "dev1", "committed")["task"]["locked_by"] == "dev1"
        upstream_board.put(task, "dev1", "under_work")
        assert upstream_board.put(task, "dev1", "dev_done")["task"]["locked_by"] is None

    def test_expect_lock_is_a_parameter_like_any_unknown_one(self, upstream_board: BoardUnderTest) -> None:
        task = upstream_board.add_task()["id"]
        for lock in ("dev1,2020-01-01T00:00:00", "nonsense"):
            assert (
                upstream_board.put(task, "pm1", "under_work", expect_lock=lock)["task"]["status"]
                == "under_work"
            )


class TestLastSeen:
    def test_nothing_but_registering_refreshes_it(self, upstream_board: BoardUnderTest) -> None:
        task = upstream_board.add_task()["id"]
        upstream_board.register("dev1")
        seen = self.seen(upstream_board)
        upstream_board.shift_clock(60)
        upstream_board.lock(task, "dev1")
        upstream_board.put(task, "dev1", "under_work")
        upstream_board.ok("POST", f"/tasks/{task}/comment", {"comment": "@dev1"}, agent_id="dev1")
        document = {"doc_type": "update", "title": "t", "content": "c"}
        upstream_board.ok("POST", "/documents", document, author_id="dev1")
        upstream_board.ok("PUT", "/mentions/1/read", agent_id="dev1")
        upstream_board.ok("GET", "/changes", since="2020-01-01T00:00:00", agent_id="dev1")
        upstream_board.ok("GET", "/tasks/next", role="backend_dev", level="senior", timeout=0)
        assert self.seen(upstream_board) == seen
        upstream_board.register("dev1")
        assert self.seen(upstream_board) > seen

    def seen(self, board: BoardUnderTest) -> str:
        return next(str(it["last_seen"]) for it in board.ok("GET", "/agents") if it["agent_id"] == "dev1")

    def test_an_agent_idle_too_long_loses_its_new_lock_as_it_begins(
        self, upstream_board: BoardUnderTest
    ) -> None:
        task = upstream_board.add_task()["id"]
        upstream_board.register("dev1")
        upstream_board.shift_clock(31 * 60)
        assert upstream_board.lock(task, "dev1").status == 200
        assert upstream_board.put(task, "dev1", "under_work")["task"]["locked_by"] == "dev1", "so it is told"
        assert upstream_board.task(task)["locked_by"] is None

    def test_a_task_under_way_is_offered_again_after_half_an_hour(
        self, upstream_board: BoardUnderTest
    ) -> None:
        task = upstream_board.add_task()["id"]
        upstream_board.register("dev1")
        upstream_board.lock(task, "dev1")
        upstream_board.shift_clock(31 * 60)
        offered = upstream_board.ok("GET", "/tasks/next", role="backend_dev", level="junior", timeout=0)
        assert (offered["id"], offered["locked_by"]) == (task, None)


class TestLongPolls:
    def test_they_look_every_five_seconds_only(self, upstream_board: BoardUnderTest) -> None:
        task = upstream_board.add_task("pending")["id"]
        began = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            query = {"role": "backend_dev", "level": "senior", "timeout": 7}
            poll = pool.submit(upstream_board.ok, "GET", "/tasks/next", **query)
            with pytest.raises(TimeoutError):
                poll.result(0.5)
            upstream_board.put(task, "pm1", "created")
            assert poll.result(30)["id"] == task
        assert time.monotonic() - began >= 5

    def test_forty_stop_the_server_even_after_they_hung_up(self, tmp_path: Path) -> None:
        with running_board(tmp_path, upstream=True) as board:
            threads = psutil.Process(board.pid).num_threads
            idle = threads()
            with hanging_polls(board, WORKER_THREADS - 1, timeout=600):
                wait_until(lambda: threads() >= idle + WORKER_THREADS - 1, what="39 threads")
                assert board.call("GET", "//health").status == 200
                with hanging_polls(board, 1, timeout=600):
                    wait_until(lambda: not answers(board), what="a server that stands still")
            assert not answers(board), "nobody polls any more, and still"

    def test_ending_waits_for_them_and_refuses_everybody_else(self, tmp_path: Path) -> None:
        with running_board(tmp_path, upstream=True) as board, hanging_polls(board, 1, timeout=12) as (poll,):
            idle = psutil.Process(board.pid)
            wait_until(lambda: idle.num_threads() > 1, what="a thread that polls")
            board.process.process.send_signal(signal.SIGTERM)
            place = urlsplit(board.url)
            wait_until(lambda: not accepts(str(place.hostname), int(place.port or 0)), what="refusal")
            assert board.alive
            assert poll.answer() == b"null"
            assert board.process.process.wait(300) == 0

    def test_a_second_signal_ends_at_once(self, tmp_path: Path) -> None:
        with running_board(tmp_path, upstream=True) as board, hanging_polls(board, 2, timeout=600):
            server = psutil.Process(board.pid)
            wait_until(lambda: server.num_threads() > 2, what="two threads that poll")
            board.process.process.send_signal(signal.SIGTERM)
            place = urlsplit(board.url)
            wait_until(lambda: not accepts(str(place.hostname), int(place.port or 0)), what="refusal")
            board.process.process.send_signal(signal.SIGTERM)
            assert board.process.process.wait(300) == 0


class TestIdsAndText:
    def test_the_highest_id_is_given_again(self, upstream_board: BoardUnderTest) -> None:
        feature = upstream_board.feature()
        tasks = [upstream_board.add_task(feature_id=feature) for _ in range(3)]
        upstream_board.ok("DELETE", f"/tasks/{tasks[2]['id']}", agent_id="pm1")
        again = upstream_board.add_task(feature_id=feature)
        assert again["id"] == tasks[2]["id"]
        assert again["created_at"] > tasks[2]["created_at"]
        upstream_board.ok("DELETE", f"/tasks/{tasks[0]['id']}", agent_id="pm1")
        assert upstream_board.add_task(feature_id=feature)["id"] == again["id"] + 1, "a gap stays"

    def test_notes_of_a_status_overwrite_comments(self, upstream_board: BoardUnderTest) -> None:
        task = upstream_board.add_task()["id"]
        upstream_board.ok("POST", f"/tasks/{task}/comment", {"comment": "lost"}, agent_id="dev1")
        upstream_board.put(task, "pm1", "under_work")
        assert upstream_board.task(task)["notes"] == "dev1: lost"
        assert upstream_board.put(task, "pm1", "dev_done", "branch: b")["task"]["notes"] == "branch: b"
        upstream_board.ok("POST", f"/tasks/{task}/comment", {"comment": "kept"}, agent_id="dev1")
        assert upstream_board.task(task)["notes"] == "branch: b\n\ndev1: kept"

    @pytest.mark.parametrize("since", ["2020-01-01T00:00:00Z", "2020-01-01T00:00:00+00:00", "1577836800"])
    def test_changes_since_a_moment_with_a_zone_are_none(
        self, upstream_board: BoardUnderTest, since: str
    ) -> None:
        upstream_board.add_task()
        assert upstream_board.ok("GET", "/changes", since=since, agent_id="x")["changes"] == []
        naive = upstream_board.ok("GET", "/changes", since="2020-01-01T00:00:00", agent_id="x")
        assert len(naive["changes"]) == 2


class TestErrors:
    def test_an_agent_that_made_a_task_cannot_be_deleted(self, upstream_board: BoardUnderTest) -> None:
        upstream_board.add_task()
        upstream_board.register("pm2", "pm")
        upstream_board.register("dev1")
        internal_error(upstream_board.call("DELETE", "/agents/pm1", requester_agent_id="pm2"))
        assert upstream_board.call("DELETE", "/agents/dev1", requester_agent_id="pm2").status == 200

    def test_first_registrations_at_once_collide(self, tmp_path: Path) -> None:
        with running_board(tmp_path, upstream=True, lock_delay=0.5) as board, ThreadPoolExecutor(4) as pool:
            ids = (f"dev{n}" for n in count())

            def race() -> bool:
                body = {"agent_id": next(ids), "role": "qa", "level": "junior"}
                calls = [pool.submit(board.call, "POST", "/register", body) for _ in range(4)]
                replies = sorted((call.result() for call in calls), key=lambda reply: reply.status)
                assert replies[0].status == 200
                if replies[-1].status == 200:
                    return False
                internal_error(replies[-1])
                return True

            assert wait_until(race, what="a collision")

    def test_a_database_held_by_another_process_is_one_after_five_seconds(
        self, upstream_board: BoardUnderTest
    ) -> None:
        with closing(sqlite3.connect(upstream_board.db, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            body = {"agent_id": "dev1", "role": "qa", "level": "junior"}
            internal_error(upstream_board.call("POST", "/register", body))
            assert time.monotonic() - began >= 5
            assert upstream_board.ok("GET", "/tasks") == []


class TestKeysAndHealth:
    @pytest.mark.parametrize("key", ["development-key", "XXXXXX"])
    def test_well_known_keys_are_accepted_as_well(self, upstream_board: BoardUnderTest, key: str) -> None:
        assert upstream_board.call("GET", "/tasks", key=key).status == 200

    def test_a_dashboard_port_degrades_health(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DASHBOARD_PORT", "3001")
        with running_board(tmp_path, upstream=True) as board:
            health = board.call("GET", "//health").json
            assert (health["status"], health["database"]) == ("degraded", "healthy")


def internal_error(reply: Any) -> None:
    assert (reply.status, reply.body) == (500, b"Internal Server Error")
    assert reply.headers["content-type"].startswith("text/plain")


def answers(board: BoardUnderTest) -> bool:
    try:
        return bool(board.call("GET", "//health", within=2).status == 200)
    except TimeoutError:
        return False


def accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True
