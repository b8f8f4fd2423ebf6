"""The file of events: what is appended is read, by many at once, within its bounds, whatever the file was before."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from hpm_tools.errors import CannotCreate, Misconfigured, TryLater
from hpm_tools.events import store as store_module
from hpm_tools.events.database import Damaged
from hpm_tools.events.store import DAY, EventStore, Stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with EventStore(str(tmp_path / "events.sqlite")) as store:
        yield store


def happened(event: str = "step", at: float = 1000.0, agent: str = "dev_001", **fields: object) -> Stored:
    return Stored(at=at, event=event, agent=agent, **fields)  # type: ignore[arg-type]


def test_what_is_appended_is_read_in_order_with_every_field(store: EventStore) -> None:
    whole = Stored(
        at=12.5,
        v=2,
        event="parked",
        agent="qa_1",
        role="qa",
        board="localhost-6969",
        task=7,
        run="r1",
        host="h",
        data={"text": "ö\n", "reason": None, "list": [1, {"a": 2.5}]},
    )
    store.append([happened(), whole])
    first, second = store.read()
    assert (first.id, second.id, store.newest_id()) == (1, 2, 2)
    assert second == Stored(**{name: getattr(whole, name) for name in whole.__slots__} | {"id": 2})


def test_a_file_that_is_not_there_is_empty_and_is_not_made_by_reading(store: EventStore) -> None:
    assert list(store.read()) == []
    assert (store.newest_id(), store.count(), store.latest(3)) == (0, 0, [])
    assert not os.path.exists(store.path)


def test_events_are_chosen_by_time_kind_agent_and_task(store: EventStore) -> None:
    store.append([happened(at=float(n), agent=f"dev_{n % 2}", task=n % 3 or None) for n in range(12)])
    store.append([happened("parked", at=5.0, task=1)])
    assert [event.at for event in store.read(since=4.0, until=6.0)] == [4.0, 5.0, 5.0]
    assert [event.at for event in store.read(names=("parked", "lost"))] == [5.0]
    assert {event.agent for event in store.read(agent="dev_1")} == {"dev_1"}
    assert [event.at for event in store.read(agent="dev_1", task=1)] == [1.0, 7.0]
    assert [event.id for event in store.read(after=10, limit=2)] == [11, 12]
    assert [event.id for event in store.latest(2, agent="dev_0")] == [9, 11]


def test_reading_goes_on_page_by_page_into_what_is_appended_meanwhile(store: EventStore) -> None:
    store.append([happened() for _ in range(store_module.PAGE + 1)])
    reading = store.read()
    first = next(reading)
    store.append([happened("late")])
    assert first.id == 1
    assert [event.event for event in reading][-1] == "late"
    assert len(list(store.read(limit=store_module.PAGE + 1))) == store_module.PAGE + 1


def test_only_the_owner_may_read_it(store: EventStore) -> None:
    before = os.umask(0)
    try:
        store.append([happened()])
        list(store.read())
    finally:
        os.umask(before)
    for suffix in ("", "-wal", "-shm"):
        assert stat.S_IMODE(os.stat(store.path + suffix).st_mode) == 0o600


def test_the_last_to_close_leaves_one_file(store: EventStore) -> None:
    store.append([happened()])
    reader = EventStore(store.path)
    assert len(list(reader.read())) == 1
    reader.close()
    store.close()
    assert not os.path.exists(store.path + "-wal")
    assert not os.path.exists(store.path + "-shm")


COUNT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT count(*) FROM events").fetchone()[0])
connection.close()
"""


def test_opening_it_again_gives_up_no_lock_of_the_same_process(store: EventStore) -> None:
    """SQLite's locks are the process's: closing any descriptor of the file ends them, and others delete the -wal."""
    store.append([happened()])
    store.close()
    with EventStore(store.path) as reader:
        assert reader.count() == 1
        store.append([happened()])
        look = [sys.executable, "-c", COUNT, store.path]
        seen = []
        for _ in range(2):
            seen.append(subprocess.run(look, check=True, capture_output=True, timeout=600).stdout.strip())
            store.append([happened()])
    assert seen == [b"2", b"3"]


