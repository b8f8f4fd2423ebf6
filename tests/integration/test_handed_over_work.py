"""An agent hands work to a server that was there before it, as to tmux, at or docker: found by the run's cookie."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpm_tools.process.family import Family
from hpm_tools.process.identity import start_time
from hpm_tools.process.tree import cookie_of, end_carriers
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = """
import json, os, socket, sys, time
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
def serve(worker):
    connection = server.accept()[0]
    asked = json.loads(connection.makefile("rb").readline())
    if not worker and os.fork():
        connection.close()
        return
    os.setsid() if not worker else None
    if asked["after"]:
        connection.sendall(b"later")
        connection.close()
        while not os.path.exists(asked["after"]):
            time.sleep(0.02)
    with open(asked["number"] + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(asked["number"] + ".new", asked["number"])
    os.execve(asked["argv"][0], asked["argv"], asked["environment"])
if sys.argv[2] == "workers":
    for _ in range(3):
        if not os.fork():
            os.setsid()
            serve(worker=True)
    print("ready", flush=True)
    time.sleep(600)
print("ready", flush=True)
while True:
    serve(worker=False)
"""
"""Runs what it is asked to with the environment it is given. Its ``workers`` are there before anybody asks."""

HAND = """
import json, os, socket, sys, time
place, number, after, cookie = sys.argv[1:]
environment = dict(os.environ) if cookie == "handed" else {"PATH": os.environ["PATH"]}
client = socket.socket(socket.AF_UNIX)
client.connect(place)
argv = ["/bin/sleep", "600"]
client.sendall(json.dumps({"argv": argv, "number": number, "after": after, "environment": environment}).encode() + b"\\n")
if after:
    client.recv(9)
while not after and not os.path.exists(number):
    time.sleep(0.02)
while not after and b"sleep" not in open(f"/proc/{open(number).read()}/cmdline", "rb").read():
    time.sleep(0.02)
"""
RUN = ("run", "--role", "backend_dev", "--single-task", "--agent-id")


@contextmanager
def server(place: Path, kind: str) -> Iterator[None]:
    """A server that was there before; it and its processes are killed at the end."""
    argv = [sys.executable, "-I", "-S", "-c", SERVER, str(place), kind]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, env={"HPM_RUN_ID": f"server-{place.parent.name}"}
    ) as one:
        try:
            assert one.stdout is not None
            assert one.stdout.readline() == b"ready\n"
            yield
        finally:
            end_carriers(f"server-{place.parent.name}", 0.0)
            one.kill()


def handed(place: Path, number: Path, after: Path | str = "", cookie: str = "handed") -> dict[str, list[str]]:
    return {"run": [sys.executable, "-I", "-S", "-c", HAND, str(place), str(number), str(after), cookie]}


@contextmanager
def ended(*numbers: Path) -> Iterator[None]:
    """Whatever is left of what was handed over is killed at the end."""
    try:
        yield
    finally:
        for number in numbers:
            if number.exists() and executed(number):
                os.kill(int(number.read_text(encoding="ascii")), signal.SIGKILL)


def executed(number: Path) -> bool:
    try:
        return (
            Path(f"/proc/{number.read_text(encoding='ascii')}/cmdline").read_bytes().startswith(b"/bin/sleep")
        )
    except FileNotFoundError:
        return False


def lives(number: Path) -> bool:
    return start_time(int(number.read_text(encoding="ascii"))) is not None


def runs_to_its_end(desk: Desk, tmp_path: Path, kind: str) -> tuple[bool, bool]:
    """Whether what was handed over with the run's environment, and what without it, lives after the run."""
    place, number, unmarked = tmp_path / "socket", tmp_path / "number", tmp_path / "unmarked"
    acts = (handed(place, number), handed(place, unmarked, cookie="not"), {"write": ["a.txt", "a\n"]})
    desk.board.add_task(description=script(*acts))
    with server(place, kind), ended(number, unmarked):
        done = desk.hpm(*RUN, "dev_001")
        assert done.returncode == 0, done.stdout + done.stderr
        return lives(number), lives(unmarked)


@pytest.mark.fault("F10")
def test_what_a_waiting_worker_of_a_server_executes_for_the_run_ends_with_it(
    desk: Desk, tmp_path: Path
) -> None:
    assert runs_to_its_end(desk, tmp_path, "workers") == (False, True)


def test_what_a_server_starts_for_the_run_ends_with_it(desk: Desk, tmp_path: Path) -> None:
    assert runs_to_its_end(desk, tmp_path, "forks") == (False, True)


def test_a_process_once_seen_without_the_cookie_is_read_again_when_it_executes_with_it() -> None:
    cookie = f"handed-{os.getpid()}"
    argv = ["sh", "-c", f"read line; exec env HPM_RUN_ID={cookie} sleep 600"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as waiting:
        family = Family(None, cookie)
        try:
            assert family.living() == []
            assert waiting.stdin is not None
            waiting.stdin.write(b"go\n")
            waiting.stdin.flush()
            wait_until(lambda: cookie_of(waiting.pid) == cookie, what="the execution")
            assert [process.pid for process in family.living()] == [waiting.pid]
        finally:
            waiting.kill()


@pytest.mark.fault("F10")
@pytest.mark.parametrize(("agent", "complexity"), [("dev_001", "major"), ("dev_002", "minor")])
def test_handed_over_work_of_a_killed_runner_ends_when_it_or_the_next_in_its_place_starts(
    desk: Desk, tmp_path: Path, agent: str, complexity: str
) -> None:
    place, number = tmp_path / "socket", tmp_path / "number"
    once = {"run": ["sh", "-c", f"test -e {number} || {shlex.join(handed(place, number)['run'])}"]}
    waits = {"run": ["sh", "-c", f"test -e {number}.again || {{ : > {number}.again; exec sleep 600; }}"]}
    for acts in ([once, waits], []):
        desk.board.add_task(description=script(*acts, {"write": ["a.txt", "a\n"]}), complexity=complexity)
    with server(place, "workers"), ended(number):
        with desk.start(*RUN, "dev_001") as runner:
            wait_until(Path(f"{number}.again").exists, what="the work that was handed over")
            runner.signal(signal.SIGKILL)
            runner.wait()
        os.kill(desk.agent_starts()[0][0], signal.SIGKILL)
        done = desk.hpm(*RUN, agent)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not lives(number)


@pytest.mark.fault("F10")
def test_work_that_a_server_starts_after_the_end_of_its_run_is_ended_by_the_next_runner(
    desk: Desk, tmp_path: Path
) -> None:
    place, number, over = tmp_path / "socket", tmp_path / "number", tmp_path / "over"
    desk.board.add_task(description=script(handed(place, number, over), {"write": ["a.txt", "a\n"]}))
    with server(place, "forks"), ended(number):
        done = desk.hpm(*RUN, "dev_001")
        assert done.returncode == 0, done.stdout + done.stderr
        over.touch()
        wait_until(lambda: number.exists() and executed(number), what="the late start")
        desk.hpm(*RUN, "dev_002")
        assert not lives(number)
