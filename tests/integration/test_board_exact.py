"""Where the real server is wrong, ours is right."""

from __future__ import annotations

import json
import select
import signal
import sqlite3
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.support.board_process import path_of, running_board
from tests.support.polling import hanging_polls
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.board_process import BoardUnderTest, Reply
    from tests.support.polling import Poll

AT_ONCE = 200.0


def answered(polls: Sequence[Poll]) -> list[Poll]:
    """Those of ``polls`` that an answer has come to."""
    return [poll for poll in polls if select.select([poll.socket], [], [], 0)[0]]


"""Seconds that count as at once on a busy machine; unprompted, a waiting agent looks every 20."""


def all_at_once(calls: list[Callable[[], Reply]]) -> list[Reply]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


class TestLock:
    def test_of_fifty_callers_exactly_one_wins(self, exact_board: BoardUnderTest) -> None:
        task = exact_board.add_task()["id"]
        agents = [f"dev{n}" for n in range(50)]
        for agent in agents:
            exact_board.register(agent)
        replies = all_at_once([lambda agent=agent: exact_board.lock(task, agent) for agent in agents])  # type: ignore[misc]
        assert sorted(reply.status for reply in replies) == [200] + [409] * 49
        (winner,) = (reply.json for reply in replies if reply.status == 200)
        assert exact_board.task(task) == winner

    def test_the_holder_may_lock_again(self, exact_board: BoardUnderTest) -> None:
        task = exact_board.add_task()["id"]
        exact_board.register("dev1")
        first = exact_board.lock(task, "dev1")
        assert exact_board.lock(task, "dev1").json == first.json

    def test_a_holder_who_skips_under_work_frees_the_task_for_qa(self, exact_board: BoardUnderTest) -> None:
        task = exact_board.add_task()["id"]
        exact_board.register("dev1")
        exact_board.lock(task, "dev1")
        assert exact_board.put(task, "dev1", "created")["task"]["locked_by"] == "dev1"
        assert exact_board.put(task, "dev1", "dev_done")["task"]["locked_by"] is None
        assert exact_board.ok("GET", "/tasks/next", role="qa", level="junior", timeout=0)["id"] == task

    def test_any_call_in_an_agents_name_keeps_its_locks(self, exact_board: BoardUnderTest) -> None:
        task = exact_board.add_task()["id"]
        exact_board.register("dev1")
        exact_board.shift_clock(40 * 60)
        assert exact_board.lock(task, "dev1").status == 200
        exact_board.shift_clock(60 * 60)
        assert exact_board.put(task, "dev1", "under_work")["task"]["locked_by"] == "dev1"
        exact_board.shift_clock(80 * 60)
        exact_board.ok("POST", f"/tasks/{task}/comment", {"comment": "still here"}, agent_id="dev1")
        exact_board.shift_clock(100 * 60)
        exact_board.register("dev2")
        assert exact_board.task(task)["locked_by"] == "dev1"


class TestExpectLock:
    @pytest.fixture
    def held(self, exact_board: BoardUnderTest) -> Any:
        task = exact_board.add_task()["id"]
        for agent in ("dev1", "dev,2"):
            exact_board.register(agent)
        return exact_board.lock(task, "dev1").json

    def put(self, board: BoardUnderTest, task: Any, expect_lock: str) -> Reply:
        path, body = f"/tasks/{task['id']}/status", {"status": "under_work", "notes": "mine"}
        return board.call("PUT", path, body, agent_id="dev1", expect_lock=expect_lock)

    def test_true_it_changes_nothing_else(self, exact_board: BoardUnderTest, held: Any) -> None:
        lock = f"dev1,{held['locked_at']}"
        assert self.put(exact_board, held, lock).json["task"]["status"] == "under_work"
        assert self.put(exact_board, held, lock + "+00:00").status == 200
        reply = exact_board.put(held["id"], "dev1", "created", expect_lock=lock)
        assert reply["task"]["locked_by"] is None

    def test_untrue_it_is_409_and_nothing_happens(self, exact_board: BoardUnderTest, held: Any) -> None:
        before = exact_board.task(held["id"]), exact_board.ok("GET", "/changelog")
        for lock in (f"dev2,{held['locked_at']}", "dev1,2020-01-01T00:00:00", f",{held['locked_at']}"):
            reply = self.put(exact_board, held, lock)
            assert reply.status == 409
            assert f"locked by dev1 since {held['locked_at']}" in reply.detail
        assert (exact_board.task(held["id"]), exact_board.ok("GET", "/changelog")) == before

    def test_of_a_task_that_is_not_locked_it_is_409(self, exact_board: BoardUnderTest, held: Any) -> None:
        exact_board.put(held["id"], "pm1", "under_work")
        exact_board.put(held["id"], "pm1", "created")
        reply = self.put(exact_board, held, f"dev1,{held['locked_at']}")
        assert (reply.status, reply.detail) == (
            409,
            f"Task {held['id']} is not locked, not as expect_lock says.",
        )

    def test_a_later_lock_of_the_same_agent_is_another_lock(
        self, exact_board: BoardUnderTest, held: Any
    ) -> None:
        exact_board.put(held["id"], "dev1", "under_work")
        exact_board.put(held["id"], "dev1", "created")
        again = exact_board.lock(held["id"], "dev1").json
        assert self.put(exact_board, held, f"dev1,{held['locked_at']}").status == 409
        assert self.put(exact_board, held, f"dev1,{again['locked_at']}").status == 200

    def test_an_agent_id_may_hold_commas(self, exact_board: BoardUnderTest, held: Any) -> None:
        exact_board.put(held["id"], "dev1", "under_work")
        exact_board.put(held["id"], "dev1", "created")
        lock = exact_board.lock(held["id"], "dev,2").json
        assert self.put(exact_board, held, f"dev,2,{lock['locked_at']}").status == 200

    @pytest.mark.parametrize("lock", ["", "dev1", "dev1,", "dev1,yesterday", "2026-01-01T00:00:00"])
    def test_what_is_no_lock_is_422(self, exact_board: BoardUnderTest, held: Any, lock: str) -> None:
        assert self.put(exact_board, held, lock).status == 422

    @pytest.mark.fault("P6")
    def test_only_one_of_two_reports_can_be_true(self, exact_board: BoardUnderTest, held: Any) -> None:
        exact_board.put(held["id"], "dev1", "under_work")
        lock = f"dev1,{held['locked_at']}"

        def report(status: str) -> Callable[[], Reply]:
            path, body = f"/tasks/{held['id']}/status", {"status": status}
            return lambda: exact_board.call("PUT", path, body, agent_id="dev1", expect_lock=lock)

        replies = all_at_once([report(status) for status in ("dev_done", "created") * 5])
        assert sorted(reply.status for reply in replies) == [200] + [409] * 9


class TestNext:
    def test_it_wakes_at_once_when_a_task_appears(self, exact_board: BoardUnderTest) -> None:
        task = exact_board.add_task("pending")["id"]
        woken = self.wake(exact_board, "backend_dev", lambda: exact_board.put(task, "pm1", "created"))
        assert woken["id"] == task

    def test_it_wakes_at_once_when_a_lock_goes(self, exact_board: BoardUnderTest) -> None:
        task = exact_board.add_task("created")["id"]
        exact_board.register("dev1")
        exact_board.lock(task, "dev1")
        delete = lambda: exact_board.ok("DELETE", "/agents/dev1", requester_agent_id="pm1")  # noqa: E731
        assert self.wake(exact_board, "backend_dev", delete)["id"] == task

    def test_it_wakes_at_once_for_qa(self, exact_board: BoardUnderTest) -> None:
        task = exact_board.add_task("under_work")["id"]
        report = lambda: exact_board.put(task, "pm1", "dev_done")  # noqa: E731
        assert self.wake(exact_board, "qa", report)["id"] == task

    def wake(self, board: BoardUnderTest, role: str, act: Callable[[], object]) -> Any:
        """What a poll of ten minutes answers when ``act`` happens while it waits."""
        with ThreadPoolExecutor(1) as pool:
            poll = pool.submit(board.ok, "GET", "/tasks/next", role=role, level="principal", timeout=600)
            with pytest.raises(TimeoutError):
                poll.result(0.5)
            act()
            began = time.monotonic()
            task = poll.result(300)
            assert time.monotonic() - began < AT_ONCE
        return task

    @pytest.mark.extended
    def test_a_hundred_idle_pollers_cost_no_thread(self, tmp_path: Path) -> None:
        with running_board(tmp_path) as board:
            task = board.add_task("pending")["id"]
            process = psutil.Process(board.pid)
            threads = process.num_threads()
            with hanging_polls(board, 100, timeout=600) as polls:
                connected = lambda: len(process.net_connections("tcp")) > 100  # noqa: E731
                wait_until(connected, what="100 connections")
                began = time.monotonic()
                assert board.call("GET", "//health").json["status"] == "healthy"
                assert time.monotonic() - began < AT_ONCE
                # Looking takes worker threads for a moment, which stay for the next request; forty at most.
                assert process.num_threads() <= max(threads, 1 + 40 + 1)
                board.put(task, "pm1", "created")
                told = wait_until(lambda: answered(polls), what="an answer")
                assert json.loads(told[0].answer())["id"] == task

    def test_a_task_that_is_taken_is_not_told_to_all_who_wait(self, exact_board: BoardUnderTest) -> None:
        exact_board.register("dev1")
        first, second = (exact_board.add_task("pending")["id"] for _ in range(2))
        process = psutil.Process(exact_board.pid)
        with hanging_polls(exact_board, 20, timeout=600) as polls:
            wait_until(lambda: len(process.net_connections("tcp")) > 20, what="20 connections")
            told: set[int] = set()
            for task in (first, second):
                exact_board.put(task, "pm1", "created")
                while task not in told:
                    found = wait_until(lambda: answered(polls), what="an answer")
                    told |= {json.loads(poll.answer())["id"] for poll in found}
                    polls[:] = [poll for poll in polls if poll not in found]
                exact_board.lock(task, "dev1")
            assert polls

    def test_a_task_that_is_not_taken_is_told_to_the_next(self, exact_board: BoardUnderTest) -> None:
        task = exact_board.add_task("pending")["id"]
        with hanging_polls(exact_board, 3, timeout=600) as polls:
            exact_board.put(task, "pm1", "created")
            assert [json.loads(poll.answer())["id"] for poll in polls] == [task] * 3

    def test_a_task_of_an_emptied_database_keeps_none_of_its_id_from_anybody(
        self, exact_board: BoardUnderTest
    ) -> None:
        for titles in (["of before"], ["of now", "younger"]):
            for title in titles:
                exact_board.add_task(title=title)
            told = exact_board.ok("GET", "/tasks/next", role="backend_dev", level="principal", timeout=60)
            assert (told["id"], told["title"]) == (1, titles[0])
            exact_board.wipe()

    def test_it_wakes_at_once_when_a_stale_lock_is_cleared(self, exact_board: BoardUnderTest) -> None:
        task = exact_board.add_task("created")["id"]
        exact_board.register("dev1")
        exact_board.lock(task, "dev1")

        def half_an_hour_later() -> None:
            exact_board.shift_clock(31 * 60)
            exact_board.register("dev2", "frontend_dev")

        assert self.wake(exact_board, "backend_dev", half_an_hour_later)["id"] == task


class TestEnding:
    def test_sigterm_answers_those_who_wait_and_is_gone(self, tmp_path: Path) -> None:
        with running_board(tmp_path) as board, hanging_polls(board, 5, timeout=600) as polls:
            wait_until(
                lambda: len(psutil.Process(board.pid).net_connections("tcp")) > 5, what="5 connections"
            )
            began = time.monotonic()
            board.process.process.send_signal(signal.SIGTERM)
            assert [poll.answer() for poll in polls] == [b"null"] * 5
            assert board.process.process.wait(300) == 0
            assert time.monotonic() - began < AT_ONCE
            assert board.log.read_text(encoding="utf-8") == ""

    def test_what_was_answered_survives_sigkill(self, tmp_path: Path) -> None:
        with running_board(tmp_path) as board:
            task = board.add_task()
            board.process.kill()
        with running_board(tmp_path) as again:
            assert again.task(task["id"]) == task


class TestIds:
    def test_they_are_never_given_again(self, exact_board: BoardUnderTest) -> None:
        feature = exact_board.feature()
        first = exact_board.add_task(feature_id=feature)["id"]
        exact_board.ok("DELETE", f"/tasks/{first}", agent_id="pm1")
        assert exact_board.add_task(feature_id=feature)["id"] == first + 1
        exact_board.ok("DELETE", f"/features/{feature}", agent_id="pm1")
        assert exact_board.feature() > feature
        assert exact_board.add_task()["id"] == first + 2


class TestText:
    def test_notes_replace_notes_and_never_comments(self, exact_board: BoardUnderTest) -> None:
        task = exact_board.add_task()["id"]
        exact_board.put(task, "pm1", "under_work", "begun")
        exact_board.ok("POST", f"/tasks/{task}/comment", {"comment": "careful"}, agent_id="dev1")
        exact_board.put(task, "pm1", "dev_done", "branch: b")
        assert exact_board.task(task)["notes"] == "branch: b\n\ndev1: careful"

    def test_of_twenty_comments_at_once_none_is_lost(self, exact_board: BoardUnderTest) -> None:
        task = exact_board.add_task()["id"]
        path = f"/tasks/{task}/comment"
        calls: list[Callable[[], Reply]] = [
            lambda n=n: exact_board.call("POST", path, {"comment": f"c{n}"}, agent_id="dev1")  # type: ignore[misc]
            for n in range(20)
        ]
        assert {reply.status for reply in all_at_once(calls)} == {200}
        assert sorted(exact_board.task(task)["notes"].split("\n\n")) == sorted(
            f"dev1: c{n}" for n in range(20)
        )

    @pytest.mark.parametrize(
        ("method", "path", "body", "query"),
        [
            ("POST", "/register", r'{"agent_id": "\ud800", "role": "qa", "level": "senior"}', {}),
            ("POST", "/register", '{"agent_id": NaN, "role": Infinity, "level": "senior"}', {}),
            (
                "POST",
                "/documents",
                r'{"doc_type":"update","title":"t","content":"\udfff"}',
                {"author_id": "x"},
            ),
            (
                "POST",
                "/documents",
                r'{"doc_type":"update","title":"t","content":"c","meta_data":{"\ud800":[NaN]}}',
                {"author_id": "x"},
            ),
            (
                "POST",
                "/services/register",
                r'{"service_name":"a","ping_url":"b","meta_data":{"a":1e999}}',
                {"agent_id": "x"},
            ),
            ("PUT", "/tasks/1/status", '{"status": "created", "notes": 5}', {"agent_id": "pm1"}),
            ("POST", "/register", "[" * 5000, {}),
            ("POST", "/register", "", {}),
            ("POST", "/register", "null", {}),
        ],
    )
    def test_input_that_cannot_be_kept_is_refused_in_json(
        self, exact_board: BoardUnderTest, method: str, path: str, body: str, query: dict[str, Any]
    ) -> None:
        exact_board.add_task()
        reply = exact_board.call(method, path, data=body.encode(), **query)
        assert reply.status in (400, 422)
        assert reply.detail

    @pytest.mark.parametrize("number", [2**63 - 1, 2**63, -(2**63) - 1, 10**200, -1, 0])
    def test_numbers_beyond_the_database_are_just_not_there(
        self, exact_board: BoardUnderTest, number: int
    ) -> None:
        exact_board.add_task()
        pm: dict[str, Any] = {"agent_id": "pm1"}
        nobody: dict[str, Any] = {}
        for method, path, query in (
            ("POST", f"/tasks/{number}/lock", pm),
            ("DELETE", f"/tasks/{number}", pm),
            ("DELETE", f"/epics/{number}", pm),
            ("GET", f"/documents/{number}", nobody),
            ("PUT", f"/mentions/{number}/read", pm),
        ):
            assert exact_board.call(method, path, **query).status == 404, (method, path)
        assert exact_board.ok("GET", f"/features/{number}") == []
        for path in ("/changelog", "/documents", "/mentions"):
            assert exact_board.call("GET", path, limit=number).status == 200
        body = {"feature_id": number, "title": "", "description": "", "branch": ""}
        kind = {"target_role": "qa", "difficulty": "junior"}
        assert exact_board.call("POST", "/tasks/create", body | kind, agent_id="pm1").status == 404