APPEND = """
import sys
from hpm_tools.events.store import EventStore, Stored
store = EventStore(sys.argv[1], wait=60.0)
for number in range(int(sys.argv[3])):
    store.append([Stored(at=float(number), event="step", agent=sys.argv[2])])
store.close()
"""


def appending(path: str, agent: str, count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", APPEND, path, agent, str(count)])


def test_many_processes_make_and_fill_it_at_once(store: EventStore) -> None:
    writers = [appending(store.path, f"dev_{n}", 40) for n in range(5)]
    assert [writer.wait(120) for writer in writers] == [0] * 5
    found: dict[str, list[float]] = {}
    for event in store.read():
        found.setdefault(event.agent, []).append(event.at)
    assert found == {f"dev_{n}": [float(at) for at in range(40)] for n in range(5)}


def test_writers_that_are_killed_leave_a_whole_file(store: EventStore) -> None:
    store.append([happened("first")])
    for number in range(3):
        writer = appending(store.path, f"dev_{number}", 1_000_000)
        deadline = time.monotonic() + 60
        while not any(True for _ in store.read(agent=f"dev_{number}", limit=5)):
            assert time.monotonic() < deadline
        writer.kill()
        writer.wait()
    store.append([happened("last")])
    events = list(store.read())
    assert (events[0].event, events[-1].event) == ("first", "last")
    for number in range(3):
        ats = [event.at for event in events if event.agent == f"dev_{number}"]
        assert ats == [float(at) for at in range(len(ats))]
    with sqlite3.connect(store.path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_writer_that_keeps_it_locked_is_waited_for_and_then_said(store: EventStore) -> None:
    store.append([happened()])
    impatient = EventStore(store.path, wait=0.05)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TryLater):
        impatient.append([happened()])
    assert len(list(impatient.read())) == 1
    other.execute("ROLLBACK")
    other.close()
    impatient.append([happened()])
    impatient.close()
    assert store.newest_id() == 2


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be one\n" * 100, b"SQLite"])
def test_a_file_that_is_no_database_is_said_to_be_damaged(store: EventStore, content: bytes) -> None:
    with open(store.path, "wb") as file:
        file.write(content)
    with pytest.raises(Damaged):
        store.append([happened()])
    with pytest.raises(Damaged):
        list(store.read())
    with open(store.path, "rb") as file:
        assert file.read() == content


def test_a_newer_file_is_left_alone(store: EventStore) -> None:
    connection = sqlite3.connect(store.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Misconfigured):
        store.append([happened()])
    with pytest.raises(Misconfigured):
        list(store.read())


def test_a_directory_a_link_and_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "empty").touch()
    for name in ("directory", "link", "nowhere/file"):
        with EventStore(str(tmp_path / name)) as store, pytest.raises(CannotCreate):
            store.append([happened()])
    assert not (tmp_path / "elsewhere").exists()
    with EventStore(str(tmp_path / "empty")) as store:
        assert list(store.read()) == []
        store.append([happened()])
        assert store.count() == 1


def test_the_old_the_fleeting_and_the_excess_go(store: EventStore) -> None:
    now = 100 * DAY
    store.append([happened("old", at=now - 11 * DAY), happened("kept", at=now - 9 * DAY)])
    store.append([happened("agent_progress", at=now - 2 * DAY), happened("agent_progress", at=now - 60)])
    assert store.prune(10, 1000, now=now) == 2
    assert [event.event for event in store.read()] == ["kept", "agent_progress"]
    store.append([happened(f"new{n}", at=now) for n in range(5)])
    assert store.prune(10, 3, now=now) == 4
    assert [event.event for event in store.read()] == ["new2", "new3", "new4"]
    assert store.prune(10, 3, now=now) == 0


def test_ids_are_not_given_again_when_everything_went(store: EventStore) -> None:
    store.append([happened(at=0.0)])
    store.prune(1, 1000, now=100 * DAY)
    store.append([happened()])
    assert store.newest_id() == 2
