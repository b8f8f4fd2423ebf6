"""Signals as flags: what waits is woken, whichever thread the kernel gave the signal to."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from hpm_tools.process.identity import start_time
from tests.support.waiting import wait_until

LONG = 120
"""Seconds for what is done at once, on a machine with much else to do."""

ELSEWHERE = """
import os, signal, threading, time
from hpm_tools.runner.stop import Stop

def heed():
    time.sleep(1)  # for the main thread to come to its wait
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(1000)

with Stop().installed() as stop:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    threading.Thread(target=heed, daemon=True).start()
    print(stop.wait(900), stop.reason())
"""

IN_A_CALLBACK = """
import os, signal, weakref
from hpm_tools.runner.stop import Stop

class Gone:
    pass

with Stop().installed() as stop:
    gone = Gone()
    callback = weakref.ref(gone, lambda _ref: os.kill(os.getpid(), signal.SIGTERM))
    del gone
    print(stop.wait(900), stop.reason())
"""

LIBRARY = """
import os, signal, threading
from hpm_tools.process.capture import capture

threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    capture(["sleep", "1000"], timeout=900)
except KeyboardInterrupt:
    print("interrupted", signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
"""

NOBODY_LOOKED = """
import os, signal
from hpm_tools import signals
from hpm_tools.process import launch

with signals.CommandSignals():
    try:
        with launch.running(["true"], cwd=None, env=None, stdin=False):
            os.kill(os.getpid(), signal.SIGTERM)
    except signals.Terminated as ended:
        print(ended.code, signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""

UNRELATED = """
import os, signal, threading, time
signal.signal(signal.SIGUSR1, lambda number, frame: None)

def heed():
    # Each time for the main thread to come to its wait, and to come back to it.
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(1.5)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(1000)

def begin():
    global begun
    begun = time.process_time()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    threading.Thread(target=heed, daemon=True).start()

def idle():
    return time.process_time() - begun < 1
"""

PAUSE = """
from hpm_tools.runner.stop import Stop

with Stop().installed() as stop:
    begin()
    stop.wait(900)
    print(stop.reason(), idle())
"""

BETWEEN_TWO_TRIES = """
from hpm_tools.board import wire
from hpm_tools.runner.stop import Stop

with Stop().installed() as stop, wire.breakable(stop.descriptor, stop.asked):
    begin()
    try:
        wire.pause(900)
    except wire.BrokenOff:
        print(stop.reason(), idle())
"""

CHILD = """
from hpm_tools import signals
from hpm_tools.process.{module} import {call}

with signals.CommandSignals():
    try:
        begin()
        {call}(["sleep", "1000"], {rest})
    except signals.Terminated as ended:
        print(signal.Signals(ended.code - 128).name, idle())
"""

AT_ONCE = """
import os, signal
from hpm_tools import signals
from hpm_tools.process import launch
from hpm_tools.runner.stop import Stop

def fail():
    raise SystemExit(3)

with Stop().installed(), launch.running(["sleep", "1000"], cwd=None, env=None, stdin=False) as child:
    print(child.pid, flush=True)
    signals.at_once.insert(0, fail)
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGHUP)
"""


def python(code: str) -> str:
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    words = [sys.executable, "-c", heeding + code]
    return subprocess.run(words, capture_output=True, text=True, timeout=LONG, check=True).stdout


@pytest.mark.fault("D12")
def test_a_pause_ends_with_a_signal_that_its_thread_does_not_see() -> None:
    assert python(ELSEWHERE) == "True SIGTERM\n"


def test_a_pause_ends_with_a_signal_in_a_callback() -> None:
    assert python(IN_A_CALLBACK) == "True SIGTERM\n"


def test_a_program_that_uses_us_as_a_library_keeps_its_signals() -> None:
    assert python(LIBRARY) == "interrupted True\n"


def test_a_signal_that_nobody_looked_for_ends_the_wait_for_a_child() -> None:
    assert python(NOBODY_LOOKED) == "143 True\nTrue\n"


CAPTURE = CHILD.format(module="capture", call="capture", rest="timeout=900")
SUPERVISE = CHILD.format(module="supervise", call="supervise", rest="cwd=None, env={**os.environ}")


@pytest.mark.parametrize(
    "wait",
    [PAUSE, BETWEEN_TWO_TRIES, CAPTURE, SUPERVISE],
    ids=["pause", "between two tries", "capture", "supervise"],
)
def test_a_signal_that_asks_for_nothing_neither_hides_the_next_nor_keeps_the_wait_busy(wait: str) -> None:
    assert python(UNRELATED + wait) == "SIGTERM True\n"


def test_a_kill_that_fails_keeps_no_other_child_alive() -> None:
    words = [sys.executable, "-c", AT_ONCE]
    done = subprocess.run(words, capture_output=True, text=True, timeout=LONG, check=False)
    assert (done.returncode, done.stderr) == (128 + signal.SIGHUP, "")
    wait_until(lambda: start_time(int(done.stdout)) is None, LONG, "the child's end")
