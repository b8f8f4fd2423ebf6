"""What a repository may not do to the CLI, and what a sandboxed agent may not do to the machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from hpm_tools.errors import Misconfigured
from hpm_tools.executor.scratch import remove_scratch
from hpm_tools.executor.verdict import VerdictKind as K
from hpm_tools.process.tree import carriers, end_carriers
from hpm_tools.worktree import placeholders
from hpm_tools.worktree.place import locate
from tests.support.fixtures_claude import bundled_cli
from tests.support.messages_endpoint import MessagesEndpoint
from tests.support.traps import HOUSE_RULE, set_traps
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.fixtures_claude import ClaudeBench

WRITE = {"write": {"path": "hello.txt", "content": "hello\n"}}
COMMIT = {"commit": "Say hello"}
SPIN = {"bash": "echo started > started.txt; tail -f /dev/null"}

needs_sandbox = pytest.mark.needs("bwrap")


@pytest.mark.parametrize("worktree", [False, True], ids=["checkout", "worktree"])
def test_a_repository_cannot_act_through_its_settings(claude: ClaudeBench, worktree: bool) -> None:
    traps = claude.directory / "traps"
    with MessagesEndpoint({"rules": [{}]}) as other:
        set_traps(claude.repo, traps, other.url)
        if worktree:
            claude.git("add", "-A")
            claude.git("commit", "-q", "-m", "traps")
            claude.git("worktree", "add", "-q", "-b", "task-1", ".worktrees/task-1")
            claude.repo = claude.repo / ".worktrees" / "task-1"
        claude.play(WRITE, {"bash": "python3 -c 'print(1)'"}, COMMIT)
        run = claude.run()
        assert claude.verdict(run).kind == K.DONE
        assert list(traps.iterdir()) == []
        assert other.requests == []
    assert [denial.what for denial in run.denials] == ["python3 -c 'print(1)'"]
    assert HOUSE_RULE in claude.said_to_agent()


def test_the_operator_can_let_a_repository_act(claude: ClaudeBench) -> None:
    traps = claude.directory / "traps"
    set_traps(claude.repo, traps, claude.endpoint.url)
    claude.play(WRITE, COMMIT)
    claude.run(executor=claude.executor(project_settings=True))
    acted = {path.name for path in traps.iterdir()}
    assert {"project-SessionStart", "local-Stop"} <= acted
    assert "mcp" not in acted
    assert HOUSE_RULE in claude.said_to_agent()


@pytest.mark.extended
def test_an_agent_told_to_poll_polls(claude: ClaudeBench) -> None:
    """The endpoint obeys: so a test that sees no call to the board has seen that nobody told the agent to."""
    with MessagesEndpoint({"rules": [{}]}) as board:
        fetch = f"python3 -c 'import urllib.request as u; u.urlopen(\"{board.url}/api/v1/tasks/next\")'"
        executor = claude.executor(allow=("python3",))
        claude.play(WRITE, obey={"command": fetch, "times": 2})
        claude.run(claude.job("Write a file. Do not poll the board."), executor)
        assert board.requests == []
        run = claude.run(claude.job("Use ./headless_pm_client.py tasks next to find work."), executor)
        assert [request["path"] for request in board.requests] == ["/api/v1/tasks/next"] * 2
        assert claude.verdict(run).kind == K.DONE


@needs_sandbox
def test_a_sandboxed_shell_runs_anything_and_reaches_nothing(claude: ClaudeBench) -> None:
    home, state = claude.directory / "home", claude.directory / "state"
    (home / ".ssh").mkdir()
    (home / ".ssh" / "id").write_text("KEY-OF-SSH")
    state.mkdir()
    (state / "config.yaml").write_text("KEY-OF-BOARD")
    (claude.directory / ".env").write_text("KEY-ABOVE")
    (claude.repo / ".env").write_text("KEY-HERE")
    outside = claude.directory / "outside.txt"
    claude.play(
        {"bash": 'python3 -c \'open("made.txt", "w").write(str(6*7))\''},
        {"bash": f"echo x > {outside}"},
        {"bash": f"cat .env ../.env {home}/.ssh/id {state}/config.yaml"},
        {"bash": "python3 -c \"print(open('.env').read())\""},
        {"bash": f"python3 -c 'import urllib.request as u; u.urlopen(\"{claude.endpoint.url}/reached\")'"},
        {"bash": "python3 headless_pm_client.py next"},
    )
    run = claude.run(executor=claude.executor(sandbox=True, secrets=(str(state),)))
    assert claude.verdict(run).kind == K.DONE
    assert (claude.repo / "made.txt").read_text() == "42"
    assert not outside.exists()
    said = claude.said_to_agent()
    for secret in ("KEY-OF-SSH", "KEY-OF-BOARD", "KEY-ABOVE", "KEY-HERE"):
        assert secret not in said
    assert not [request for request in claude.endpoint.requests if "reached" in request["path"]]
    assert [denial.by_policy for denial in run.denials] == [True]
    assert claude.git("status", "--porcelain").split() == ["??", ".env", "??", "made.txt"]


@needs_sandbox
def test_what_a_killed_sandbox_leaves_is_new_and_empty(claude: ClaudeBench) -> None:
    claude.play(SPIN)
    job = claude.job()
    before = placeholders.take(locate(claude.repo))

    def kill() -> None:
        if (claude.repo / "started.txt").exists():
            os.kill(claude.children[0].pid, signal.SIGKILL)

    run = claude.run(job, claude.executor(sandbox=True), should_stop=kill)
    assert run.returncode == -9
    removed = placeholders.remove(placeholders.find(locate(claude.repo), before), alone=True)
    assert claude.repo / ".bashrc" in removed
    assert claude.git("status", "--porcelain") == "?? started.txt"
    claude.git("config", "some.key", "value")
    assert not carriers(job.run_id)


SUPERVISOR = """
import json, sys
from pathlib import Path
from hpm_tools.executor.base import AgentJob
from hpm_tools.executor.claude import ClaudeExecutor, ClaudeSettings
from hpm_tools.process.supervise import Clocks
facts = json.load(sys.stdin)
job = AgentJob(cwd=Path(facts.pop("cwd")), clocks=Clocks(total=600), **facts.pop("job"))
ClaudeExecutor(ClaudeSettings(**facts["settings"]), facts["environ"]).run(job)
"""


@needs_sandbox
def test_placeholders_of_a_killed_supervisor_are_found(claude: ClaudeBench) -> None:
    """Nobody is left to tidy up: the next start finds what a sandbox left, in a worktree too."""
    claude.git("worktree", "add", "-q", "-b", "task-1", ".worktrees/task-1")
    worktree = claude.repo / ".worktrees" / "task-1"
    claude.play(SPIN)
    job = claude.job()
    before = placeholders.take(locate(worktree))
    facts = {
        "cwd": str(worktree),
        "job": {"prompt": "Do it.", "agent_id": "a", "run_id": job.run_id, "session_id": job.session_id},
        "settings": {"path": str(bundled_cli()), "sandbox": True},
        "environ": claude.environ,
    }
    with subprocess.Popen([sys.executable, "-c", SUPERVISOR], stdin=subprocess.PIPE, text=True) as supervisor:
        try:
            assert supervisor.stdin is not None
            supervisor.stdin.write(json.dumps(facts))
            supervisor.stdin.close()
            wait_until((worktree / "started.txt").exists, what="the sandboxed command")
        finally:
            supervisor.kill()
            for process in carriers(job.run_id):
                with suppress(ProcessLookupError):  # one's end may be another's
                    os.kill(process.pid, signal.SIGKILL)
            survivors = end_carriers(job.run_id, 10.0)
            remove_scratch(job.run_id, claude.environ)
    assert survivors == []

    assert (worktree / ".bashrc").exists()
    (worktree / ".profile").unlink()
    (worktree / ".profile").write_text("")
    removed = placeholders.remove(placeholders.find(locate(worktree), before), alone=True)
    assert {worktree / ".bashrc", worktree / ".claude"} <= {*removed}
    claude.git("config", "some.key", "value")
    listed = claude.git("-C", str(worktree), "status", "--porcelain")
    assert listed.split("\n") == ["?? .profile", "?? started.txt"]


def test_a_sandbox_that_is_asked_for_and_missing(claude: ClaudeBench) -> None:
    tools = claude.directory / "tools"
    tools.mkdir()
    claude.environ["PATH"] = str(tools)
    executor = claude.executor(sandbox=True)
    with pytest.raises(Misconfigured, match="bwrap and socat not found"):
        claude.run(executor=executor)
    line = executor.check()[3]
    assert (line.name, line.ok) == ("claude sandbox", False)
    assert "bubblewrap" in line.hint
