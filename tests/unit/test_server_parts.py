"""The board server's parts by themselves, on real files."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import stat
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from anyio.to_thread import current_default_thread_limiter
from fastapi import Request
from sqlalchemy.dialects import sqlite

from hpm_tools.board.server.behaviour import EXACT, UPSTREAM, Behaviour
from hpm_tools.board.server.clock import Clock, naive_utc
from hpm_tools.board.server.database import Database, rowid
from hpm_tools.board.server.desk import Desk
from hpm_tools.board.server.offers import look, offered, wait
from hpm_tools.board.server.rows import add
from hpm_tools.board.server.settings import Settings
from hpm_tools.board.server.tables import epics, features, tasks
from hpm_tools.board.server.wakeups import Wakeups
from hpm_tools.errors import BadData, CannotCreate, Held

if TYPE_CHECKING:
    from pathlib import Path


DEV, QA = ("backend_dev", "senior"), ("qa", "senior")


async def forever() -> dict[str, str]:
    """What a connection has to say that stays."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def test_upstream_has_every_fault_and_ours_has_none() -> None:
    for fault in Behaviour.__dataclass_fields__:
        assert getattr(UPSTREAM, fault)
        assert not getattr(EXACT, fault)


class TestClock:
    def test_it_is_naive_utc(self) -> None:
        now = Clock().now()
        assert now.tzinfo is None
        assert abs(now - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)

    def test_its_offset_is_read_at_every_use(self, tmp_path: Path) -> None:
        file = tmp_path / "offset"
        clock = Clock(str(file))
        before = clock.now()
        file.write_text("3600", encoding="ascii")
        assert timedelta(minutes=59) < clock.now() - before < timedelta(minutes=90)
        file.write_text("", encoding="ascii")
        assert clock.now() - before < timedelta(minutes=30)

    def test_moments_lose_their_zone_and_not_their_meaning(self) -> None:
        naive = datetime(2026, 1, 2, 3, 4, 5)
        assert naive_utc(naive) == naive
        assert naive_utc(naive.replace(tzinfo=timezone(timedelta(hours=2)))) == naive - timedelta(hours=2)
        assert naive_utc(datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))) == datetime.min


class TestDatabase:
    def test_it_is_made_private_in_wal_with_foreign_keys(self, tmp_path: Path) -> None:
        path = tmp_path / "board.sqlite"
        database = Database(str(path))
        with database.write() as connection:
            pragmas = ("journal_mode", "synchronous", "foreign_keys")
            values = [connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() for pragma in pragmas]
            assert values == ["wal", 1, 1]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        database.close()

    def test_an_existing_board_is_opened_as_it_is(self, tmp_path: Path) -> None:
        for expected in (0, 1):
            database = Database(str(tmp_path / "b"))
            with database.write() as connection:
                rows = connection.exec_driver_sql("SELECT count(*) FROM epics").scalar()
                assert rows == expected
                connection.exec_driver_sql(
                    "INSERT INTO epics (name, description, created_at) VALUES ('', '', '')"
                )
            database.close()

    def test_a_block_that_raises_writes_nothing(self, tmp_path: Path) -> None:
        database = Database(str(tmp_path / "b"))
        insert = "INSERT INTO epics (name, description, created_at) VALUES ('', '', '')"
        with contextlib.suppress(KeyError), database.write() as connection:
            connection.exec_driver_sql(insert)
            raise KeyError
        with database.read() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM epics").scalar() == 0
        database.close()

    def test_what_cannot_be_opened_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(CannotCreate, match="No such file"):
            Database(str(tmp_path / "absent" / "b"))
        with pytest.raises(CannotCreate, match="Is a directory"):
            Database(str(tmp_path))

    def test_what_is_no_database_is_left_alone(self, tmp_path: Path) -> None:
        file = tmp_path / "notes.txt"
        file.write_text("my notes, of some length " * 50, encoding="utf-8")
        with pytest.raises(BadData, match="not a database"):
            Database(str(file))
        assert file.read_text(encoding="utf-8") == "my notes, of some length " * 50

    def test_one_that_is_held_says_so(self, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "b", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Held, match="held by another process"):
                Database(str(tmp_path / "b"))

    @pytest.mark.parametrize(
        ("statement", "says"),
        [("CREATE TABLE task (id)", "another program's"), ("PRAGMA user_version = 2", "schema 2")],
    )
    def test_a_database_of_somebody_else_is_left_alone(
        self, tmp_path: Path, statement: str, says: str
    ) -> None:
        file = tmp_path / "b"
        if "schema" in says:
            Database(str(file)).close()
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(statement)
        before = file.read_bytes()
        with pytest.raises(BadData, match=says):
            Database(str(file))
        assert file.read_bytes() == before

    @pytest.mark.parametrize(
        ("number", "row"), [(5, 5), (2**63 - 1, 2**63 - 1), (2**63, -1), (-(2**63) - 1, -1)]
    )
    def test_row_ids_fit(self, number: int, row: int) -> None:
        assert rowid(number) == row


