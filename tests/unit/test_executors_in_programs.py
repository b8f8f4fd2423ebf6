"""Invoke's Executor in somebody's own program: it runs our tasks in any thread, and leaves the process as it was."""

from __future__ import annotations

import gc
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from invoke.config import Config
from invoke.exceptions import Exit
from invoke.executor import Executor

from hpm_tools import tasks, trace
from hpm_tools.errors import Interrupted, UsageError

AGENT = {"agent_id": "dev_001", "local": True}


def execute(name: str, given: dict[str, Any]) -> Any:
    return next(iter(Executor(tasks.ns, Config()).execute((name, given)).values()))


def test_an_executor_may_run_a_task_in_a_thread() -> None:
    with ThreadPoolExecutor(1) as pool:
        taken = pool.submit(execute, "lock", {**AGENT, "task_id": 3}).result()
    assert (taken["agent_id"], taken["task_id"]) == ("dev_001", 3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"agent_id": "../x", "task_id": 3}, "--agent-id"),
        ({"agent": "x"}, "unexpected keyword argument 'agent'"),
    ],
)
def test_an_executors_caller_can_catch_a_usage_error(
    given: dict[str, Any], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        execute("lock", given)
    assert Exit in type(refused.value).__mro__
    assert said in capfd.readouterr().err


def test_an_executor_leaves_the_callers_process_as_it_is() -> None:
    before = (gc.get_threshold(), gc.get_freeze_count(), signal.getsignal(signal.SIGINT))
    execute("locks", {"verbose": True})
    assert before == (gc.get_threshold(), gc.get_freeze_count(), signal.getsignal(signal.SIGINT))
    assert not trace.heard()


def test_an_error_says_what_it_was_reworded_to() -> None:
    stopped = Interrupted(signal.SIGTERM)
    stopped.message = "stopped. Task 1 stays locked by dev_001"
    assert str(stopped) == "stopped. Task 1 stays locked by dev_001"
