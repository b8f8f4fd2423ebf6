"""The recorder takes events at once, and loses events rather than time."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.events import damage, spool
from hpm_tools.events.recorder import LONGEST_TEXT, MOST_WAITING, Recorder
from hpm_tools.events.store import EventStore, Stored
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 300.0
BASE = float(int(time.time()))
"""What is older than the days that are kept would go."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with EventStore(str(tmp_path / "events.sqlite"), wait=0.1) as store:
        yield store


@pytest.fixture
def recorder(store: EventStore) -> Iterator[Recorder]:
    recorder = Recorder(EventStore(store.path, wait=0.1))
    yield recorder
    recorder.close(PATIENCE)


def happened(number: int = 0, **data: Any) -> Stored:
    return Stored(at=BASE + number, event="step", agent="dev_001", data=data)


def ats(store: EventStore) -> list[float]:
    return [event.at - BASE for event in store.read()]


def test_events_arrive_in_order_without_anybody_waiting(recorder: Recorder, store: EventStore) -> None:
    for number in range(500):
        recorder.emit(happened(number))
    wait_until(lambda: store.count() == 500, PATIENCE, "the events to be written")
    assert ats(store) == [float(n) for n in range(500)]
    assert (recorder.lost, recorder.problem) == (0, "")


def test_closing_writes_what_is_left_and_a_later_event_opens_it_again(
    recorder: Recorder, store: EventStore
) -> None:
    recorder.emit(happened(1))
    recorder.close(PATIENCE)
    assert ats(store) == [1.0]
    store.close()
    assert not os.path.exists(store.path + "-wal")
    recorder.emit(happened(2))
    recorder.close(PATIENCE)
    assert ats(store) == [1.0, 2.0]


def test_a_process_that_ends_has_written_its_events(store: EventStore) -> None:
    program = f"""
from hpm_tools.events.recorder import Recorder
from hpm_tools.events.store import EventStore, Stored
recorder = Recorder(EventStore({store.path!r}))
recorder.emit(Stored(at={BASE + 1}, event="step", agent="dev_001"))
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE)
    assert ats(store) == [1.0]


def test_a_locked_file_is_written_once_it_is_free(recorder: Recorder, store: EventStore) -> None:
    store.append([happened(0)])
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    recorder.emit(happened(1))
    wait_until(lambda: recorder.problem, PATIENCE, "the lock to be noticed")
    other.execute("ROLLBACK")
    other.close()
    wait_until(lambda: store.count() == 2, PATIENCE, "the event to be written after all")
    wait_until(lambda: not recorder.problem, PATIENCE, "the problem to be over")


def test_what_a_locked_file_has_no_room_for_at_the_end_is_taken_in_by_the_next(
    recorder: Recorder, store: EventStore
) -> None:
    store.append([happened(0)])
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    recorder.emit(happened(1, text="kept"))
    recorder.close(PATIENCE)
    other.execute("ROLLBACK")
    other.close()
    assert ats(store) == [0.0]
    recorder.emit(happened(2))
    recorder.close(PATIENCE)
    assert ats(store) == [0.0, 2.0, 1.0]
    assert [event.data for event in store.read()][-1] == {"text": "kept"}
    assert os.path.getsize(store.path + spool.SUFFIX) == 0


def test_half_a_line_of_a_killed_writer_spoils_no_other(recorder: Recorder, store: EventStore) -> None:
    path = store.path + spool.SUFFIX
    with open(path, "wb") as file:
        file.write(b'{"at": 1, "event"')
    assert spool.append(path, b'{"at": %f, "event": "x", "agent": "a"}\n[]\n{"at": "x"}\n' % (BASE + 3))
    recorder.emit(happened(2))
    recorder.close(PATIENCE)
    assert ats(store) == [2.0, 3.0]


def test_a_file_that_cannot_be_made_costs_events_and_nothing_else(tmp_path: Path) -> None:
    recorder = Recorder(EventStore(str(tmp_path / "nowhere" / "events.sqlite")))
    for number in range(MOST_WAITING + 10):
        recorder.emit(happened(number))
    wait_until(lambda: recorder.problem, PATIENCE, "the failure to be noticed")
    assert "nowhere" in recorder.problem
    recorder.close(PATIENCE)
    assert recorder.lost == MOST_WAITING + 10


def test_a_full_disk_costs_events_and_says_how_many_once_there_is_room(store: EventStore) -> None:
    """In a process of its own: RLIMIT_FSIZE stands for the disk, and holds for every file."""
    program = f"""
import resource, signal, time
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from hpm_tools.events import recorder as module
from hpm_tools.events.store import EventStore, Stored
module.MOST_WAITING, module.PAUSE = 3, 0.05
recorder = module.Recorder(EventStore({store.path!r}))
def emit(number): recorder.emit(Stored(at={BASE} + number, event="step", agent="dev_001"))
def wait(done):
    end = time.monotonic() + {PATIENCE}
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)
emit(0)
wait(lambda: recorder._pruned_at)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
for number in range(1, 9):
    emit(number)
wait(lambda: recorder.problem)
wait(lambda: recorder.lost >= 5)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
wait(lambda: not recorder.problem)
recorder.close()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=2 * PATIENCE)
    events = list(store.read())
    steps = [event.at - BASE for event in events if event.event == "step"]
    lost = sum(event.data["count"] for event in events if event.event == "events_lost")
    assert steps[0] == 0.0
    assert steps[-1] == 8.0
    assert len(steps) + lost == 9
    assert lost
    assert damage.kept(store.path) == []


def test_an_event_that_cannot_be_stored_takes_no_other_with_it(recorder: Recorder, store: EventStore) -> None:
    recorder.emit(Stored(at=BASE, event="step", agent="dev_001", task="seven"))  # type: ignore[arg-type]
    wait_until(lambda: recorder.lost == 1, PATIENCE, "it to be given up")
    recorder.emit(happened(2))
    recorder.close(PATIENCE)
    assert [event.event for event in store.read()] == ["step", "events_lost"]


def test_what_is_written_is_bounded_plain_and_without_secrets(store: EventStore) -> None:
    recorder = Recorder(EventStore(store.path), clean=lambda text: text.replace("hunter2", "***"))
    deep: Any = "bottom"
    for _ in range(20):
        deep = [deep]
    recorder.emit(
        happened(
            text="key hunter2 " + "x" * 10_000,
            inner={"list": ["hunter2", 1.5, float("nan"), None, True]},
            path=os.fspath,
            deep=deep,
            many=list(range(100_000)),
        )
    )
    recorder.close(PATIENCE)
    (event,) = store.read()
    assert event.data["text"] == ("key *** " + "x" * 10_000)[:LONGEST_TEXT]
    assert event.data["inner"] == {"list": ["***", 1.5, None, None, True]}
    assert "hunter2" not in str(event.data)
    assert len(str(event.data)) < 10_000
