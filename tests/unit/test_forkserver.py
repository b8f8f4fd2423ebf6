"""What the fork server starts is like a real start: each test does both and compares."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import forkserver
from tests.support.forkserver import BIN, PROJECT, Forked, Server
from tests.support.terminal import Terminal
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.forkserver import Process

pytestmark = pytest.mark.skipif(
    forkserver.ALWAYS_REAL or not hasattr(os, "pidfd_open"), reason="every start is a real one here"
)

PROBE = """
import atexit, gc, json, locale, os, random, resource, signal, sys, tempfile, threading, time

def of(stream):
    if stream is None:
        return None
    names = ("name", "mode", "encoding", "errors", "line_buffering", "write_through", "newlines")
    return [getattr(stream, name) for name in names] + [type(stream.buffer).__name__, stream.fileno()]

def limits():
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {name: resource.getrlimit(getattr(resource, name)) for name in names}

print(json.dumps({
    "argv": sys.argv, "orig_argv": sys.orig_argv, "path": sys.path, "name": __name__, "file": __file__,
    "main": sys.modules["__main__"].__file__,
    "environ": dict(os.environ), "cwd": os.getcwd(), "zone": time.tzname, "umask": os.umask(0),
    "cmdline": open("/proc/self/cmdline").read().rstrip("\\0").split("\\0"),
    "files": sorted(os.listdir("/proc/self/fd")), "limits": limits(),
    "streams": [of(sys.stdin), of(sys.stdout), of(sys.stderr)],
    "same": [sys.stdin is sys.__stdin__, sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__],
    "signals": {str(number): str(signal.getsignal(number)) for number in signal.valid_signals()},
    "masked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "threads": threading.active_count(), "collects": [gc.isenabled(), gc.get_threshold()],
    "locale": locale.setlocale(locale.LC_ALL), "encoding": sys.getfilesystemencoding(),
    "leads": [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()],
    "nice": os.nice(0), "flags": [sys.dont_write_bytecode, sys.flags.isolated, sys.flags.safe_path],
    "text": sys.stdin.read() if sys.stdin else None, "invoke": "invoke" in sys.modules,
}))
print("complaint", file=sys.stderr)
atexit.register(print, "bye")
threading.Thread(target=lambda: (time.sleep(0.05), print("thread"))).start()
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "forked_probe.py").write_text(PROBE, encoding="utf-8")
    return tmp_path


def environment(**more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "LANG": "C.UTF-8",
        **forkserver.READ_AT_START,
        **more,
    }


def both(place: Path, code: str | None = None, **options: Any) -> list[subprocess.CompletedProcess[str]]:
    """The probe, or ``code`` in its place, started by the fork server and for real; the same but for that."""
    if code is not None:
        (place / "forked_probe.py").write_text(code, encoding="utf-8")
    options = {"cwd": place, "env": environment(), **options}
    argv = [*forkserver.PYTHON, "forked_probe", "a word", "--option=ü"]
    assert forkserver._profile(argv, options["env"]) == "hpm"
    return [forkserver.run(argv, real=real, **options) for real in (False, True)]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        {"TZ": "Asia/Tokyo", "HPM_TEST": "=\n ü", "EMPTY": ""},
        {"LANG": ""},
    ],
    ids=["plain", "unbuffered", "zone", "no locale"],
)
def test_all_that_a_process_sees_of_its_start_is_the_same(place: Path, more: Mapping[str, str]) -> None:
    before = os.umask(0o027)
    try:
        forked, real = both(place, text="grüße\r\n", env=environment(**more))
    finally:
        os.umask(before)
    seen, wanted = (json.loads(done.stdout.splitlines()[0]) for done in (forked, real))
    assert seen == wanted
    assert forked.stdout.splitlines()[1:] == real.stdout.splitlines()[1:] == ["thread", "bye"]
    assert (forked.returncode, forked.stderr) == (real.returncode, real.stderr) == (0, "complaint\n")


