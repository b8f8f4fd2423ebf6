"""The campaign's kills at the agent's steps, with the real Claude CLI as the agent."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.fixtures_desk import WRITE
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.fixtures_desk import ClaudeDesk

ALWAYS = "agent.journalled"
POINTS = ("agent.starting", "agent.spawned", ALWAYS, "agent.ended", "working.after")


def processes_of(desk: ClaudeDesk) -> Iterator[str]:
    mark = os.fsencode(str(desk.directory))
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if mark in file.read():
                        yield name
            except OSError:
                continue


@pytest.mark.parametrize(
    "point", [pytest.param(point, marks=() if point == ALWAYS else pytest.mark.extended) for point in POINTS]
)
def test_killed_around_the_real_cli_the_task_is_done_once(claude_desk: ClaudeDesk, point: str) -> None:
    task = claude_desk.board.add_task(complexity="major")
    claude_desk.play(WRITE)
    words = ("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task")
    log = claude_desk.directory / "points"
    died = claude_desk.hpm(*words, HPM_FAILPOINT=f"{point}:kill", HPM_FAILPOINT_LOG=str(log))
    assert died.returncode == -signal.SIGKILL, died.stdout + died.stderr
    done = claude_desk.hpm(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert claude_desk.board.statuses(task["id"]) == ["pending", "created", "under_work", "dev_done"]
    assert claude_desk.git("show", f"feature/task-{task['id']}:hello.txt") == "hello"
    assert not claude_desk.overlaps.exists()
    assert claude_desk.record() is None
    wait_until(lambda: not list(processes_of(claude_desk)), what="the end of every process of the run")
