"""The eight classes of `hpm_tools` take the calls that the guide shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import hpm_tools
from hpm_tools import TaskPersistence
from hpm_tools.errors import Held
from hpm_tools.state.paths import StateDir

TASK = {"id": 13, "title": "Add a login page", "difficulty": "senior"}
NAMES = [
    "AdvancedAgentRunner",
    "ClaudeExecutor",
    "Config",
    "GitWorktree",
    "HookRunner",
    "ModelMapper",
    "TaskPersistence",
    "TerminalUI",
]


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_package_offers_the_eight_classes_by_name() -> None:
    assert sorted(hpm_tools.__all__) == NAMES
    assert set(NAMES) <= set(dir(hpm_tools))
    for name in NAMES:
        assert getattr(hpm_tools, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'TaskPersistance'"):
        hpm_tools.TaskPersistance  # type: ignore[attr-defined]  # noqa: B018


def test_importing_the_package_loads_none_of_its_classes() -> None:
    code = "import sys; before = set(sys.modules); import hpm_tools; print(*set(sys.modules) - before)"
    assert set(python(code).split()) - {"__future__"} == {"hpm_tools"}


def test_lock_task_takes_worktree_and_branch_by_position() -> None:
    persistence = TaskPersistence("dev_001")
    persistence.lock_task(TASK, Path("/w/task-13"), "feature/login")
    found = TaskPersistence("dev_001").get_locked_task()
    assert type(found) is dict
    assert (found["worktree_path"], found["branch_name"]) == ("/w/task-13", "feature/login")
    assert (found["task_id"], found["agent_id"], found["task_data"]) == (13, "dev_001", TASK)
    assert json.loads(json.dumps(found)) == found
    with pytest.raises(TypeError):
        persistence.lock_task(TASK, None, None, "hand")  # type: ignore[call-arg]


def test_changing_the_dictionary_does_not_change_the_record() -> None:
    persistence = TaskPersistence("dev_001")
    persistence.lock_task(TASK)
    found = persistence.get_locked_task()
    assert found is not None
    found["task_data"]["title"] = found["task_title"] = "Something else"
    again = persistence.get_locked_task()
    assert again is not None
    assert again["task_data"]["title"] == again["task_title"] == "Add a login page"


def test_locking_and_releasing_as_the_guide_does() -> None:
    persistence = TaskPersistence("dev_001")
    assert persistence.get_locked_task() is None
    persistence.lock_task(TASK)
    assert persistence.is_locked()
    with pytest.raises(Held, match="already has task 13"):
        TaskPersistence("dev_001").lock_task({"id": 14})
    TaskPersistence("dev_001").release_lock()
    assert not persistence.is_locked()


@pytest.mark.parametrize("kind", [StateDir, Path, str], ids=lambda kind: kind.__name__)
def test_store_is_a_constructor_argument(kind: type[StateDir | Path | str], tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    TaskPersistence("dev_001", store=kind(str(elsewhere))).lock_task(TASK)
    assert os.listdir(elsewhere / "locks") == ["agent-dev_001.lock"]
    assert not TaskPersistence("dev_001").is_locked()
    assert TaskPersistence("dev_001", store=elsewhere).is_locked()