class TestAgents:
    def test_twelve_first_registrations_at_once_make_one_agent(self, exact_board: BoardUnderTest) -> None:
        body = {"agent_id": "dev1", "role": "qa", "level": "junior"}
        replies = all_at_once([lambda: exact_board.call("POST", "/register", body)] * 12)
        assert {reply.status for reply in replies} == {200}
        assert len(exact_board.ok("GET", "/agents")) == 1

    def test_one_who_made_tasks_can_be_deleted_and_stays_their_maker(
        self, exact_board: BoardUnderTest
    ) -> None:
        task = exact_board.add_task()
        exact_board.register("pm2", "pm")
        exact_board.ok("DELETE", path_of("agents", "pm1"), requester_agent_id="pm2")
        assert exact_board.task(task["id"])["created_by"] == "pm1"

    def test_the_well_known_keys_open_nothing(self, exact_board: BoardUnderTest) -> None:
        for key in ("development-key", "XXXXXX"):
            assert exact_board.call("GET", "/tasks", key=key).status == 401

    def test_a_dashboard_port_degrades_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DASHBOARD_PORT", "3001")
        with running_board(tmp_path) as board:
            assert board.call("GET", "//health").json["status"] == "healthy"


class TestChanges:
    @pytest.mark.parametrize(
        "since",
        [
            "2020-01-01T00:00:00",
            "2020-01-01T00:00:00Z",
            "2020-01-01T02:00:00+02:00",
            "1577836800",
            "1577836800.5",
        ],
    )
    def test_every_way_to_name_a_moment_is_understood(self, exact_board: BoardUnderTest, since: str) -> None:
        exact_board.add_task()
        reply = exact_board.ok("GET", "/changes", since=since, agent_id="x")
        assert [change["data"]["new_status"] for change in reply["changes"]] == ["pending", "created"]

    def test_a_zone_shifts_the_moment(self, exact_board: BoardUnderTest) -> None:
        exact_board.add_task()
        empty = exact_board.ok("GET", "/changes", since="2100-01-01T02:00:00+02:00", agent_id="x")
        assert empty == {"changes": [], "last_timestamp": "2100-01-01T00:00:00"}
        for edge in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
            assert exact_board.call("GET", "/changes", since=edge, agent_id="x").status == 200


class TestDatabase:
    def test_it_is_private_and_in_wal(self, exact_board: BoardUnderTest) -> None:
        exact_board.pm()
        for suffix in ("", "-wal", "-shm"):
            assert stat.S_IMODE(Path(exact_board.db + suffix).stat().st_mode) == 0o600
        assert exact_board.sql("PRAGMA journal_mode") == [("wal",)]

    def test_held_by_another_process_it_is_503_and_readers_go_on(self, tmp_path: Path) -> None:
        with running_board(tmp_path) as board:
            body = {"agent_id": "dev1", "role": "qa", "level": "junior"}
            with closing(sqlite3.connect(board.db, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with ThreadPoolExecutor(40) as pool:
                    writers = [pool.submit(board.call, "POST", "/register", body) for _ in range(40)]
                    began = time.monotonic()
                    assert board.call("GET", "//health").json["database"] == "healthy"
                    assert time.monotonic() - began < AT_ONCE
                    replies = [writer.result() for writer in writers]
                assert {reply.status for reply in replies} == {503}
                assert replies[0].headers["retry-after"] == "1"
                assert "held by another process" in replies[0].detail
                assert board.ok("GET", "/agents") == []
            assert board.call("POST", "/register", body).status == 200
