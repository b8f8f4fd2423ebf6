"""Short programs run to their end: all they print, or a plain error, and nothing left behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from hpm_tools.errors import BadData, TimedOut
from hpm_tools.process.capture import CompletedBytes, capture
from hpm_tools.process.launch import CannotStart
from tests.support.processes import (
    STUBBORN,
    alive,
    cleared,
    environment,
    new_cookie,
    python,
    ref,
    with_cookie,
    zombie_children,
)
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def test_status_and_both_outputs_come_back() -> None:
    answer = capture(["sh", "-c", "cat; echo oops >&2; exit 3"], stdin=b"in\0put\xff")
    assert answer == CompletedBytes(3, b"in\0put\xff", b"oops\n")
    assert capture(["sh", "-c", "kill -KILL $$"]).rc == -9


def test_without_input_a_program_reads_an_empty_one() -> None:
    assert capture(["cat"]).out == b""


def test_megabytes_in_both_directions_do_not_deadlock() -> None:
    data = os.urandom(1 << 20) * 8
    assert capture(["cat"], stdin=data).out == data


def test_input_that_is_not_read_is_no_error() -> None:
    assert capture(["true"], stdin=b"x" * (8 << 20)).rc == 0


def test_environment_and_directory(tmp_path: Path) -> None:
    answer = capture(["sh", "-c", "pwd; echo $COLOUR"], cwd=tmp_path, env=environment(COLOUR="blue"))
    assert answer.out.decode() == f"{os.path.realpath(tmp_path)}\nblue\n"


def test_a_program_that_does_not_end_is_killed_with_its_group() -> None:
    with cleared(new_cookie()) as cookie:
        with pytest.raises(TimedOut, match=r"did not end within 0\.5 s"):
            capture(
                ["sh", "-c", f"({STUBBORN}) & {STUBBORN}"], env=environment(HPM_RUN_ID=cookie), timeout=0.5
            )
        wait_until(lambda: not with_cookie(cookie), what="the end of the group")


def test_a_background_child_holding_the_pipe_does_not_delay_the_answer() -> None:
    with cleared(new_cookie()) as cookie:
        answer = capture(
            ["sh", "-c", "sleep 1000 & echo done"], env=environment(HPM_RUN_ID=cookie), timeout=600
        )
        assert answer == CompletedBytes(0, b"done\n", b"")
        wait_until(lambda: not with_cookie(cookie), what="the end of the background child")


def test_a_daemon_of_another_session_holding_the_pipe_delays_the_answer_by_seconds_only() -> None:
    with cleared(new_cookie()) as cookie:
        begun = time.monotonic()
        answer = capture(["sh", "-c", "setsid sleep 1000 & echo done"], env=environment(HPM_RUN_ID=cookie))
        assert answer.out == b"done\n"
        assert time.monotonic() - begun < 300


def test_half_an_answer_is_an_error() -> None:
    with pytest.raises(BadData, match=r"more than 1\.0 MiB"):
        capture(["yes"], limit=1 << 20)


def test_an_exception_on_the_way_leaves_nothing_running() -> None:
    with cleared(new_cookie()) as cookie, pytest.raises(TimedOut):
        capture(["sh", "-c", STUBBORN], env=environment(HPM_RUN_ID=cookie), timeout=0)
    wait_until(lambda: not with_cookie(cookie))


def test_it_works_in_threads_and_leaves_no_zombie_and_no_descriptor() -> None:
    capture(["true"])
    before = len(os.listdir("/proc/self/fd"))
    answers: list[bytes] = []
    threads = [threading.Thread(target=lambda: answers.append(capture(["echo", "x"]).out)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [b"x\n"] * 8
    assert zombie_children() == []
    assert len(os.listdir("/proc/self/fd")) == before


def script(path: Path, content: bytes, mode: int = 0o755) -> str:
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (
            b"#!/no/such/interpreter\n",
            0o755,
            r"the interpreter it names is missing: .*#!/no/such/interpreter",
        ),
        (b"#!/bin/sh\r\necho\r\n", 0o755, r"the interpreter it names is missing: .*#!/bin/sh\\r"),
        (b"echo no shebang\n", 0o755, "not a program for this machine"),
        (b"", 0o755, "not a program for this machine"),
        (b"#!/bin/sh\n", 0o644, "permission denied"),
    ],
)
def test_scripts_that_cannot_start_say_why(tmp_path: Path, content: bytes, mode: int, reason: str) -> None:
    with pytest.raises(CannotStart, match=reason) as caught:
        capture([script(tmp_path / "script", content, mode)])
    assert caught.value.exit_code == 78


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        ([], "empty command"),
        ([""], "empty command"),
        (["no-such-program-here"], "no such program"),
        (["/no/such/program"], "no such program"),
        (["/"], "permission denied"),
        (["true", "a\0b"], "null byte"),
        (["true", "x" * (1 << 20)], "Argument list too long"),
        (["evil\x1b[2Jname"], "evilname"),
    ],
)
def test_commands_that_cannot_start_say_why(argv: list[str], reason: str) -> None:
    with pytest.raises(CannotStart, match=reason) as caught:
        capture(argv)
    assert "\x1b" not in str(caught.value)


def test_a_missing_directory_is_named_and_not_the_program(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=r"the directory .*/gone does not exist"):
        capture(["true"], cwd=tmp_path / "gone")


def test_an_inherited_habit_of_ignoring_children_does_not_turn_failure_into_success() -> None:
    program = """
import signal, sys, threading
sys.path.insert(0, sys.argv[1])
from hpm_tools.process.capture import capture
from hpm_tools.process.launch import CannotStart
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
def elsewhere():
    try:
        capture(["false"])
    except CannotStart as error:
        print(error.message)
thread = threading.Thread(target=elsewhere)
thread.start()
thread.join()
print(capture(["false"]).rc)
"""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(capture.__code__.co_filename))))
    answer = capture(python(program, root), env=environment())
    assert answer.out.decode().splitlines() == [
        "SIGCHLD is ignored in this process, so no exit status can be trusted",
        "1",
    ], answer.err.decode()


def test_the_caller_is_not_signalled_when_a_group_is_killed() -> None:
    me = ref(os.getpid())
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: received.append(number))
    try:
        with pytest.raises(TimedOut):
            capture(["sleep", "1000"], timeout=0.1)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert alive(me)
    assert received == []
