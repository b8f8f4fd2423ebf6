"""Output in bounded memory: both ends of it, its lines, and a log that cannot hurt the run."""

from __future__ import annotations

import io
import os
import stat
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpm_tools.process.output import Captured, HeadAndTail, Lines, Output, RunLog

if TYPE_CHECKING:
    from pathlib import Path

chunks = st.lists(st.binary(max_size=30), max_size=30)


@given(chunks, st.integers(0, 64))
def test_the_ends_of_an_output_are_kept_and_the_cut_is_counted(pieces: list[bytes], keep: int) -> None:
    ends = HeadAndTail(keep)
    for piece in pieces:
        ends.feed(piece)
    captured, whole, half = ends.captured(), b"".join(pieces), max(1, keep // 2)
    assert captured.total == len(whole)
    assert captured.head == whole[:half]
    assert captured.tail == whole[half:][-half:]
    assert captured.cut == max(0, len(whole) - 2 * half)
    if not captured.cut:
        assert captured.data == whole


def test_a_cut_is_shown_and_bytes_that_are_no_text_are_replaced() -> None:
    assert Captured(b"ab\xff", b"cd", 2053).text() == "ab\ufffd\n[… 2.0 KiB left out …]\ncd"
    assert Captured().text() == ""


@given(st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=12), st.data())
def test_lines_come_whole_and_in_order_however_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"\n".join(lines)
    seen: list[bytes] = []
    splitter = Lines(seen.append, 6)
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        splitter.feed(stream[:size])
        stream = stream[size:]
    splitter.finish()
    expected = lines[:-1] + [line for line in lines[-1:] if line]
    assert seen == [line for line in expected if len(line) <= 6]
    assert splitter.dropped == sum(len(line) > 6 for line in expected)


@pytest.mark.fault("agent-floods")
@pytest.mark.parametrize(
    ("piece", "times"), [(b"x" * 65536, 1024), (b"\0" * 65536, 1024), (b"y\n" * 32768, 16), (b"z", 100_000)]
)
def test_memory_stays_bounded_whatever_is_printed(piece: bytes, times: int) -> None:
    output = Output(1 << 16, 1 << 20, lambda _line: None, RunLog(None, (), 0))
    tracemalloc.start()
    for _ in range(times):
        output.stdout(piece)
        output.stderr(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_the_first_true_starts_the_linger_clock_and_only_the_first() -> None:
    output = Output(100, 100, lambda line: line == b"result", RunLog(None, (), 0))
    times: list[float | None] = []
    for line in (b"something\n", b"result\n", b"result\n"):
        output.stdout(line)
        times.append(output.result_at)
    assert times[0] is None
    assert times[1] is not None
    assert times[2] == times[1]


def test_a_failing_listener_is_asked_no_more_but_reading_goes_on() -> None:
    calls: list[bytes] = []

    def listener(line: bytes) -> None:
        calls.append(line)
        raise KeyboardInterrupt

    output = Output(100, 100, listener, RunLog(None, (), 0))
    output.stdout(b"one\ntwo\n")
    assert calls == [b"one"]
    assert isinstance(output.failure, KeyboardInterrupt)
    assert output.out.captured().total == 8


def test_a_log_is_private_redacted_and_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    for _ in range(2):
        log = RunLog(path, ["hunter2-secret"], 1000)
        log.feed(b"my hunter2-")
        log.feed(b"secret is out\n")
        log.close()
        assert log.error == ""
    assert path.read_bytes() == b"my [redacted] is out\n" * 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_log_ends_at_its_limit_and_says_so(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "run.log", (), 100)
    for _ in range(50):
        log.feed(b"0123456789" * 10)
    log.close()
    content = (tmp_path / "run.log").read_bytes()
    assert content[:100] == b"0123456789" * 10
    assert len(content) < 200
    assert "longer than its log may be" in log.error


def test_a_log_never_follows_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "run.log").symlink_to("victim")
    log = RunLog(tmp_path / "run.log", (), 1000)
    log.feed(b"x" * 100)
    log.close()
    assert log.error
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_a_full_disk_or_a_missing_directory_ends_the_log_and_nothing_else(tmp_path: Path) -> None:
    for target in ("/dev/full", tmp_path / "missing" / "run.log"):
        before = len(os.listdir("/proc/self/fd"))
        log = RunLog(target, (), 1 << 20)
        for _ in range(10):
            log.feed(b"x" * 1000)
        log.close()
        log.close()
        assert log.error
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_log_may_be_an_open_file_which_stays_open(tmp_path: Path) -> None:
    with (tmp_path / "run.log").open("wb") as file:
        file.write(b"header\n")
        log = RunLog(file, (), 1000)
        log.feed(b"line\n")
        log.close()
        file.write(b"footer\n")
    assert (tmp_path / "run.log").read_bytes() == b"header\nline\nfooter\n"
    unreal = RunLog(io.BytesIO(), (), 1000)
    assert unreal.error


def test_a_log_goes_on_after_a_line_that_a_killed_supervisor_left_torn(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_bytes(b"whole\ntorn")
    for piece in (b"next\n", b"last\n"):
        log = RunLog(path, (), 1000)
        log.feed(piece)
        log.close()
    assert path.read_bytes() == b"whole\ntorn\nnext\nlast\n"
