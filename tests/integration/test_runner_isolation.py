"""What a role file, a repository or a killed sandbox may not do to a run, its board and its evidence."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpm_tools.process.tree import carriers
from tests.support.fault_server import KEEP, FaultServer
from tests.support.fixtures_desk import ALLOW_PYTHON, COMMIT, WRITE
from tests.support.messages_endpoint import MessagesEndpoint
from tests.support.traps import HOUSE_RULE, set_traps
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.fault_server import Act, Request
    from tests.support.fixtures_desk import ClaudeDesk

UPSTREAM_STYLE = Path(__file__).parents[1] / "data" / "roles"
QUIET_SPIN = {"bash": "python3 -c 'import time; time.sleep(600)'"}

needs_sandbox = pytest.mark.needs("bwrap")


@pytest.mark.parametrize("filtered", [True, False], ids=["filtered", "as it is"])
def test_an_upstream_style_role_makes_agents_drive_the_board_only_unfiltered(
    claude_desk: ClaudeDesk, filtered: bool
) -> None:
    desk = claude_desk

    def pass_on(request: Request) -> Iterable[bytes | float | Act]:
        return [request.forward(desk.board.url), KEEP]

    with FaultServer(pass_on) as before_board:
        desk.board_url = before_board.url
        desk.change(claude=ALLOW_PYTHON, roles_dir=str(UPSTREAM_STYLE), filter_roles=filtered)
        poll = f"{before_board.url}/api/v1/tasks/next?role=backend_dev&level=senior&asked_by=agent"
        fetch = f"python3 -c 'import urllib.request as u; u.urlopen(\"{poll}\")'"
        desk.play(WRITE, COMMIT, obey={"command": fetch, "times": 2})
        task = desk.board.add_task(complexity="major")
        done = desk.run()
        assert done.returncode == 0, done.stdout + done.stderr
        assert desk.board.task(task["id"])["status"] == "dev_done"
        asked = [request for request in before_board.requests if "asked_by" in request.query]
        own = [request for request in before_board.requests if "asked_by" not in request.query]
    assert len(asked) == (0 if filtered else 2)
    assert own
    assert ("left out what the runner does itself" in done.stderr) == filtered


@pytest.mark.parametrize("complexity", ["minor", "major"])
def test_a_repository_cannot_act_through_its_settings(claude_desk: ClaudeDesk, complexity: str) -> None:
    desk = claude_desk
    traps = desk.directory / "traps"
    with MessagesEndpoint({"rules": [{}]}) as other:
        set_traps(desk.repo, traps, other.url)
        desk.git("add", "-A", "-f")
        desk.git("commit", "-q", "-m", "traps")
        desk.change(claude={"sandbox": False})
        desk.play(WRITE, {"bash": "python3 -c 'print(1)'"})
        task = desk.board.add_task(complexity=complexity)
        done = desk.run()
        assert done.returncode == 0, done.stdout + done.stderr
        assert other.requests == []
    assert list(traps.iterdir()) == []
    assert desk.board.task(task["id"])["status"] == "dev_done"
    assert HOUSE_RULE in desk.prompts()
    assert "python3 -c 'print(1)'" in desk.board.task(task["id"])["notes"]


@needs_sandbox
def test_a_sandboxed_agent_does_its_work_and_the_runner_commits_it(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    desk.change(claude={"sandbox": True})
    outside = desk.directory / "outside.txt"
    desk.play(
        {"bash": 'python3 -c \'open("made.txt", "w").write(str(6*7))\''}, {"bash": f"echo x > {outside}"}
    )
    task = desk.board.add_task(complexity="major")
    done = desk.run()
    assert done.returncode == 0, done.stdout + done.stderr
    branch = f"feature/task-{task['id']}"
    assert desk.git("show", f"{branch}:made.txt") == "42"
    assert desk.git("diff", "--name-only", "main", branch) == "made.txt"
    assert not outside.exists()
    assert not (desk.repo / ".bashrc").exists()


def kill_in_a_sandboxed_command(desk: ClaudeDesk, place: Path) -> None:
    """Start a runner, and kill it and its agent while a sandboxed command runs in ``place``."""
    with desk.begin() as runner:
        wait_until((place / ".bashrc").exists, what="the sandbox")
        runner.signal(signal.SIGKILL)
        runner.wait()
    record = desk.record()
    assert record is not None
    while left := carriers(record["run_id"]):
        for process in left:
            with suppress(ProcessLookupError):  # one's end may be another's
                os.kill(process.pid, signal.SIGKILL)
    assert (place / ".bashrc").exists()


@pytest.mark.fault("killed-in-sandbox")
@needs_sandbox
def test_what_a_killed_sandbox_left_is_never_committed(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    desk.change(claude={"sandbox": True})
    desk.play_turns([WRITE, QUIET_SPIN], [])
    task = desk.board.add_task(complexity="major")
    kill_in_a_sandboxed_command(desk, desk.repo / ".worktrees" / f"task-{task['id']}")
    done = desk.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.git("diff", "--name-only", "main", f"feature/task-{task['id']}") == "hello.txt"
    assert not (desk.repo / ".git" / "config.lock").exists()
    desk.git("config", "some.key", "value")


@pytest.mark.fault("killed-in-sandbox")
@needs_sandbox
def test_what_a_killed_sandbox_left_is_no_work_and_nobodys_changes(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    desk.change(claude={"sandbox": True})
    desk.play_turns([QUIET_SPIN], [])
    task = desk.board.add_task(complexity="minor")
    before = desk.git("rev-parse", "HEAD")
    kill_in_a_sandboxed_command(desk, desk.repo)
    done = desk.run()
    assert done.returncode == 1, done.stdout + done.stderr
    assert desk.board.task(task["id"])["status"] == "pending"
    assert "no changes" in desk.board.task(task["id"])["notes"]
    assert desk.git("rev-parse", "HEAD") == before
    assert desk.git("status", "--porcelain") == ""
    assert desk.git("for-each-ref", "refs/hpm/salvage") == ""
    assert not (desk.repo / ".bashrc").exists()
