from __future__ import annotations

import os
import resource
import signal
import socket
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from hpm_tools.errors import CannotCreate, Held
from hpm_tools.state.files import Exclusive, NotARegularFile, TooLarge, atomic_write, read_capped, sweep
from tests.support.children import run, running
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

STOPPED_BEFORE_RENAME = """
import sys
from hpm_tools.state import files
def stop(event, args):
    if event == "os.rename":
        print("written", flush=True)
        sys.stdin.readline()
sys.addaudithook(stop)
files.atomic_write(sys.argv[1], b"new" * 1000)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "place").mkdir(mode=0o755)
    return tmp_path / "place"


def everything_in(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


def test_a_write_replaces_the_whole_file_and_is_private(place: Path) -> None:
    path = place / "file"
    before = os.umask(0)
    try:
        atomic_write(str(path), b"one")
    finally:
        os.umask(before)
    atomic_write(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert everything_in(place) == ["file"]


def test_an_exclusive_write_has_one_winner(place: Path) -> None:
    path = str(place / "file")
    won: list[int] = []
    start = threading.Barrier(16)

    def contend(number: int) -> None:
        start.wait()
        try:
            atomic_write(path, b"%d" % number, exclusive=True)
        except FileExistsError:
            return
        won.append(number)

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert read_capped(path, 10) == b"%d" % won[0]
    assert everything_in(place) == ["file"]


@pytest.mark.fault("killed-while-writing")
def test_a_writer_killed_between_writing_and_renaming_leaves_the_old_content(place: Path) -> None:
    path = place / "file"
    path.write_bytes(b"old")
    with running(STOPPED_BEFORE_RENAME, path) as child:
        assert child.line() == "written"
        assert sweep(str(place)) == [], "a living writer's file is not swept"
        assert len(everything_in(place)) == 2
        child.kill()
    assert path.read_bytes() == b"old"
    assert len(sweep(str(place))) == 1
    assert everything_in(place) == ["file"]


def test_a_writer_survives_the_sweep_of_its_file(place: Path) -> None:
    path = place / "file"
    with running(STOPPED_BEFORE_RENAME, path) as child:
        child.line()
        (temporary,) = (name for name in everything_in(place) if name.endswith(".tmp"))
        (place / temporary).unlink()
        child.say("go on")
        assert child.line() == "written"
        child.say("go on")
        assert child.wait() == 0
    assert path.read_bytes() == b"new" * 1000
    assert everything_in(place) == ["file"]


FULL_DISK = """
import resource, sys
from hpm_tools.errors import CannotCreate
from hpm_tools.state import files
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    files.atomic_write(sys.argv[1], b"x" * 1000)
except CannotCreate as error:
    assert error.exit_code == 73 and "ulimit" in error.hint, error
    sys.exit(9)
"""


def test_a_full_disk_leaves_the_old_content_and_no_temporary_file(place: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    path = place / "file"
    path.write_bytes(b"old")
    assert run(FULL_DISK, path) == 9
    assert path.read_bytes() == b"old"
    assert everything_in(place) == ["file"]


def test_a_directory_that_is_gone_is_a_plain_error(place: Path) -> None:
    with pytest.raises(CannotCreate, match="No such file"):
        atomic_write(str(place / "gone" / "file"), b"")


def test_an_absent_file_reads_as_none(place: Path) -> None:
    assert read_capped(str(place / "absent"), 10) is None
    assert read_capped(str(place / "absent" / "below"), 10) is None


def test_reading_stops_at_the_limit(place: Path) -> None:
    path = place / "file"
    path.write_bytes(b"12345")
    assert read_capped(str(path), 5) == b"12345"
    with pytest.raises(TooLarge):
        read_capped(str(path), 4)
    with path.open("wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(TooLarge):
        read_capped(str(path), 4 << 20)


@pytest.mark.parametrize("kind", ["directory", "fifo", "socket", "symlink", "dangling symlink", "device"])
def test_what_is_no_regular_file_is_refused_without_waiting(place: Path, kind: str) -> None:
    path = place / "odd"
    unix = socket.socket(socket.AF_UNIX)
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        here = os.open(place, os.O_RDONLY)
        unix.bind(f"/proc/self/fd/{here}/odd")
        os.close(here)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to(place / ("absent" if "dangling" in kind else "."))
    with pytest.raises(NotARegularFile):
        read_capped(str(path), 10)
    with pytest.raises(NotARegularFile), Exclusive(str(path), create=True):
        pass
    unix.close()


def test_a_file_that_may_not_be_read_is_not_taken_for_absent(place: Path) -> None:
    (place / "file").write_bytes(b"x")
    (place / "file").chmod(0)
    program = """
import os, sys
from hpm_tools.state.files import Unreadable, read_capped
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setgid(65433), os.setuid(65433)
try:
    read_capped("file", 10)
except Unreadable as error:
    assert error.exit_code == 78
    sys.exit(9)
"""
    assert run(program, place) == 9


def test_writers_exclude_each_other_across_replacements(place: Path) -> None:
    path = str(place / "counter")
    atomic_write(path, b"0")
    start = threading.Barrier(8)

    def count() -> None:
        start.wait()
        for _ in range(10):
            with Exclusive(path, wait=60) as file:
                atomic_write(path, b"%d" % (int(file.read(10)) + 1))

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_capped(path, 10) == b"80"


def test_a_stopped_writer_is_not_waited_for_for_ever(place: Path) -> None:
    path = place / "file"
    path.write_bytes(b"")
    program = """
import sys
from hpm_tools.state.files import Exclusive
with Exclusive(sys.argv[1]):
    print("locked", flush=True)
    sys.stdin.readline()
"""
    with running(program, path) as child:
        child.line()
        os.kill(child.pid, signal.SIGSTOP)
        with pytest.raises(Held, match="another process is writing"), Exclusive(str(path), wait=0.05):
            pass
        child.kill()
        with Exclusive(str(path), wait=30) as file:
            assert file.exists


def test_nothing_is_locked_where_there_is_no_file(place: Path) -> None:
    with Exclusive(str(place / "absent")) as file:
        assert not file.exists
        assert file.read(10) == b""
    assert everything_in(place) == []


def test_a_created_file_is_private(place: Path) -> None:
    path = place / "file"
    before = os.umask(0)
    try:
        with Exclusive(str(path), create=True) as file:
            assert file.exists
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(CannotCreate), Exclusive(str(place / "gone" / "file"), create=True):
        pass


def test_no_descriptor_is_left_open(place: Path) -> None:
    path = str(place / "file")
    atomic_write(path, b"x")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        atomic_write(path, b"x")
        read_capped(path, 10)
        with pytest.raises(TooLarge):
            read_capped(path, 0)
        with Exclusive(path) as file:
            file.read(10)
        sweep(str(place))
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before, what="the same number of descriptors")
