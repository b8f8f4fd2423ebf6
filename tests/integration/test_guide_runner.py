"""AdvancedAgentRunner(role, agent_id).run() works tasks as `hpm run` does."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hpm_tools import AdvancedAgentRunner
from hpm_tools.errors import UsageError
from tests.support.runners import script

if TYPE_CHECKING:
    from tests.support.runners import Desk

RUN = """
import threading
from hpm_tools import AdvancedAgentRunner, Config, TerminalUI
from hpm_tools.errors import NothingToDo, UsageError

runner = AdvancedAgentRunner("backend_dev", "dev_001", Config(retry_pause=1), single_task=True)

def in_a_thread():
    try:
        runner.run()
    except UsageError as error:
        print("refused:", error)

thread = threading.Thread(target=in_a_thread)
thread.start()
thread.join()

for task in runner.run():
    print("ended:", task.task_id, task.ending.kind, task.branch)
try:
    AdvancedAgentRunner(role="backend_dev", agent_id="dev_001", single_task=True, ui=TerminalUI(quiet=True)).run()
except NothingToDo as error:
    print("nothing:", error)
"""


def test_runner_works_a_task_and_returns_how_it_ended(desk: Desk) -> None:
    task = desk.board.add_task(description=script({"write": ["hello.txt", "hello\n"]}), complexity="major")
    done = subprocess.run(
        [sys.executable, "-c", RUN], cwd=desk.repo, env=desk.environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith(("ended", "refused", "nothing"))]
    assert said == [
        "refused: a runner runs in the main thread only, where signals arrive",
        f"ended: {task['id']} reported feature/task-{task['id']}",
        "nothing: no task is offered to backend_dev (principal)",
    ]
    assert "1 task: 1 reported" in done.stdout
    assert desk.board.task(task["id"])["status"] == "dev_done"
    kept = [json.loads(line)["event"] for line in desk.hpm("events", "--json").stdout.splitlines()]
    assert {"started", "agent_ended", "ended"} <= set(kept)


def test_runner_refuses_what_is_no_role_agent_or_number() -> None:
    for wrong in ({"role": "wizard"}, {"agent_id": "../x"}, {"max_tasks": 0}):
        given = {"role": "qa", "agent_id": "qa_001", **wrong}
        with pytest.raises(UsageError):
            AdvancedAgentRunner(**given)  # type: ignore[arg-type]
