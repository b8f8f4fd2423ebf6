"""The runner's steps as single commands, as scripts call them: what one command leaves to the next."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hpm_tools.board.models import Task
from hpm_tools.config import load_config
from hpm_tools.errors import Held
from hpm_tools.process.identity import start_time
from hpm_tools.runner import orphans, places
from hpm_tools.runner.toolbox import Toolbox
from hpm_tools.state.limits import Limits
from hpm_tools.state.paths import StateDir
from hpm_tools.state.record import Record
from hpm_tools.state.tasklog import TaskLog
from hpm_tools.ui import TerminalUI
from hpm_tools.worktree.repository import CHECKOUT_GUARD, Repository
from tests.support.repos import make_repo
from tests.support.runners import Desk, Running, script
from tests.support.waiting import wait_until

SHELL_RUNNER = Path(__file__).resolve().parents[2] / "examples" / "shell_runner.sh"
WRITE = {"write": ["hello.txt", "hello\n"]}


def lock(desk: Desk, task: Any, agent: str = "dev_001") -> None:
    """Take ``task`` for ``agent``; this process owns it, and so needs no token."""
    desk.board.register(agent)
    done = desk.hpm("lock", "--agent-id", agent, "--task-id", task["id"], "--owner-pid", os.getpid())
    assert done.returncode == 0, done.stderr


def tell(
    desk: Desk, command: str, *more: object, code: int = 0, agent: str = "dev_001", stdin: str = ""
) -> Any:
    """The JSON that ``command`` for the agent prints, or its error if it has to end with ``code``."""
    done = desk.hpm(command, "--json", "--agent-id", agent, *more, stdin=stdin)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout or done.stderr.splitlines()[-1])


def verdict(kind: str, **more: Any) -> str:
    return json.dumps({"kind": kind, "summary": "as somebody says", **more})


def tools_of(desk: Desk, agent: str) -> Toolbox:
    config = load_config(
        flags={}, environ={**desk.environment, "HEADLESS_PM_ROLE": "backend_dev"}, repo=desk.repo
    )
    return Toolbox(config, TerminalUI(quiet=True), agent)


def in_place(desk: Desk, *acts: Any) -> Any:
    """A minor task that dev_001 has locked and works in the checkout."""
    task = desk.board.add_task(description=script(*acts), complexity="minor")
    lock(desk, task)
    assert tell(desk, "worktree.add")["in_place"]
    return task


def test_the_checkout_is_guarded_while_an_agent_works_in_it_and_while_its_work_is_committed(
    desk: Desk, tmp_path: Path
) -> None:
    flag = tmp_path / "go"
    in_place(desk, WRITE, {"wait_for": str(flag)})
    guard = Repository.discover(desk.repo).guard(CHECKOUT_GUARD)
    with desk.start("claude.exec", "--agent-id", "dev_001") as run:
        wait_until(desk.agent_starts, what="the agent")
        assert not guard.acquire()
        flag.touch()
        assert run.wait() == 0, run.output()
    assert guard.acquire()
    try:
        assert tell(desk, "finish", code=75)["error"]["code"] == "held"
    finally:
        guard.release()
    assert tell(desk, "finish")["status"] == "dev_done"
    assert desk.git("show", "main:hello.txt") == "hello"


@pytest.mark.fault("P10")
def test_between_a_scripts_commands_its_owner_stands_for_the_checkout(desk: Desk) -> None:
    in_place(desk, WRITE)
    other = Task.parse(desk.board.add_task(complexity="minor", title="Another"))
    tools = tools_of(desk, "dev_002")
    try:
        began = time.monotonic()
        assert not places.claim_checkout(tools, other, within=0.1)
        assert time.monotonic() - began < orphans.GRACE  # the patience of a command
        assert Repository.discover(desk.repo).guard(CHECKOUT_GUARD).acquire()
        with pytest.raises(Held):
            places.reclaim_checkout(tools, Record({"task_id": other.id}), within=0.1)
    finally:
        tools.close()


@pytest.mark.fault("P10")
@pytest.mark.parametrize("then", ["claude.exec", "finish"])
def test_an_agent_whose_command_was_killed_is_ended_first(desk: Desk, tmp_path: Path, then: str) -> None:
    flag = tmp_path / "go"
    task = desk.board.add_task(description=script(WRITE, {"wait_for": str(flag)}), complexity="major")
    lock(desk, task)
    with desk.start("claude.exec", "--agent-id", "dev_001") as run:
        wait_until(lambda: list(desk.repo.glob(".worktrees/*/hello.txt")), what="the agent's work")
        run.signal(signal.SIGKILL)
        run.wait()
    orphan = desk.agent_starts()[0][0]
    assert start_time(orphan) is not None
    if then == "finish":
        tell(desk, "finish", "--verdict", "-", code=1, stdin=verdict("blocked"))
        assert start_time(orphan) is None
        return
    with desk.start("claude.exec", "--agent-id", "dev_001") as run:
        wait_until(lambda: len(desk.agent_starts()) == 2, what="the second agent")
        assert start_time(orphan) is None
        flag.touch()
        assert run.wait() == 0, run.output()


def test_an_agent_works_in_a_checkout_of_its_repository_only(desk: Desk, tmp_path: Path) -> None:
    lock(desk, desk.board.add_task(description=script(WRITE), complexity="major"))
    clone = make_repo(tmp_path / "clone").root
    error = tell(desk, "claude.exec", "--cwd", clone, code=2)["error"]
    assert "--repo" in error["hint"]
    assert desk.agent_starts() == []
    own = tmp_path / "own"
    desk.git("worktree", "add", "-q", "-b", "mine", str(own))
    assert tell(desk, "claude.exec", "--cwd", own)["kind"] == "done"
    assert (own / "hello.txt").exists()


def test_a_closed_usage_limit_is_a_verdict_that_finish_waits_for(desk: Desk) -> None:
    desk.change(executor="claude")
    Limits(StateDir(str(desk.state))).hold("default", time.time() + 3600, "five_hour")
    lock(desk, desk.board.add_task(complexity="major"))
    for _ in range(2):
        told = tell(desk, "claude.exec", code=75)
        assert (told["kind"], told["resets_at"] > time.time()) == ("limit", True)
        error = tell(desk, "finish", code=75)["error"]
        assert 3000 < error["details"]["wait_seconds"] <= 3600
    assert tell(desk, "finish", code=2)["error"]["code"] == "usage"


@pytest.mark.fault("P10")
def test_the_shell_runner_waits_for_the_limit_with_its_task_held(desk: Desk) -> None:
    desk.change(executor="claude")
    Limits(StateDir(str(desk.state))).hold("default", time.time() + 3600, "five_hour")
    task = desk.board.add_task(complexity="major")
    with shell_runner(desk, SINGLE_TASK="yes") as runner:
        wait_until(lambda: '"wait_seconds": 3' in runner.output(), what="the answer of finish")
        assert runner.process.poll() is None
        assert desk.board.task(task["id"])["locked_by"] == "dev_001"
    assert desk.record() is not None


class ShellRunner(Running):
    """examples/shell_runner.sh in a session of its own, which ends with the block."""

    def __exit__(self, *exc: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        super().__exit__(*exc)


def shell_runner(desk: Desk, **environment: str) -> ShellRunner:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    log = desk.directory / "shell.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", str(SHELL_RUNNER)],
            cwd=desk.repo,
            env={**desk.environment, "PATH": path, "RETRY_PAUSE": "0.2", **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return ShellRunner(process, log)


def test_a_shell_runner_that_has_nothing_to_resume_reports_no_error(desk: Desk) -> None:
    task = desk.board.add_task(description=script(WRITE), complexity="major")
    with shell_runner(desk, SINGLE_TASK="yes") as runner:
        assert runner.wait() == 0, runner.output()
    assert "error" not in runner.output()
    assert desk.board.task(task["id"])["status"] == "dev_done"


def test_a_shell_runner_that_ends_for_want_of_a_setting_leaves_no_record_and_no_worktree(desk: Desk) -> None:
    desk.change(executor_command=["sh", "-c", "cat >/dev/null"])
    task = desk.board.add_task(complexity="major")
    with shell_runner(desk, SINGLE_TASK="yes") as runner:
        assert runner.wait() == 78, runner.output()
    place = desk.repo / ".worktrees" / f"task-{task['id']}"
    found = (desk.record(), place.exists(), desk.board.task(task["id"])["status"])
    assert found == (None, False, "created"), runner.output()


def hooks(desk: Desk, **bodies: str) -> Path:
    directory = desk.directory / "hooks"
    directory.mkdir(mode=0o700)
    for name, body in bodies.items():
        path = directory / f"{name}.sh"
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(stat.S_IRWXU)
    desk.change(hooks_dir=str(directory))
    return directory


def test_after_a_failing_pre_task_the_shell_runner_pauses_and_asks_health_check(
    desk: Desk, tmp_path: Path
) -> None:
    tried, checked = tmp_path / "tried", tmp_path / "checked"
    hooks(
        desk,
        pre_task=f"echo x >> '{tried}'; exit 1",
        health_check=f"echo x >> '{checked}'; test $(wc -l < '{checked}') -lt 2",
    )
    task = desk.board.add_task(complexity="major")
    with shell_runner(desk, TASK_PAUSE="1"):
        wait_until(lambda: checked.exists() and checked.read_text().count("x") >= 3, what="health checks")
        assert tried.read_text().count("x") == 1, "taken again although health_check fails"
    assert desk.board.task(task["id"])["status"] == "created"


def test_what_is_skipped_here_is_not_locked_when_the_board_offers_it_again(desk: Desk) -> None:
    task = desk.board.add_task(complexity="major")
    desk.board.register("dev_001")
    offered = desk.hpm("pm.next", "--role", "backend_dev", "--json").stdout
    tools = tools_of(desk, "dev_001")
    log = TaskLog(tools.state, tools.board_key, task["id"], task["created_at"])
    tools.close()
    log.update(skip={"reason": "no room for it", "until": time.time() + 3600})
    error = tell(desk, "lock", "--task", "-", code=75, stdin=offered)["error"]
    assert (error["code"], "no room for it" in error["message"]) == ("held", True)
    assert desk.board.task(task["id"])["locked_by"] is None
    assert desk.record() is None
    assert tell(desk, "lock", "--task-id", task["id"])["task_id"] == task["id"]


def test_post_task_is_told_how_the_task_ended_and_bears_its_cookie(desk: Desk, tmp_path: Path) -> None:
    heard, cookie = tmp_path / "heard", tmp_path / "cookie"
    hooks(desk, post_task=f"cat > '{heard}'; echo $HPM_RUN_ID > '{cookie}'")
    lock(desk, desk.board.add_task(description=script(WRITE), complexity="major"))
    for command in ("claude.exec", "finish", "hooks.run"):
        tell(desk, command, *(["--name", "post_task"] if command == "hooks.run" else []))
    told = json.loads(heard.read_text(encoding="utf-8"))
    assert (told["success"], told["ending"], told["status"]) == (True, "reported", "dev_done")
    assert (told["reason"], told["verdict"]) == ("did as told", "done")
    assert {"cost_usd", "seconds"} <= told.keys()
    record = desk.record()
    assert record is not None
    assert cookie.read_text(encoding="utf-8").strip() == record["run_id"]


@pytest.mark.fault("P2")
def test_done_needs_evidence_whoever_says_so(desk: Desk) -> None:
    task = desk.board.add_task(description=script(), complexity="major")
    lock(desk, task)
    done = verdict("done")
    assert tell(desk, "finish", "--verdict", "-", code=2, stdin=done)["error"]["code"] == "usage"
    tell(desk, "worktree.add")
    told = tell(desk, "finish", "--verdict", "-", code=1, stdin=done)
    assert (told["ending"], told["status"]) == ("parked", "pending")
    assert "nothing changed" in desk.board.task(task["id"])["notes"]


@pytest.mark.parametrize("changed", [True, False])
def test_a_person_may_do_the_work_or_say_that_none_is_needed(desk: Desk, changed: bool) -> None:
    lock(desk, desk.board.add_task(complexity="major"))
    place = Path(tell(desk, "worktree.add")["path"])
    if changed:
        (place / "hello.txt").write_text("hello\n", encoding="utf-8")
    said = verdict("done", no_change=not changed)
    assert tell(desk, "finish", "--verdict", "-", stdin=said)["status"] == "dev_done"