class TestOffers:
    @pytest.mark.parametrize(
        ("role", "index"),
        [("backend_dev", "tasks_by_role"), ("architect", "tasks_by_role"), ("qa", "tasks_by_status")],
    )
    def test_looking_for_a_task_only_seeks(self, tmp_path: Path, role: str, index: str) -> None:
        database = Database(str(tmp_path / "b"))
        database.close()
        query = offered(role, "principal").compile(
            dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
        )
        with closing(sqlite3.connect(tmp_path / "b")) as connection:
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
        on_tasks = [step for step in plan if " tasks " in step]
        assert any(f"INDEX {index} " in step for step in on_tasks), plan
        assert all(step.startswith("SEARCH") for step in on_tasks), plan
        assert all("locked_by=?" in step for step in on_tasks if "INDEX " + index in step), plan


def waiting_board(place: Path, created: int) -> Desk:
    """A board of its own with so many tasks for backend developers."""
    desk = Desk(Settings(str(place / "b"), ("k",)))
    now = desk.clock.now()
    with desk.database.write() as connection:
        epic = add(connection, epics, {"name": "e", "description": "", "created_at": now})
        feature = add(connection, features, {"epic_id": epic, "name": "f", "description": ""})
        texts = dict.fromkeys(("title", "description", "created_by", "branch"), "x")
        wanted = {"target_role": "backend_dev", "difficulty": "junior", "complexity": "minor"}
        row = {"feature_id": feature, "status": "created", "created_at": now, "updated_at": now}
        for _ in range(created):
            add(connection, tasks, {**texts, **wanted, **row})
    return desk