def test_limits_are_the_callers(place: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    try:
        forked, real = both(place)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    assert json.loads(forked.stdout.splitlines()[0]) == json.loads(real.stdout.splitlines()[0])


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_closed_and_redirected_descriptors(place: Path, closed: int) -> None:
    code = (
        "import os, sys\n"
        "held = [os.path.exists(f'/proc/self/fd/{n}') for n in (0, 1, 2)]\n"
        "open('seen', 'w').write(repr([held, sys.stdin is None, sys.stdout is None, sys.stderr is None]))"
    )
    (place / "forked_probe.py").write_text(code, encoding="utf-8")
    seen = []
    for real in (False, True):
        forkserver.run(
            [*forkserver.PYTHON, "forked_probe"],
            cwd=place,
            env=environment(),
            real=real,
            redirected={closed: None},
        )
        seen.append((place / "seen").read_text(encoding="utf-8"))
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    "ending",
    [
        "sys.exit()",
        "sys.exit(3)",
        "sys.exit(256 + 7)",
        "sys.exit('a message')",
        "os._exit(9)",
        "os.kill(os.getpid(), 9)",
        "os.kill(os.getpid(), 15)",
        "os.abort()",
        "signal.raise_signal(signal.SIGINT)",
        "1 / 0",
        "sys.stdout = None",
        "sys.stdout.close()",
    ],
)
def test_every_ending_has_its_exit_code(place: Path, ending: str) -> None:
    forked, real = both(place, f"import os, signal, sys\nprint('out', flush=True)\n{ending}\n")
    assert (forked.returncode, forked.stdout) == (real.returncode, real.stdout)
    assert forked.stderr.splitlines()[-1:] == real.stderr.splitlines()[-1:]


def test_what_is_left_unwritten_for_a_full_disk_is_code_120(place: Path) -> None:
    with open("/dev/full", "wb") as full:
        forked, real = both(place, "print('lost')", redirected={1: full.fileno()})
    assert (forked.returncode, forked.stderr) == (real.returncode, real.stderr)
    assert real.returncode == 120


