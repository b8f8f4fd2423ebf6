"""What people and programs get to see: plain, as JSON, quiet, and on a real terminal."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from hpm_tools.errors import BadData
from hpm_tools.ui import TerminalUI
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def made(**options: Any) -> tuple[TerminalUI, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    return TerminalUI(stdout=out, stderr=err, **options), out, err


def say_everything(ui: TerminalUI) -> None:
    ui.line("a result")
    ui.note("a note")
    ui.warn("a warning")
    ui.error("an error")
    ui.debug("a detail")
    ui.progress("working")
    ui.event("began", text="task 3 begins", task=3)


def test_plain_talk_is_split_between_the_streams() -> None:
    ui, out, err = made()
    say_everything(ui)
    assert re.fullmatch(r"a result\n\d{4}-\d\d-\d\d \d\d:\d\d:\d\d task 3 begins\n", out.getvalue())
    clock = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "
    assert re.fullmatch(rf"{clock}a note\n{clock}warning: a warning\nerror: an error\n", err.getvalue())


def test_a_command_with_one_result_dates_nothing() -> None:
    ui, _, err = made(streams=False)
    ui.note("a note")
    ui.warn("a warning")
    assert err.getvalue() == "a note\nwarning: a warning\n"


def test_debug_lines_tell_the_millisecond() -> None:
    ui, _, err = made(verbose=True)
    ui.debug("a detail")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} a detail\n", err.getvalue())


def test_a_result_fits_a_terminal_and_is_whole_elsewhere() -> None:
    assert made()[0].columns is None
    with terminal("print('columns', ui.columns)", columns=57) as screen:
        screen.shows("columns 57")


def test_quiet_leaves_results_and_errors() -> None:
    ui, out, err = made(quiet=True, verbose=True)
    say_everything(ui)
    assert (out.getvalue(), err.getvalue()) == ("a result\n", "error: an error\n")


def test_verbose_adds_details() -> None:
    ui, _, err = made(verbose=True)
    say_everything(ui)
    assert "a detail\n" in err.getvalue()


def test_events_as_json_have_time_and_facts() -> None:
    ui, out, _ = made(json=True, quiet=True)
    ui.event("began", text="say \x1b[31m", task=3, path=io)
    event = json.loads(out.getvalue())
    assert (event["event"], event["task"], event["text"]) == ("began", 3, "say \x1b[31m")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", event["time"])
    assert "\x1b" not in out.getvalue()


def test_an_event_without_a_sentence_lists_its_facts() -> None:
    ui, out, _ = made()
    ui.event("idle", seconds=3, role="qa")
    assert out.getvalue().endswith(" idle seconds=3 role=qa\n")


@pytest.mark.parametrize("text", ["\x1b]0;title\x07x", "a\x9b31mb", "x\u202ey", "a\x00b\x08"])
def test_foreign_text_cannot_drive_the_terminal(text: str) -> None:
    ui, out, err = made(verbose=True)
    for say in (
        ui.line,
        ui.note,
        ui.warn,
        ui.error,
        ui.debug,
        ui.hint,
        lambda text: ui.event("x", text=text),
    ):
        say(text)
    shown = out.getvalue() + err.getvalue()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)


def test_what_is_concealed_is_said_nowhere_and_results_stay() -> None:
    ui, out, err = made(verbose=True)
    ui.conceal(["hunter2-of-the-board"])
    for say in (ui.note, ui.warn, ui.error, ui.debug, ui.hint, lambda text: ui.event("x", text=text)):
        say("the key is hunter2-of-the-board")
        say("the key is hunter2\x1b[1m-of-the-board")
    assert "hunter2" not in out.getvalue() + err.getvalue()
    assert (out.getvalue() + err.getvalue()).count("the key is [redacted]") == 12
    ui.line("hunter2-of-the-board")
    assert out.getvalue().endswith("hunter2-of-the-board\n")


def test_an_event_stays_short_whatever_a_board_calls_its_tasks() -> None:
    for json_wanted in (False, True):
        ui, out, _ = made(json=json_wanted)
        ui.event("x", text="a" * 2_000_000)
        assert len(out.getvalue()) < 3000


def test_an_event_stays_on_one_line() -> None:
    ui, out, _ = made()
    ui.event("x", text="two\nlines\r\tand more")
    assert out.getvalue().count("\n") == 1


def test_a_closed_or_full_stderr_does_not_end_the_work() -> None:
    code = "from hpm_tools.ui import TerminalUI; ui = TerminalUI(); ui.note('lost'); ui.line('kept')"
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=full, check=True)
    assert done.stdout == b"kept\n"
    closed = io.StringIO()
    closed.close()
    TerminalUI(stderr=closed).error("lost")


def test_lines_of_several_threads_are_never_torn() -> None:
    ui, out, _ = made()

    def talk(letter: str) -> None:
        for _ in range(50):
            ui.line(letter * 2000)

    threads = [threading.Thread(target=talk, args=(letter,)) for letter in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = out.getvalue().splitlines()
    assert len(lines) == 400
    assert all(line == line[0] * 2000 for line in lines)


def test_standard_input_is_bounded() -> None:
    code = "from hpm_tools.ui import TerminalUI; TerminalUI().read_stdin(10)"
    done = subprocess.run([sys.executable, "-c", code], input=b"x" * 11, capture_output=True, check=False)
    assert BadData.__name__ in done.stderr.decode()


class Terminal:
    """A program on a terminal of its own: what it shows, and what is typed."""

    def __init__(self, code: str, columns: int = 60, **environ: str) -> None:
        program = f"import os, sys\nfrom hpm_tools.ui import TerminalUI\nui = TerminalUI()\n{code}"
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.execve(
                sys.executable, [sys.executable, "-c", program], {**os.environ, "TERM": "xterm", **environ}
            )
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.screen = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                got = os.read(self._fd, 4096)
            except OSError:
                return
            if not got:
                return
            self.screen += got.decode(errors="replace")

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def shows(self, text: str) -> None:
        wait_until(lambda: text in self.screen, what=f"{text!r} on the screen")

    def end(self) -> int:
        _, status = os.waitpid(self._pid, 0)
        self._reader.join(300)
        os.close(self._fd)
        return os.waitstatus_to_exitcode(status)


@contextmanager
def terminal(code: str, **options: Any) -> Iterator[Terminal]:
    running = Terminal(code, **options)
    yield running
    assert running.end() == 0, running.screen


def test_colours_are_for_terminals_that_want_them() -> None:
    with terminal("ui.warn('careful'); ui.error('broken')") as screen:
        screen.shows("broken")
    assert "\x1b[33mwarning: careful" in screen.screen
    assert "\x1b[31merror: broken" in screen.screen
    for environ in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        with terminal("ui.error('broken')", **environ) as screen:
            screen.shows("broken")
        assert "\x1b" not in screen.screen


def test_the_live_line_makes_room_for_others_and_fits() -> None:
    with terminal(
        "input(); ui.progress('step ' + 'x' * 200); ui.note('note'); ui.progress('')", columns=40
    ) as screen:
        screen.type("\n")
        screen.shows("note")
    shown = screen.screen.split("\x1b[2K")
    assert shown[0].endswith("step " + "x" * 33 + "…\r")
    assert shown[1].startswith("note\r\n")
    assert shown[-1] == ""


def test_the_live_line_shows_how_long_it_takes_although_nothing_happens() -> None:
    with terminal(
        "ui.progress('task 3 · working', 'turn 2 · Edit a.py'); input(); ui.progress('')"
    ) as screen:
        screen.shows("task 3 · working · 0.0 s · turn 2 · Edit a.py")
        screen.shows("task 3 · working · 1.")
        screen.type("\n")


def test_the_time_of_the_live_line_goes_on_when_only_its_detail_changes() -> None:
    code = (
        "ui.progress('one', 'a'); input(); ui.progress('one', 'b'); input(); "
        "ui.progress('two'); input(); ui.progress('')"
    )
    with terminal(code) as screen:
        screen.shows("one · 1.")
        screen.type("\n")
        screen.shows(" s · b")
        screen.type("\n")
        screen.shows("two · 0.")
        screen.type("\n")
    assert "one · 0.0 s · b" not in screen.screen


@pytest.mark.parametrize(("streams", "shown"), [(True, False), (False, True)])
def test_lines_that_go_through_a_pipe_to_the_same_terminal_leave_no_room_for_a_live_one(
    streams: bool, shown: bool
) -> None:
    code = (
        f"os.dup2(os.pipe()[1], 1); ui.streams = {streams}; ui.progress('step'); ui.note('end'); "
        "ui.progress('')"
    )
    with terminal(code) as screen:
        screen.shows("end")
    assert ("step" in screen.screen) == shown


def test_a_long_event_is_broken_between_words_on_a_terminal() -> None:
    with terminal("ui.event('x', text='a long sentence about /a/path/that/is/long')", columns=40) as screen:
        screen.shows("is/long")
    assert "a long sentence about\r\n         /a/path/that/is/long" in screen.screen


def test_events_on_a_terminal_show_the_time_of_day() -> None:
    with terminal("ui.event('x', text='hello')") as screen:
        screen.shows("hello")
    assert re.search(r"^\d\d:\d\d:\d\d hello", screen.screen)


@pytest.mark.parametrize(
    ("typed", "answer"), [("retry\n", "retry"), ("sk\n", "skip"), ("\n", "release"), ("x\nST\n", "stop"), ("\x04", "release")]
)  # fmt: skip
def test_a_person_chooses(typed: str, answer: str) -> None:
    code = "print('chosen', ui.ask('What now?', ['retry', 'skip', 'release', 'stop'], 'release'))"
    with terminal(code) as screen:
        screen.shows("What now? (retry, skip, [release], stop): ")
        screen.type(typed)
        screen.shows(f"chosen {answer}")
    assert ("please answer with one of" in screen.screen) == typed.startswith("x")


def test_a_question_ends_with_what_is_raised_or_answered_elsewhere() -> None:
    code = (
        "import signal\nstop = []\nsignal.signal(signal.SIGTERM, lambda *_: stop.append('retry'))\n"
        "signal.signal(signal.SIGUSR1, lambda *_: stop.append(1))\n"
        "print('pid', os.getpid(), flush=True)\n"
        "def elsewhere():\n    if 1 in stop: print('told to stop'), sys.exit(0)\n"
        "    return stop[0] if stop else None\n"
        "print('chosen', ui.ask('What now?', ['retry', 'release'], 'release', elsewhere=elsewhere))"
    )
    with terminal(code) as screen:
        screen.shows("What now?")
        os.kill(int(screen.screen.split()[1]), signal.SIGTERM)
        screen.shows("chosen retry")
    with terminal(code) as screen:
        screen.shows("What now?")
        os.kill(int(screen.screen.split()[1]), signal.SIGUSR1)
        screen.shows("told to stop")


def test_nobody_is_asked_without_a_terminal() -> None:
    code = "from hpm_tools.ui import TerminalUI; print(TerminalUI().ask('What?', ['a', 'b'], 'b'))"
    done = subprocess.run([sys.executable, "-c", code], input=b"a\n", capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"b\n", b"")