class TestWaiting:
    """``wait`` on a real board, for a caller whose connection says what ``receive`` says."""

    def wait(self, place: Path, *, connected: bool, seconds: float) -> float:
        """How long an agent that could wait for ``seconds`` did, with a look every tenth of a second."""

        async def receive() -> dict[str, str]:
            if connected:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def scenario() -> float:
            desk = Desk(Settings(str(place / "b"), ("k",)))
            request = Request({"type": "http", "method": "GET", "path": "/", "headers": []}, receive)
            began = time.monotonic()
            assert await wait(desk, request, "qa", "senior", seconds, look_again=0.1) is None
            desk.database.close()
            return time.monotonic() - began

        return asyncio.run(scenario())

    def test_it_lasts_as_long_as_was_asked(self, tmp_path: Path) -> None:
        assert self.wait(tmp_path, connected=True, seconds=0.5) >= 0.5

    def test_each_of_those_who_wait_is_told_of_another_task(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            desk = waiting_board(tmp_path, created=3)
            desk.wakeups.bind(asyncio.get_running_loop())

            async def ask(seconds: float, left_after: float = 600) -> int | None:
                request = Request({"type": "http", "method": "GET", "path": "/", "headers": []}, forever)
                told = await wait(desk, request, *DEV, seconds, left_after=left_after)
                return None if told is None else told["id"]

            # Who only looks keeps no task from anybody.
            assert [await ask(0), await ask(0)] == [1, 1]
            assert set(await asyncio.gather(ask(60), ask(60))) == {1, 2}
            assert await ask(60, left_after=0.1) == 3
            # Nobody took it: it is told again, and those that were told of for longer are not.
            assert await ask(60) == 3
            assert await ask(0.1) is None
            assert await ask(0) == 1
            desk.database.close()

        asyncio.run(scenario())

    def test_the_turn_of_a_caller_that_has_gone_is_the_next_ones(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            desk = waiting_board(tmp_path, created=1)
            desk.wakeups.bind(asyncio.get_running_loop())
            hung_up = asyncio.Event()

            async def until_hung_up() -> dict[str, str]:
                await hung_up.wait()
                return {"type": "http.disconnect"}

            task = look(desk, *DEV)
            assert task is not None
            key = (task["id"], task["created_at"])
            desk.wakeups.tell(key, 600)
            waiters = []
            for receive in (until_hung_up, forever):
                request = Request({"type": "http", "method": "GET", "path": "/", "headers": []}, receive)
                asked = wait(desk, request, *DEV, 600, look_again=600)
                waiters.append(asyncio.ensure_future(asked))
                await asyncio.sleep(0.05)
            # The first look of either.
            while current_default_thread_limiter().borrowed_tokens:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            hung_up.set()
            desk.wakeups.tell(key, 0)
            told = await asyncio.wait_for(waiters[1], 30)
            assert told is not None
            await asyncio.wait_for(waiters[0], 30)
            desk.database.close()

        asyncio.run(scenario())

    def test_it_ends_when_the_caller_has_gone(self, tmp_path: Path) -> None:
        assert self.wait(tmp_path, connected=False, seconds=600) < 60


class TestWakeups:
    def test_an_announcement_from_a_thread_wakes_the_first_in_each_line(self) -> None:
        async def scenario() -> None:
            wakeups = Wakeups()
            wakeups.bind(asyncio.get_running_loop())
            with wakeups.line(DEV) as first, wakeups.line(DEV) as second, wakeups.line(QA) as other:
                threading.Thread(target=wakeups.announce).start()
                await asyncio.wait_for(first.wait(), 30)
                await asyncio.wait_for(other.wait(), 30)
                assert not second.is_set()
                wakeups.announce()
                await asyncio.wait_for(second.wait(), 30)

        asyncio.run(scenario())

    def test_a_turn_that_was_not_used_is_handed_on(self) -> None:
        async def scenario() -> None:
            wakeups = Wakeups()
            wakeups.bind(asyncio.get_running_loop())
            with wakeups.line(DEV) as first:
                wakeups.announce()
                await asyncio.wait_for(first.wait(), 30)
                with wakeups.line(DEV) as second:
                    first.clear()
                    wakeups.announce()
                    await asyncio.wait_for(first.wait(), 30)
                    assert not second.is_set()
                    with wakeups.line(DEV) as third:
                        wakeups.announce()
                        await asyncio.wait_for(second.wait(), 30)
                        assert not third.is_set()
            with wakeups.line(DEV) as leaves, wakeups.line(QA) as other:
                second_place = wakeups.line(DEV)
                turn = second_place.__enter__()
                wakeups.announce()
                await asyncio.wait_for(leaves.wait(), 30)
                assert not turn.is_set()
                assert other.is_set()
            assert turn.is_set()
            second_place.__exit__(None, None, None)

        asyncio.run(scenario())

    def test_a_change_between_standing_in_line_and_waiting_is_not_missed(self) -> None:
        async def scenario() -> None:
            wakeups = Wakeups()
            wakeups.bind(asyncio.get_running_loop())
            with wakeups.line(DEV) as turn:
                wakeups.announce()
                await asyncio.sleep(0)
                await asyncio.wait_for(turn.wait(), 30)

        asyncio.run(scenario())

    def test_closing_ends_every_wait(self) -> None:
        async def scenario() -> None:
            wakeups = Wakeups()
            wakeups.bind(asyncio.get_running_loop())
            with wakeups.line(DEV) as first, wakeups.line(DEV) as second:
                wakeups.close()
                await asyncio.wait_for(first.wait(), 30)
                await asyncio.wait_for(second.wait(), 30)

        asyncio.run(scenario())

    def test_announcing_before_the_server_runs_does_nothing(self) -> None:
        Wakeups().announce()