ON_A_TERMINAL = """
import os, sys, time
own = [os.isatty(number) for number in (0, 1, 2)], os.tcgetpgrp(0) == os.getpid(), open("/dev/tty").isatty()
print(own, sys.stdin.isatty(), sys.stdout.line_buffering, input("name? "), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("real", [False, True])
def test_a_terminal_is_that_of_its_session(place: Path, real: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forkserver, "ALWAYS_REAL", real)
    (place / "forked_probe.py").write_text(ON_A_TERMINAL, encoding="utf-8")
    argv = [*forkserver.PYTHON, "forked_probe"]
    with Terminal(argv, cwd=place, env=environment()) as terminal:
        assert isinstance(terminal.process, Forked) is not real
        terminal.wait_for("name? ")
        terminal.type("somebody\n")
        terminal.wait_for("([True, True, True], True, True) True True somebody")
        terminal.type("\x03")
        assert terminal.wait() == -signal.SIGINT


def test_much_output_and_much_input(place: Path) -> None:
    code = "import sys\ntext = sys.stdin.read()\nprint(text)\nprint(text, file=sys.stderr)\n"
    forked, real = both(place, code, text="ü" * 2_000_000)
    assert (forked.returncode, forked.stdout, forked.stderr) == (0, real.stdout, real.stderr)


def test_no_two_children_draw_the_same_numbers(place: Path) -> None:
    code = "import random, tempfile, uuid\nprint(random.random(), uuid.uuid4(), next(tempfile._get_candidate_names()))\n"
    drawn = [both(place, code)[0].stdout.split() for _ in range(3)]
    assert all(len(set(numbers)) == 3 for numbers in zip(*drawn, strict=True))


def test_a_command_that_takes_too_long_is_killed(place: Path) -> None:
    (place / "forked_probe.py").write_text(
        "import time\nprint('on', flush=True)\ntime.sleep(600)", encoding="utf-8"
    )
    with pytest.raises(subprocess.TimeoutExpired):
        forkserver.run([*forkserver.PYTHON, "forked_probe"], cwd=place, env=environment(), timeout=2)


def started(place: Path, code: str) -> Process:
    (place / "forked_probe.py").write_text(code, encoding="utf-8")
    with open(os.devnull, "r+b") as null:
        streams = (null.fileno(),) * 3
        return forkserver.start(
            [*forkserver.PYTHON, "forked_probe"], cwd=place, env=environment(), streams=streams
        )


def test_it_can_be_signalled_and_stays_a_zombie_until_it_is_polled(place: Path) -> None:
    process = started(place, "import time\ntime.sleep(600)")
    assert isinstance(process, Forked)
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.05)
    os.kill(process.pid, signal.SIGTERM)
    stat = Path(f"/proc/{process.pid}/stat")
    wait_until(lambda: stat.read_text(encoding="ascii").split()[2] == "Z", 60, "the zombie")
    assert process.wait(60) == -signal.SIGTERM
    assert not stat.exists()
    process.send_signal(signal.SIGKILL)
    assert process.poll() == process.returncode == -signal.SIGTERM


def test_several_at_once(place: Path) -> None:
    names = [str(number) for number in range(6)]
    (place / "forked_probe.py").write_text("import sys\nprint(input() + sys.argv[1])", encoding="utf-8")

    def ask(name: str) -> str:
        argv = [*forkserver.PYTHON, "forked_probe", name]
        return forkserver.run(argv, cwd=place, env=environment(), text=f"{name}\n").stdout

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(ask, names)) == [f"{name}{name}\n" for name in names]


def test_a_dead_server_is_said_to_be_dead_and_its_children_live_on(place: Path) -> None:
    process = started(place, "open('on', 'w')\nimport time\ntime.sleep(600)")
    wait_until((place / "on").exists, 60, "the child")
    server = forkserver._servers["hpm", ""]
    server.process.kill()
    server.process.wait()
    with pytest.raises(RuntimeError, match="fork server died"):
        process.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    assert both(place, "print('again')")[0].stdout == "again\n", "the next start has a new server"


def test_a_server_ends_with_who_started_it() -> None:
    server = Server("hpm", "")
    server._control.shutdown(socket.SHUT_RDWR)
    assert server.process.wait(60) == 0


@pytest.mark.parametrize(
    ("argv", "more"),
    [
        ([sys.executable, "-c", "pass"], {}),
        ([*forkserver.PYTHON, "pytest"], {}),
        (["git", "status"], {}),
        ([str(BIN / "hpm"), "x" * forkserver.ROOM], {}),
        ([str(BIN / "hpm")], {"PYTHONPATH": "/"}),
        ([str(BIN / "hpm")], {"LC_ALL": "C"}),
        ([str(BIN / "hpm")], {"LANG": "de_DE.ISO-8859-1"}),
    ],
)
def test_what_cannot_be_reproduced_is_started_for_real(argv: list[str], more: Mapping[str, str]) -> None:
    assert forkserver._profile(argv, environment(**more)) == ""


def test_both_front_ends_answer_as_when_started_for_real(tmp_path: Path) -> None:
    for argv in ([str(BIN / "hpm")], [str(BIN / "invoke"), "--search-root", str(PROJECT)]):
        for words in (["locks", "--json"], ["pm.task", "--task-id", "x"], ["lok"]):
            done = [
                forkserver.run([*argv, *words], cwd=tmp_path, env=environment(), real=real)
                for real in (False, True)
            ]
            answers = [(one.returncode, one.stdout, one.stderr) for one in done]
            assert answers[0] == answers[1]


def test_another_package_on_pythonpath_is_run_by_a_server_of_its_own(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "hpm_tools", tmp_path / "hpm_tools")
    (tmp_path / "hpm_tools" / "cli" / "hpm.py").write_text("print('the other one')\n", encoding="utf-8")
    argv, env = [*forkserver.PYTHON, "hpm_tools.cli.hpm"], environment(PYTHONPATH=str(tmp_path))
    assert forkserver._profile(argv, env) == "hpm"
    assert forkserver.run(argv, cwd=PROJECT / "tests", env=env).stdout == "the other one\n"
    forkserver.forget(tmp_path)
