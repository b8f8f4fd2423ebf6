"""`./inv worlds` as a program: what it prints in a pipe, how it ends when it is told to, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.campaign.bench import living_below
from tests.support.frontends import PROJECT
from tests.support.waiting import wait_until
from tests.worlds.engine import Pool
from tests.worlds.telling import as_text
from tests.worlds.world import Choice, Run, Task, World

if TYPE_CHECKING:
    from pathlib import Path

WAITING = World("waits", tasks=(Task(runs=(Run((Choice("meet", {"name": "1"}),)),)),))
"""A world whose agent stands still for a moment."""


def start(*words: str, directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.worlds", *words],
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(directory)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_world_from_the_input_is_played_and_leaves_nothing(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    directory = tmp_path / "t"
    directory.mkdir()
    played = start("--play", "-", "--report", str(report), directory=directory)
    out, err = played.communicate(as_text(WAITING))
    assert (played.returncode, err) == (0, "")
    assert out.startswith("1 world, all hold; ")
    facts = json.loads(report.read_text(encoding="utf-8"))
    assert (facts["played"], facts["failed"], facts["happened"]["act meet"]) == (["waits"], [], 1)
    assert [*directory.iterdir()] == []
    assert [*living_below(directory)] == []


def test_what_is_no_world_is_a_usage_error(tmp_path: Path) -> None:
    played = start("--play", "-", directory=tmp_path)
    out, err = played.communicate('{"board": 5}')
    assert (played.returncode, out) == (2, "")
    assert err.startswith("--play -: ")


@pytest.mark.extended
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_says_what_was_played_and_ends_all_it_started(
    tmp_path: Path, number: signal.Signals
) -> None:
    directory = tmp_path / "t"
    directory.mkdir()
    playing = start("--count", "50", "--seed", "1", "--jobs", "1", directory=directory)
    wait_until(lambda: any(directory.glob("*/worker-1/world-2")), 300, "the second world")
    playing.send_signal(number)
    out, err = playing.communicate(timeout=60)
    assert (playing.returncode, err) == (128 + number, "")
    assert "(interrupted, of 50)" in out.splitlines()[-1]
    assert [*directory.iterdir()] == []
    assert [*living_below(directory)] == []


@pytest.mark.extended
def test_a_worker_that_dies_is_told_and_the_others_go_on(tmp_path: Path, isolated: Path) -> None:
    with Pool(tmp_path / "pool", 1) as pool:
        outcomes = pool.play([WAITING] * 3)
        first = next(outcomes)
        (worker,) = pool._workers
        assert worker.process.pid is not None
        os.kill(worker.process.pid, signal.SIGKILL)
        second, third = outcomes
    assert [outcome.ok for outcome in (first, second, third)] == [True, False, True]
    assert second.problems == ["harness: the process that played it ended with exit code -9"]
    assert [*living_below(tmp_path / "pool")] == []
