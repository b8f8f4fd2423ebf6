"""A damaged file of events is set aside once, whole, and events go on without anybody's help."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpm_tools.errors import HpmError, TryLater
from hpm_tools.events import damage, spool
from hpm_tools.events.database import Damaged
from hpm_tools.events.recorder import Recorder
from hpm_tools.events.store import EventStore, Stored
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 600.0
PAGE = 4096
NO_DATABASE = b"no database at all, but long enough to be one\n" * 100
BASE = float(int(time.time()))
WRITER = """
import os, sys, time
from hpm_tools.events.recorder import Recorder
from hpm_tools.events.store import EventStore, Stored
path, at, ready, go = sys.argv[1:]
recorder = Recorder(EventStore(path))
open(ready, "w").close()
while not os.path.exists(go):
    time.sleep(0.001)
recorder.emit(Stored(at=float(at), event="step", agent="dev_001"))
recorder.close(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.sqlite"


def happened(number: int = 0) -> Stored:
    return Stored(at=BASE + number, event="step", agent="dev_001", data={"text": "x" * 500})


def numbers(path: Path | str) -> list[int]:
    with EventStore(str(path)) as store:
        return [int(event.at - BASE) for event in store.read()]


def record(path: Path, *given: int) -> Recorder:
    """Write events as a process does from its first event to its end."""
    recorder = Recorder(EventStore(str(path), wait=0.1))
    for number in given:
        recorder.emit(happened(number))
    recorder.close(PATIENCE)
    return recorder


def fill(path: Path) -> bytes:
    with EventStore(str(path)) as store:
        store.append(map(happened, range(100)))
    return path.read_bytes()


def fill_and_leave(path: Path) -> None:
    """As a killed process leaves it: what it wrote last is in the -wal."""
    with EventStore(f"{path}.living") as store:
        store.append(map(happened, range(100)))
        for suffix in ("", "-wal"):
            shutil.copy(f"{store.path}{suffix}", f"{path}{suffix}")


def overwrite_the_header(path: Path) -> None:
    path.write_bytes(NO_DATABASE[:100] + fill(path)[100:])


def tear_pages(path: Path) -> None:
    """Of each page but the first, the second half is from another time."""
    whole = fill(path)
    pages = [whole[at : at + PAGE // 2] + b"\xa5" * (PAGE // 2) for at in range(PAGE, len(whole), PAGE)]
    path.write_bytes(whole[:PAGE] + b"".join(pages))


def cut_to_half(path: Path) -> None:
    path.write_bytes(fill(path)[: 8 * PAGE + 100])


def cut_to_nothing(path: Path) -> None:
    fill_and_leave(path)
    path.write_bytes(b"")


def spoil_the_version(path: Path) -> None:
    fill(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = -7")


@pytest.mark.fault("events-damaged")
@pytest.mark.parametrize(
    "spoil",
    [overwrite_the_header, tear_pages, cut_to_half, cut_to_nothing, spoil_the_version],
)
def test_events_go_on_in_a_new_file_and_the_old_one_is_kept_whole(
    path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(path)
    path.chmod(0o644)
    content = {suffix: Path(f"{path}{suffix}") for suffix in ("", *damage.BESIDE)}
    before = {suffix: file.read_bytes() for suffix, file in content.items() if file.exists()}
    with EventStore(str(path)) as reader, pytest.raises(Damaged):
        list(reader.read())
    recorder = record(path, 1, 2)
    assert (recorder.lost, recorder.problem) == (0, "")
    assert numbers(path) == [1, 2]
    (old,) = damage.kept(str(path))
    assert Path(old).read_bytes() == before[""]
    assert stat.S_IMODE(os.stat(old).st_mode) == 0o600
    if "-wal" in before:
        assert Path(f"{old}-wal").read_bytes() == before["-wal"]


def test_a_database_of_something_else_is_set_aside_too(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE events (something)")
    assert record(path, 1).lost == 0
    assert numbers(path) == [1]
    assert len(damage.kept(str(path))) == 1


@pytest.mark.fault("events-damaged")
def test_writers_that_find_it_at_the_same_moment_set_it_aside_once(path: Path, tmp_path: Path) -> None:
    path.write_bytes(NO_DATABASE)
    go = tmp_path / "go"
    program = [sys.executable, "-c", WRITER, str(path)]
    writers = [
        subprocess.Popen([*program, str(BASE + number), str(tmp_path / f"{number}"), str(go)])
        for number in range(4)
    ]
    try:
        wait_until(lambda: len(list(tmp_path.glob("[0-3]"))) == 4, PATIENCE, "the writers to be ready")
        go.touch()
        assert [writer.wait(PATIENCE) for writer in writers] == [0] * 4
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    record(path, 4)
    assert sorted(numbers(path)) == [0, 1, 2, 3, 4]
    assert len(damage.kept(str(path))) == 1


def test_a_file_that_another_has_begun_meanwhile_stays(path: Path) -> None:
    path.write_bytes(NO_DATABASE)
    with EventStore(str(path)) as late:
        with pytest.raises(Damaged):
            late.append([happened(1)])
        record(path, 2)
        assert late.set_aside()
        late.append([happened(3)])
    assert numbers(path) == [2, 3]
    assert len(damage.kept(str(path))) == 1


def test_who_has_the_old_file_open_goes_on_in_the_new_one(path: Path) -> None:
    with EventStore(str(path)) as writer, EventStore(str(path)) as reader, EventStore(str(path)) as finder:
        writer.append([happened(1)])
        assert len(list(reader.read())) == 1
        assert finder.count() == 1
        assert finder.set_aside()
        (old,) = damage.kept(str(path))
        assert os.path.exists(f"{old}-wal")
        assert os.path.exists(f"{old}-shm")
        assert not list(path.parent.glob("events.sqlite-*"))
        finder.append([happened(2)])
        writer.append([happened(3)])
        assert [event.at - BASE for event in reader.read()] == [2, 3]
    assert numbers(path) == [2, 3]
    assert numbers(old) == [1]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_what_was_being_written_while_it_was_set_aside_is_in_the_new_one(path: Path) -> None:
    with EventStore(str(path), wait=PATIENCE) as writer, EventStore(str(path)) as finder:
        writer.append([happened(1)])
        assert finder.count() == 1
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        writing = threading.Thread(target=writer.append, args=([happened(2)],))
        writing.start()

        def at_it() -> bool:
            free = writer._lock.acquire(blocking=False)
            if free:
                writer._lock.release()
            return not free

        wait_until(at_it, PATIENCE, "the writer to wait for the other")
        assert finder.set_aside()
        holder.execute("ROLLBACK")
        holder.close()
        writing.join(PATIENCE)
    assert numbers(path) == [2]


def test_appending_waits_for_nobody_who_moves_a_file(path: Path) -> None:
    directory = os.open(path.parent, os.O_RDONLY)
    with EventStore(str(path), wait=0.05) as store, EventStore(str(path), wait=0.05) as other:
        store.append([happened(1)])
        fcntl.flock(directory, fcntl.LOCK_EX)
        store.append([happened(2)])
        with pytest.raises(TryLater):
            other.count()
        os.close(directory)
        assert other.count() == 2


def test_a_mover_that_was_killed_halfway_leaves_no_old_pages_to_the_new_file(path: Path) -> None:
    fill_and_leave(path)
    path.rename(f"{path}{damage.CORRUPT}20260101T000000Z-0000")
    assert record(path, 7).lost == 0
    assert numbers(path) == [7]
    assert len(list(path.parent.glob(f"*{damage.CORRUPT}*-wal"))) == 1


def test_none_is_ever_deleted_and_no_more_than_a_few_are_moved(path: Path) -> None:
    for number in range(damage.MOST_KEPT):
        path.write_bytes(NO_DATABASE)
        record(path, number)
    path.write_bytes(NO_DATABASE)
    recorder = record(path, 8)
    assert len(damage.kept(str(path))) == damage.MOST_KEPT
    assert path.read_bytes() == NO_DATABASE
    assert str(path) in recorder.problem
    assert os.path.getsize(str(path) + spool.SUFFIX)
    with EventStore(str(path)) as store, pytest.raises(Damaged) as told:
        store.count()
    assert "move them away" in told.value.hint
    os.unlink(damage.kept(str(path))[0])
    record(path, 9)
    assert sorted(numbers(path)) == [8, 9]


@pytest.mark.fault("events-damaged")
def test_what_only_readers_meet_is_set_aside_by_the_next_writer(path: Path) -> None:
    """Writers come to the newest pages alone: the oldest could be noise for as long as events are kept."""
    content = fill(path)
    path.write_bytes(content.replace(b'{"text":"xxx', b'{"text:"xxx\xa5', 1))
    with EventStore(str(path)) as reader, EventStore(str(path)) as writer:
        writer.append([happened(200)])
        for _ in range(2):
            with pytest.raises(Damaged):
                list(reader.read())
    record(path, 201)
    assert numbers(path) == [201]
    assert len(damage.kept(str(path))) == 1
    assert damage.reported(str(path)) is None


@pytest.mark.parametrize("content", ["", "1:2", "nonsense", "1:2:3", "7" * 100])
def test_a_report_of_no_file_here_moves_nothing(path: Path, content: str) -> None:
    record(path, 1)
    Path(f"{path}{damage.REPORTED}").write_text(content)
    record(path, 2)
    assert numbers(path) == [1, 2]
    assert damage.kept(str(path)) == []


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize("trouble", [newer, Path.mkdir, lambda path: path.symlink_to("elsewhere")])
def test_what_is_no_damage_stays_where_it_is(path: Path, trouble: Callable[[Path], None]) -> None:
    trouble(path)
    before = damage.identity(str(path))
    assert record(path, 1).problem
    assert damage.identity(str(path)) == before
    assert damage.kept(str(path)) == []


def test_an_sqlite_that_cannot_read_a_sound_file_sets_nothing_aside(path: Path) -> None:
    before = fill(path)
    program = f"""
import sqlite3
sqlite3.sqlite_version_info = (3, 36, 0)
from hpm_tools.events.recorder import Recorder
from hpm_tools.events.store import EventStore, Stored
recorder = Recorder(EventStore({str(path)!r}))
recorder.emit(Stored(at={BASE}, event="step", agent="dev_001"))
recorder.close({PATIENCE})
print(recorder.problem)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=PATIENCE
    )
    assert "need SQLite 3.37" in done.stdout
    assert path.read_bytes() == before
    assert damage.kept(str(path)) == []


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_wrong_with_the_bytes_is_said_to_be_damage(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    content = bytearray(fill(path))
    for _ in range(chance.choice((1, 5, 40))):
        at, length = chance.randrange(len(content)), chance.choice((1, 1, 50, PAGE))
        content[at : at + length] = chance.randbytes(length) if chance.random() < 0.7 else bytes(length)
    works: list[Callable[[EventStore], object]] = [
        lambda store: list(store.read()),
        lambda store: store.latest(5),
        lambda store: store.append([happened(1)]),
        lambda store: store.prune(1, 10, now=BASE),
    ]
    for work in works:
        path.write_bytes(content)
        with EventStore(str(path)) as store:
            try:
                work(store)
            except HpmError as error:
                assert isinstance(error, Damaged), error.message  # noqa: PT017
