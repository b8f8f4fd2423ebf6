from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from hpm_tools.errors import CannotCreate, Held, Misconfigured, UsageError
from hpm_tools.state import guard
from hpm_tools.state.guard import Guard, agent_guard, task_guard
from hpm_tools.state.paths import StateDir
from tests.support.children import running
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys
from hpm_tools.state.guard import Guard
guard = Guard(sys.argv[1])
print(guard.acquire(wait=float(sys.argv[2])), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state")


@pytest.fixture
def path(state: StateDir) -> str:
    state.prepare()
    return os.path.join(state.locks, "agent-dev_001.guard")


def test_a_free_guard_is_taken_and_released(path: str) -> None:
    one, other = Guard(path), Guard(path)
    assert not guard.held(path)
    assert not os.path.exists(path), "looking makes no file"
    assert one.acquire()
    assert one.acquire(), "again by its holder"
    assert one.acquired
    assert not other.acquire()
    assert guard.held(path)
    assert not guard.held_by_other(path)
    one.release()
    one.release()
    assert not guard.held(path)
    assert other.acquire()
    other.release()
    assert os.path.exists(path), "a guard's file is never removed"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_block_holds_it_and_says_who_does(path: str) -> None:
    with Guard(path, "agent dev_001"):
        with (
            pytest.raises(Held, match=f"agent dev_001 is already being worked by process {os.getpid()}"),
            Guard(path, "agent dev_001"),
        ):
            pytest.fail("two holders")
        assert guard.held(path), "the loser's end frees nothing"
    assert not guard.held(path)


def test_the_kernel_frees_it_when_its_holder_is_killed(path: str) -> None:
    with running(HOLD, path, "0") as child:
        assert child.line() == "True"
        assert guard.held(path)
        assert guard.held_by_other(path)
        assert guard.holder_pid(path) == child.pid
        assert not Guard(path).acquire()
        child.kill()
        assert not guard.held(path)
        with Guard(path):
            assert guard.holder_pid(path) == os.getpid()


def test_waiting_for_it(path: str) -> None:
    mine = Guard(path)
    assert mine.acquire()
    with running(HOLD, path, "60") as child:
        began = time.monotonic()
        assert not Guard(path).acquire(wait=0.05)
        assert time.monotonic() - began >= 0.05
        mine.release()
        assert child.line() == "True"


def test_programs_that_the_holder_starts_do_not_keep_it(path: str) -> None:
    holder = """
import subprocess, sys
from hpm_tools.state.guard import Guard
guard = Guard(sys.argv[1])
assert guard.acquire()
grandchild = subprocess.Popen([sys.executable, "-c", "input()"], stdin=0, close_fds=False, start_new_session=True)
print(grandchild.pid, flush=True)
input()
"""
    reader, writer = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", holder, path], stdin=reader, stdout=subprocess.PIPE)
    assert process.stdout is not None
    grandchild = int(process.stdout.readline())
    assert guard.held(path)
    process.kill()
    process.wait()
    os.kill(grandchild, 0)
    assert not guard.held(path), "the grandchild lives, the guard is free"
    os.close(writer)
    os.close(reader)
    process.stdout.close()
    wait_until(lambda: not os.path.exists(f"/proc/{grandchild}/fd/0"), what="the grandchild's end")


def test_looking_never_makes_an_acquisition_fail(path: str) -> None:
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            guard.held(path)

    with Guard(path):
        pass
    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(50):
            mine = Guard(path)
            assert mine.acquire()
            mine.release()
    finally:
        stop.set()
        for looker in lookers:
            looker.join()


def test_one_of_many_contenders_holds_it(path: str) -> None:
    guards = [Guard(path) for _ in range(16)]
    start = threading.Barrier(16)

    def contend(mine: Guard) -> None:
        start.wait()
        mine.acquire()

    threads = [threading.Thread(target=contend, args=(mine,)) for mine in guards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (holder,) = (mine for mine in guards if mine.acquired)
    holder.release()


@pytest.mark.parametrize("kind", ["directory", "fifo", "symlink", "dangling symlink"])
def test_what_is_no_file_is_refused_and_left_alone(path: str, tmp_path: Path, kind: str) -> None:
    victim = tmp_path / "victim"
    if kind == "directory":
        os.mkdir(path)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        if kind == "symlink":
            victim.write_text("precious")
        os.symlink(victim, path)
    with pytest.raises(Misconfigured) as caught:
        Guard(path).acquire()
    assert path in caught.value.message
    assert not victim.exists() or victim.read_text() == "precious"


def test_a_missing_directory_is_a_plain_error(tmp_path: Path) -> None:
    with pytest.raises(CannotCreate):
        Guard(str(tmp_path / "gone" / "x.guard")).acquire()
    assert not guard.held(str(tmp_path / "gone" / "x.guard"))


def test_a_hundred_megabytes_in_the_guard_change_nothing(path: str) -> None:
    with open(path, "wb") as file:
        file.truncate(100 << 20)
    assert guard.holder_pid(path) is None
    with Guard(path):
        assert os.path.getsize(path) < 100


def test_a_full_disk_costs_the_pid_not_the_guard(path: str) -> None:
    program = """
import resource, sys
from hpm_tools.state.guard import Guard
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
print(Guard(sys.argv[1]).acquire(), flush=True)
"""
    with running(program, path) as child:
        assert child.line() == "True"


def test_agent_ids_are_checked_before_they_are_paths(state: StateDir) -> None:
    for hostile in ("../x", "-x", "a/b", "", "a\0b", ".hidden", "a" * 65):
        with pytest.raises(UsageError):
            agent_guard(state, hostile)
    assert not os.path.exists(state.home)


def test_ids_that_differ_in_case_are_two_agents(state: StateDir) -> None:
    with agent_guard(state, "dev_001"), agent_guard(state, "Dev_001"):
        pass


def test_ids_that_differ_in_case_are_refused_where_they_are_one_file(state: StateDir) -> None:
    with agent_guard(state, "dev_001") as mine:
        # What a file system that folds case shows: two names, one file.
        os.link(mine.path, os.path.join(state.locks, "agent-Dev_001.guard"))
    with pytest.raises(Misconfigured, match="one file here"):
        agent_guard(state, "Dev_001")


def test_a_tasks_guard_is_its_own_per_creation_time(state: StateDir) -> None:
    with task_guard(state, "localhost-6969", 13, "2026-11-22T10:00:00"):
        assert not task_guard(state, "localhost-6969", 13, "2026-11-22T10:00:00").acquire()
        with task_guard(state, "localhost-6969", 13, "2026-11-22T11:00:00"):
            pass
        with task_guard(state, "other-80", 13, "2026-11-22T10:00:00"):
            pass


def test_a_removed_guard_never_has_two_holders(path: str) -> None:
    """Its contender has opened the file and is about to lock it when it is removed and made anew."""
    program = """
import sys
from hpm_tools.state.guard import Guard
paused = False
def pause(event, args):
    global paused
    if event == "fcntl.flock" and not paused:
        paused = True
        print("opened", flush=True)
        sys.stdin.readline()
sys.addaudithook(pause)
print(Guard(sys.argv[1]).acquire(), flush=True)
sys.stdin.readline()
"""
    with running(program, path) as child:
        assert child.line() == "opened"
        assert guard.remove_if_free(path)
        with Guard(path) as mine:
            child.say("go on")
            assert child.line() == "False"
            assert mine.intact()


def test_a_held_guard_is_not_removed(path: str) -> None:
    with Guard(path):
        assert not guard.remove_if_free(path)
    assert guard.remove_if_free(path)
    assert not guard.remove_if_free(path)
    assert not os.path.exists(path)


def test_a_holder_notices_that_its_guard_was_removed(path: str) -> None:
    mine = Guard(path)
    assert not mine.intact()
    with mine:
        assert mine.intact()
        os.unlink(path)
        assert not mine.intact()
        with Guard(path):
            assert not mine.intact()
