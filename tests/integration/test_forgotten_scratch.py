"""Temporary directories of runs that nobody knows any more: a start removes those that are certainly over, and no others."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.executor.scratch import GONE, MARK, remove_forgotten, scratch_directory, scratch_path
from hpm_tools.process.identity import COOKIE
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = ("run", "--role", "backend_dev", "--single-task", "--agent-id")
RUN_ID = "0123456789abcdef"
LEAVE = """
import os, signal, sys
from hpm_tools.executor.scratch import scratch_directory
with scratch_directory(sys.argv[1], os.environ) as path:
    (path / "file").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def place() -> Iterator[dict[str, str]]:
    """An environment with a TMPDIR of its own, whose path is short enough for a run's directory."""
    directory = tempfile.mkdtemp(prefix="hpm-t-", dir="/tmp")
    yield {**os.environ, "TMPDIR": directory}
    shutil.rmtree(directory)


def left_behind(place: dict[str, str], run_id: str = RUN_ID) -> Path:
    """The directory of a run whose maker was killed."""
    maker = subprocess.run([sys.executable, "-c", LEAVE, run_id], env=place, check=False)
    assert maker.returncode == -signal.SIGKILL
    path = scratch_path(run_id, place)
    assert (path / "file").exists()
    return path


@pytest.mark.fault("W21")
def test_directory_of_a_killed_maker_is_removed(place: dict[str, str]) -> None:
    path = left_behind(place)
    remove_forgotten(place, ())
    assert not path.exists()


@pytest.mark.fault("W21")
def test_directory_stays_while_its_maker_lives_though_nothing_carries_the_run(place: dict[str, str]) -> None:
    with scratch_directory(RUN_ID, place) as path:
        remove_forgotten(place, ())
        assert path.exists()
    assert not path.exists()


@pytest.mark.fault("W21")
@pytest.mark.parametrize("whose", ["a child's", "our own"])
def test_directory_stays_while_a_process_carries_the_run(place: dict[str, str], whose: str) -> None:
    path = left_behind(place)
    carrying = {**place, COOKIE: RUN_ID}
    clean = (
        "import os; from hpm_tools.executor.scratch import remove_forgotten; remove_forgotten(os.environ, ())"
    )
    if whose == "our own":
        subprocess.run([sys.executable, "-c", clean], env=carrying, check=True)
        assert path.exists()
        return
    with subprocess.Popen(["sleep", "60"], env=carrying) as agent:
        remove_forgotten(place, ())
        assert path.exists()
        agent.kill()
    remove_forgotten(place, ())
    assert not path.exists()


@pytest.mark.fault("W21")
@pytest.mark.parametrize(
    "mark",
    [
        {"seen_from": "another boot pid:[1]"},
        {"run": "another"},
        {"run": None},
        {"seen_from": None},
        [],
        None,
    ],
    ids=["another container", "another run", "no run", "no boot", "no object", "no mark"],
)
def test_directory_of_which_nothing_is_certain_stays(place: dict[str, str], mark: Any) -> None:
    path = left_behind(place)
    file = path / MARK
    was = json.loads(file.read_text("utf-8"))
    if mark is None:
        file.unlink()
    else:
        file.write_text(json.dumps({**was, **mark} if isinstance(mark, dict) else mark), "utf-8")
    remove_forgotten(place, ())
    assert path.exists()


@pytest.mark.fault("W21")
def test_directory_of_a_known_run_is_left_to_its_runner(place: dict[str, str]) -> None:
    path = left_behind(place)
    remove_forgotten(place, {RUN_ID})
    assert path.exists()


@pytest.mark.fault("W21")
def test_removal_that_was_killed_is_gone_on_with(place: dict[str, str]) -> None:
    path = left_behind(place)
    (path / MARK).unlink()
    gone = path.rename(path.with_name(path.name + GONE))
    remove_forgotten(place, ())
    assert not gone.exists()


@pytest.mark.fault("W21")
def test_run_whose_directory_is_being_removed_gets_a_new_one(place: dict[str, str]) -> None:
    path = left_behind(place)
    with scratch_directory(RUN_ID, place) as again:
        remove_forgotten(place, ())
        assert again == path
        assert again.is_dir()


@pytest.mark.fault("W21")
def test_start_after_the_state_was_lost_removes_what_the_killed_run_left(desk: Desk, tmp_path: Path) -> None:
    go = tmp_path / "go"
    desk.board.add_task(description=script({"wait_for": str(go)}), complexity="major")
    with desk.start(*RUN, "dev_001") as runner:
        wait_until(desk.agent_starts, what="the agent")
        record = json.loads((desk.state / "locks" / "agent-dev_001.lock").read_text("utf-8"))
        path = scratch_path(record["run_id"], desk.environment)
        runner.signal(signal.SIGKILL)
        runner.wait()
    shutil.rmtree(desk.state / "locks")
    desk.hpm(*RUN, "dev_002")
    assert path.exists()  # its agent lives
    go.touch()
    agent = desk.agent_starts()[0][0]
    wait_until(lambda: not Path(f"/proc/{agent}").exists(), what="the agent's end")
    desk.hpm(*RUN, "dev_002")
    assert not path.exists()
