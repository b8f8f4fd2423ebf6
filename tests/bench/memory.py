"""What a runner holds in memory: idle, and after an agent that said far too much."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.report import Line
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.lab import Lab, Place
    from tests.support.runners import Running

SECTION = "memory"
EARLIER_RUNNER = "the earlier runner, idle: 28.3 MiB"
STREAMED_MIB = 200

TALKER = """#!/bin/sh
yes '{{"type": "assistant", "text": "the same line of sixty-four bytes, again and again"}}' | head -c {bytes}
echo '{{"status": "done", "summary": "there was nothing to do", "no_change": true}}' >"$HPM_OUTCOME_FILE"
"""


def measure(lab: Lab) -> Iterator[Line]:
    mib = 20 if lab.quick else STREAMED_MIB
    with lab.place("memory") as place, _runner(place) as runner:
        wait_until(lambda: '"started"' in runner.output(), 60, "a started runner")
        # It hangs in its first long poll soon after; before that it has just run health_check.
        wait_until(lambda: _settled(runner), 60, "an idle runner")
        idle, shared = _status(runner, "VmRSS"), _rollup(runner, "Pss")
        place.agent.write_text(TALKER.format(bytes=mib << 20), encoding="ascii")
        place.board.add_task()
        wait_until(lambda: '"task_finished"' in runner.output(), 300, "the end of the task")
        peak = _status(runner, "VmHWM")
    yield Line(SECTION, "idle runner, RSS", idle, "MiB", remark=EARLIER_RUNNER)
    yield Line(SECTION, "idle runner, PSS", shared, "MiB")
    yield Line(
        SECTION,
        f"runner that streamed {mib} MiB, peak RSS",
        peak,
        "MiB",
        against="idle runner, RSS",
        ratio=peak / idle,
    )


def _runner(place: Place) -> Running:
    return place.start("run", "--json", "--role", "backend_dev", "--agent-id", "dev_001")


def _settled(runner: Running) -> bool:
    """Whether it sleeps and has no child."""
    state = Path(f"/proc/{runner.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    children = Path(f"/proc/{runner.pid}/task/{runner.pid}/children").read_text(encoding="ascii")
    return state == "S" and not children.strip()


def _status(runner: Running, name: str) -> float:
    return _kib(f"/proc/{runner.pid}/status", name) / 1024


def _rollup(runner: Running, name: str) -> float:
    return _kib(f"/proc/{runner.pid}/smaps_rollup", name) / 1024


def _kib(path: str, name: str) -> float:
    lines = Path(path).read_text(encoding="ascii").splitlines()
    return float(next(line for line in lines if line.startswith(f"{name}:")).split()[1])
