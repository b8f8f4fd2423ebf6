"""A signal while a person's own task waits for one of ours: its `finally` runs, and no child is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from hpm_tools.process.identity import start_time
from tests.support.frontends import BIN
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

LONG = 120

TASKS = """
import threading
from invoke import Context, task
from invoke.executor import Executor
from hpm_tools.tasks import hooks_run, ns

SLOW = {"name": "slow", "hooks_dir": "hooks"}

@task
def called(c):
    try:
        hooks_run(c, **SLOW)
    finally:
        print("finally")

@task
def executed(c):
    try:
        Executor(ns, c.config).execute(("hooks.run", SLOW))
    finally:
        print("finally")

@task
def in_a_thread(c):
    waiting = threading.Thread(target=hooks_run, args=[Context()], kwargs=SLOW, daemon=True)
    waiting.start()
    try:
        waiting.join()
    finally:
        print("finally")

@task
def later(c):
    print("later")
"""

HOOK = """
import os, pathlib, time
new = pathlib.Path("new")
new.write_text(str(os.getpid()))
new.rename("pid")
time.sleep(1000)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS)
    hook = tmp_path / "hooks" / "slow.py"
    hook.parent.mkdir(mode=0o700)
    hook.write_text(HOOK)
    hook.chmod(0o700)
    return tmp_path


@pytest.mark.parametrize(
    ("task", "number", "code"),
    [
        ("called", signal.SIGTERM, 143),
        ("called", signal.SIGINT, 1),  # Invoke's own code for a KeyboardInterrupt
        ("executed", signal.SIGTERM, 143),
        ("executed", signal.SIGINT, 130),
        ("in-a-thread", signal.SIGINT, 1),
    ],
)
def test_a_signal_ends_the_child_and_runs_the_callers_finally(
    project: Path, task: str, number: signal.Signals, code: int
) -> None:
    invoke = subprocess.Popen(
        [BIN / "invoke", task, "later"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: (project / "pid").exists() or invoke.poll() is not None, timeout=LONG)
        child = int((project / "pid").read_text())
        os.kill(invoke.pid, number)
        out, err = invoke.communicate(timeout=LONG)
    finally:
        invoke.kill()
        invoke.wait()
    assert (invoke.returncode, out) == (code, "finally\n")
    if task != "in-a-thread":  # where the exception ends as any in a thread does: Python prints it
        assert err == ""
    wait_until(lambda: start_time(child) is None, timeout=LONG)
