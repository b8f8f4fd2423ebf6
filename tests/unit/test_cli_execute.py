"""Signals, pipes and closed descriptors: how a command ends when its surroundings do."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
from typing import IO, TYPE_CHECKING

import pytest

from tests.support.frontends import BIN, SAMPLE_PROJECT, SAMPLES, sample_hpm, sample_invoke
from tests.support.processes import alive, ref
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.frontends import Run

HPM = [sys.executable, "-P", str(SAMPLES)]
INVOKE = [str(BIN / "invoke"), "--search-root", str(SAMPLE_PROJECT)]
# A shell's background jobs, perhaps these tests, ignore SIGINT and would hand that down.
HEEDING_INT = [
    sys.executable,
    "-c",
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])",
]
PROGRAMS = pytest.mark.parametrize("program", [HPM, INVOKE], ids=["hpm", "invoke"])
BOTH = pytest.mark.parametrize("run", [sample_hpm, sample_invoke], ids=["hpm", "invoke"])


LONG = 120
"""Seconds for what is done at once, on a machine with much else to do."""


def begun(program: list[str], *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*HEEDING_INT, *program, *words], stdout=-1, stderr=-1)


def seen_by_a_shell(code: int) -> int:
    return code if code >= 0 else 128 - code


@PROGRAMS
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda number: number.name
)
def test_a_signal_ends_a_command_without_a_word(
    program: list[str], number: signal.Signals, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    process = begun(program, "sample.wait", "--mark", str(mark))
    try:
        wait_until(lambda: mark.exists() and mark.read_text() == "begun", LONG, "the command's beginning")
        process.send_signal(number)
        out, err = process.communicate(timeout=LONG)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out, err) == (-number, b"", b"")


def losing(*cases: tuple[list[str], signal.Signals, str]) -> pytest.MarkDecorator:
    ids = [
        f"{'hpm' if program is HPM else 'invoke'}-{number.name}-{place}" for program, number, place in cases
    ]
    return pytest.mark.parametrize(("program", "number", "place"), cases, ids=ids)


@pytest.mark.fault("D12")
@losing(
    *[(HPM, signal.SIGTERM, place) for place in ("except", "finally", "class", "import", "elsewhere")],
    *[(INVOKE, signal.SIGTERM, place) for place in ("except", "elsewhere")],
    *[(HPM, number, place) for number in (signal.SIGHUP, signal.SIGINT) for place in ("import", "finally")],
)
def test_a_signal_is_not_lost_where_an_exception_would_be(
    program: list[str], number: signal.Signals, place: str
) -> None:
    check_that_it_ends(program, number, place)


@losing(
    *[(HPM, signal.SIGTERM, place) for place in ("callback", "del")],
    (INVOKE, signal.SIGINT, "callback"),
)
def test_a_signal_is_not_lost_where_python_only_reports_an_exception(
    program: list[str], number: signal.Signals, place: str
) -> None:
    check_that_it_ends(program, number, place)


def check_that_it_ends(program: list[str], number: signal.Signals, place: str) -> None:
    process = begun(program, "sample.signalled", f"--number={int(number)}", f"--place={place}")
    try:
        out, err = process.communicate(timeout=LONG)
    finally:
        process.kill()
        process.wait()
    assert (seen_by_a_shell(process.returncode), out, err) == (128 + number, b"", b"")


@PROGRAMS
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_a_command_after_its_child(
    program: list[str], number: signal.Signals, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    process = begun(program, "sample.child", "--mark", str(mark))
    try:
        wait_until(lambda: mark.exists() and mark.read_text(), LONG, "the child's beginning")
        process.send_signal(number)
        out, err = process.communicate(timeout=LONG)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out, err) == (128 + number, b"", b"")
    assert mark.read_text().split()[1:] == ["cleaned"], "the child was not asked, but killed"
    assert (tmp_path / "mark.parent").read_text() == "cleaned up"


def test_a_wait_for_a_child_is_woken_by_a_signal_that_its_thread_does_not_see(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    process = begun(HPM, "sample.child", "--mark", str(mark), "--elsewhere")
    try:
        process.communicate(timeout=LONG)
    finally:
        process.kill()
        process.wait()
        end_marked(mark)
    assert process.returncode == 128 + signal.SIGTERM


@pytest.mark.fault("D12")
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_second_signal_ends_a_command_and_its_child_at_once(second: signal.Signals, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    process = begun(HPM, "sample.child", "--mark", str(mark), "--stubborn")
    try:
        wait_until(lambda: mark.exists() and mark.read_text(), LONG, "the child's beginning")
        child = ref(int(mark.read_text()))
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: "asked" in mark.read_text(), LONG, "the child's being asked to end")
        process.send_signal(second)
        process.communicate(timeout=LONG)
        assert process.returncode == 128 + second
        wait_until(lambda: not alive(child), LONG, "the child's end")
    finally:
        process.kill()
        process.wait()
        end_marked(mark)


@pytest.mark.fault("D12")
def test_a_signal_ends_a_wait_for_standard_input(isolated: Path) -> None:
    """`claude.exec` handles signals itself once it has its prompt."""
    process = subprocess.Popen(
        [*HEEDING_INT, str(BIN / "hpm"), "claude.exec"], stdin=-1, stdout=-1, stderr=-1
    )
    assert process.stdin is not None
    try:
        process.stdin.write(b"Half a prompt")
        process.stdin.flush()
        wait_until(lambda: unread(process.stdin) == 0, LONG, "its reading")
        process.send_signal(signal.SIGTERM)
        code = process.wait(LONG)
    finally:
        process.kill()
        process.communicate()
    assert seen_by_a_shell(code) == 128 + signal.SIGTERM


def unread(pipe: IO[bytes] | None) -> int:
    """How many bytes nobody has taken out of the pipe yet."""
    assert pipe is not None
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def end_marked(mark: Path) -> None:
    """KILL the group of the child that wrote its number into ``mark``, should it have outlived its parent."""
    if mark.exists():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(mark.read_text().split()[0]), signal.SIGKILL)


@pytest.mark.fault("signals")
@PROGRAMS
def test_nohup_is_respected(program: list[str], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    process = subprocess.Popen(["nohup", *program, "sample.wait", "--mark", str(mark)], stdout=-1, stderr=-1)
    try:
        wait_until(lambda: mark.exists() and mark.read_text() == "begun", LONG, "the command's beginning")
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.3)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=LONG)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGTERM


def in_shell(line: str, program: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line, "bash", *program], capture_output=True, text=True, timeout=600, check=False
    )


@PROGRAMS
def test_a_reader_that_goes_away_ends_it_without_a_word(program: list[str]) -> None:
    done = in_shell('"$@" sample.flood | head -n 1; exit "${PIPESTATUS[0]}"', program)
    assert done.returncode == 141
    assert done.stdout.startswith("0 xxx")
    assert done.stderr == ""


@PROGRAMS
def test_a_closed_stdout_is_an_error_and_not_a_lost_token(program: list[str]) -> None:
    done = in_shell('"$@" sample.echo --text token -q >&-', program)
    assert done.returncode == 73
    assert done.stderr.startswith("error: the result could not be written to stdout: stdout is closed\n")


@PROGRAMS
def test_a_full_disk_under_stdout_is_an_error(program: list[str]) -> None:
    done = in_shell('"$@" sample.echo --text token -q >/dev/full', program)
    assert done.returncode == 73
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 2


@PROGRAMS
def test_with_closed_descriptors_no_file_becomes_stdout(program: list[str], tmp_path: Path) -> None:
    file = tmp_path / "file"
    done = in_shell(f'"$@" sample.files --path {file} <&- 2>&-', program)
    assert done.returncode == 0
    assert int(done.stdout) > 2
    closed = in_shell(f'"$@" sample.files --path {file}.other >&-', program)
    assert closed.returncode == 73
    assert not (tmp_path / "file.other").exists(), "it was done although nobody could be told"


@PROGRAMS
def test_a_closed_stdin_reads_as_empty(program: list[str]) -> None:
    done = in_shell('"$@" sample.read --json <&-', program)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"text": ""})


@PROGRAMS
def test_a_shell_loop_keeps_its_stdin(program: list[str]) -> None:
    done = in_shell(
        'printf "a\\nb\\nc\\n" | while read -r x; do "$@" sample.echo -q --text "$x"; done', program
    )
    assert done.stdout == "a\nb\nc\n"


@BOTH
def test_stdin_arrives_whole(run: Run) -> None:
    assert run("sample.read", text="é\nline\n").stdout == "é\nline\n"
    assert json.loads(run("sample.read", "--json", text="x" * 2_000_000).stdout) == {"text": "x" * 2_000_000}


@PROGRAMS
def test_stdin_that_is_no_text_is_bad_data(program: list[str]) -> None:
    done = in_shell('printf "a\\377" | "$@" sample.read', program)
    assert (done.returncode, done.stdout) == (65, "")
    assert "not UTF-8: byte 1 is 0xff" in done.stderr


@BOTH
def test_an_unexpected_error_leaves_a_private_log_without_secrets(
    run: Run, isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "a-fault-is-here")
    done = run("sample.fail", "--how", "bug")
    assert done.returncode == 70
    (log,) = (isolated / ".headless-pm" / "crashes").iterdir()
    assert str(log) in done.stderr
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.parent.stat().st_mode & 0o777 == 0o700
    text = log.read_text()
    assert "RuntimeError: a fault\nwith a second line" in text
    assert "sample.fail --how bug" in text
    assert "sk-ant-api03" not in text


def test_an_unwritable_state_directory_does_not_hide_the_error(
    isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (isolated / "file").write_text("")
    monkeypatch.setenv("HEADLESS_PM_HOME", str(isolated / "file"))
    done = sample_hpm("sample.fail", "--how", "bug")
    assert done.returncode == 70
    assert "could not be written" in done.stderr


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1", "no_such_locale"])
def test_any_locale_prints_any_text(locale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    monkeypatch.setenv("PYTHONUTF8", "0")
    monkeypatch.setenv("PYTHONCOERCECLOCALE", "0")
    done = sample_hpm("sample.read", text="é → 漢 🙂\n")
    assert (done.returncode, done.stdout) == (0, "é → 漢 🙂\n")


def test_several_calls_in_one_go_keep_the_streams(isolated: Path) -> None:
    done = in_shell('"$@" sample.echo -q --text a sample.flood | head -n 1; exit "${PIPESTATUS[0]}"', INVOKE)
    assert (done.returncode, done.stdout, done.stderr) == (141, "a\n", "")
    assert os.listdir(isolated) == []
