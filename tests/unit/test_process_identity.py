"""Who a process is: numbers are reused, so a number alone never names one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hpm_tools.process import identity
from tests.support.processes import bystander, environment, python
from tests.support.waiting import wait_until

ME = os.getpid()


def test_this_process_is_itself() -> None:
    start = identity.start_time(ME)
    assert start is not None
    assert start.isdecimal()
    assert identity.same_process(ME, start, identity.boot_id())


def test_another_start_time_boot_or_number_is_another_process() -> None:
    start = identity.start_time(ME)
    assert start is not None
    assert not identity.same_process(ME, str(int(start) + 1), identity.boot_id())
    assert not identity.same_process(ME, start, "another-boot")
    with bystander() as other:
        assert not identity.same_process(other.pid, start, identity.boot_id()) or other.start == start
    for pid in (0, -1, 2**22 + 1, 2**40):
        assert not identity.same_process(pid, start, identity.boot_id())
        assert identity.start_time(pid) is None


def test_a_zombie_is_dead() -> None:
    process = subprocess.Popen(["true"], env=environment())
    wait_until(lambda: identity.start_time(process.pid) is None, what="the child's end")
    stat = identity.Stat.of(process.pid)
    assert stat is not None
    assert stat.zombie
    assert not identity.same_process(process.pid, stat.start, identity.boot_id())
    assert process.wait() == 0
    assert identity.Stat.of(process.pid) is None


def test_a_process_whose_first_thread_has_ended_is_alive() -> None:
    program = """
import ctypes, os, threading, time
def stay():
    print("alone", flush=True)
    time.sleep(1000)
threading.Thread(target=stay).start()
ctypes.CDLL(None).pthread_exit(None)
"""
    process = subprocess.Popen(python(program), env=environment(), stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"alone\n"
        stat = Path(f"/proc/{process.pid}/stat")
        wait_until(
            lambda: stat.read_bytes().rpartition(b")")[2].split()[0] == b"Z", what="the first thread's end"
        )
        assert identity.start_time(process.pid) is not None
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.parametrize("name", [") R 1 1 1 (", "a b c", "((", "\u202e", "Z"])
def test_a_hostile_command_name_does_not_confuse_the_parser(tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(program), "1000"], env=environment(), start_new_session=True)
    try:
        stat = identity.Stat.of(process.pid)
        assert stat is not None
        assert (stat.pid, stat.ppid, stat.pgid, stat.session) == (process.pid, ME, process.pid, process.pid)
        assert not stat.zombie
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize(
    "data", [b"", b"12", b"12 (x", b"12 (x) R 1", b"x (y) R " + b"1 " * 50, b"1 (y) R " + b"z " * 50]
)
def test_what_is_no_stat_file_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        identity.Stat(data)


@pytest.mark.needs("root", "unshare")
def test_a_process_that_is_hidden_from_us_counts_as_alive() -> None:
    """/proc mounted with hidepid=2 shows a user only their own processes."""
    program = """
import os, sys
sys.path.insert(0, sys.argv[2])
from hpm_tools.process import identity
pid, boot = int(sys.argv[1]), identity.boot_id()
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print(os.path.exists(f"/proc/{pid}"), identity.start_time(pid), identity.same_process(pid, "1", boot))
"""
    root = str(Path(identity.__file__).parents[2])
    argv = [sys.executable, "-c", program, str(ME), root]
    hide = 'mount -t proc -o hidepid=2 proc /proc; exec "$@"'
    answer = subprocess.run(
        ["unshare", "--mount", "sh", "-c", hide, "sh", *argv], capture_output=True, text=True, check=False
    )
    assert answer.stdout == "False None True\n", answer.stderr


def test_the_line_of_ancestors_begins_here() -> None:
    assert identity.ancestors()[:2] == [ME, os.getppid()]
