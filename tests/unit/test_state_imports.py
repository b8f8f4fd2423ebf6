from __future__ import annotations

import subprocess
import sys

import pytest

ALLOWED = {"__future__", "errno", "fcntl", "time"}

LIGHT = (
    "paths",
    "files",
    "guard",
    "fields",
    "record",
    "holder",
    "views",
    "persistence",
    "tasklog",
    "limits",
    "spending",
    "quickjson",
    "prompts",
)


@pytest.mark.parametrize("module", LIGHT)
def test_the_quick_commands_pay_for_nothing_but_fcntl(module: str) -> None:
    program = f"""
import sys
before = set(sys.modules)
import hpm_tools.state.{module}
print(*(set(sys.modules) - before))
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    foreign = {name for name in answer.stdout.split() if not name.startswith("hpm_tools")} - ALLOWED
    assert not {name for name in foreign if not name.startswith("_")}, foreign
    ours = {name for name in answer.stdout.split() if name.startswith("hpm_tools.")}
    assert all(name.startswith(("hpm_tools.state", "hpm_tools.process")) or name in OWN for name in ours), (
        ours
    )


OWN = {"hpm_tools.errors", "hpm_tools.failpoints", "hpm_tools.names"}


def test_a_whole_lock_and_unlock_imports_no_more() -> None:
    program = """
import sys
from hpm_tools.state.guard import agent_guard
from hpm_tools.state.persistence import TaskPersistence, all_records
persistence = TaskPersistence("dev_001")
with agent_guard(persistence.state, "dev_001"):
    persistence.lock_task({"id": 13}, holder="process", owner_pid=__import__("os").getpid())
    persistence.get_locked_task()
    [(view.liveness, view.record.age()) for view in all_records(persistence.state)]
    persistence.update(step="x")
    persistence.release_lock()
heavy = {"json", "re", "enum", "collections", "functools", "encodings.ascii", "pathlib", "typing", "subprocess", "inspect", "logging", "dataclasses", "datetime", "hashlib", "random", "secrets"}
print(*(heavy & set(sys.modules)))
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []
