"""What Python callers may pass beyond plain values: it is taken for what it is, or refused before anything is done."""

from __future__ import annotations

import enum
import os
from collections import ChainMap
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from invoke.context import Context

from hpm_tools import Config, GitWorktree, TaskPersistence, tasks
from hpm_tools.errors import BadData, CommandFailed, UsageError
from hpm_tools.tasks import fan_out

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


class Number(enum.IntEnum):
    THREE = 3


class Name(str, enum.Enum):  # noqa: UP042  # the str() of a StrEnum is its value
    AGENT = "dev_001"


class Role(str, enum.Enum):  # noqa: UP042
    QA = "qa"


@pytest.fixture
def c() -> Context:
    return Context()


def test_an_enum_counts_as_its_plain_value(c: Context) -> None:
    taken = tasks.lock(c, agent_id=Name.AGENT, task_id=Number.THREE, local=True)
    assert (type(taken["agent_id"]), type(taken["task_id"])) == (str, int)
    assert tasks.locks(c)["locks"][0]["agent_id"] == "dev_001"


def test_an_enum_is_a_tasks_id_for_the_store_too(tmp_path: Path) -> None:
    store = TaskPersistence("dev_001", tmp_path / "state")
    store.lock_task({"id": Number.THREE})
    assert store.get_locked_task()["task_id"] == 3  # type: ignore[index]


@pytest.mark.parametrize("given", [{"agent_id": "a\udcff"}, {"task": "\udcff"}, {"role": "\udcff"}])
def test_text_that_is_no_utf_8_is_refused_as_on_a_command_line(c: Context, given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"--(agent-id|task|role) is not valid UTF-8"):
        tasks.lock(c, **{"agent_id": "dev_001", "local": True, **given})


def test_a_huge_number_is_a_usage_error(c: Context) -> None:
    with pytest.raises(UsageError, match="--task-id: task id a huge number is not a positive whole number"):
        tasks.lock(c, agent_id="dev_001", task_id=10**5000, local=True)


def test_a_number_that_no_check_bounds_has_bounds(c: Context) -> None:
    with pytest.raises(UsageError, match="--owner-pid is larger than any number"):
        tasks.lock(c, agent_id="dev_001", task_id=3, owner_pid=10**5000, local=True)


def test_a_keyword_called_self_is_an_unexpected_one(c: Context) -> None:
    untyped: Any = tasks.lock
    with pytest.raises(TypeError, match=r"lock\(\) got an unexpected keyword argument 'self'"):
        untyped(c, agent_id="dev_001", self=1)


CIRCLE: dict[str, Any] = {}
CIRCLE["circle"] = CIRCLE
DEEP: dict[str, Any] = {}
for _ in range(5000):
    DEEP = {"deeper": DEEP}


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"a": object()}, TypeError),
        ({"a": {1}}, TypeError),
        ({(1, 2): 3}, TypeError),
        (CIRCLE, UsageError),
        (DEEP, UsageError),
        ({"a": 10**5000}, UsageError),
    ],
    ids=["object", "set", "key", "circle", "deep", "huge"],
)
def test_what_cannot_be_json_is_refused_by_the_arguments_name(
    c: Context, data: dict[Any, Any], kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=r"('data'|--data) cannot be JSON"):
        tasks.hooks_run(c, name="check", data=data)


def test_any_mapping_inside_json_is_an_object(c: Context, tmp_path: Path) -> None:
    hook = tmp_path / "hooks" / "check.py"
    hook.parent.mkdir(mode=0o700)
    hook.write_text("import json, sys\nprint(json.load(sys.stdin)['outer']['inner'])\n")
    hook.chmod(0o700)
    data = ChainMap({"outer": MappingProxyType({"inner": "seen"})})
    assert tasks.hooks_run(c, name="check", data=data, hooks_dir=hook.parent)["messages"] == "seen"


def test_a_hooks_refusal_says_why_in_the_exception(c: Context, tmp_path: Path) -> None:
    hook = tmp_path / "hooks" / "check.py"
    hook.parent.mkdir(mode=0o700)
    hook.write_text("import sys\nsys.exit('the disk is full')\n")
    hook.chmod(0o700)
    with pytest.raises(CommandFailed, match="the hook check failed with exit code 1: the disk is full"):
        tasks.hooks_run(c, name="check", hooks_dir=hook.parent)


@pytest.mark.parametrize("task", [None, 5, "3", [3]])
def test_the_store_locks_nothing_but_a_boards_object(tmp_path: Path, task: Any) -> None:
    store = TaskPersistence("dev_001", tmp_path / "state")
    with pytest.raises(TypeError, match=r"argument 'task' must be the board's object, not "):
        store.lock_task(task)
    assert not store.is_locked()


@pytest.mark.parametrize("field", [{"agent_id": "other"}, {"schema": 99}])
def test_the_store_writes_no_record_that_it_could_not_read_again(
    tmp_path: Path, field: dict[str, Any]
) -> None:
    store = TaskPersistence("dev_001", tmp_path / "state")
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        store.lock_task({"id": 3}, **field)
    with pytest.raises(BadData):
        store.lock_task({"id": 3}, run_id="../x")
    assert store.get_locked_task() is None
    assert store.lock_task({"id": 3}).task_id == 3


def test_an_owner_that_would_not_count_is_refused(tmp_path: Path) -> None:
    store = TaskPersistence("dev_001", tmp_path / "state")
    with pytest.raises(UsageError, match="owner_pid is given, but the holder is 'hand'"):
        store.lock_task({"id": 3}, owner_pid=os.getpid())
    assert not store.is_locked()


def test_a_setting_and_a_session_take_an_enum_for_what_it_stands_for() -> None:
    config = Config(role=Role.QA, max_attempts=Number.THREE)
    assert (f"{config.role}", type(config.max_attempts)) == ("qa", int)
    assert fan_out(role=Role) == [{"agent_id": "qa_001", "role": "qa"}]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"role": b"qa"}, "role must be text, not bytes"),
        ({"role": "qa", "agent_id": None}, "agent_id must be text, not None"),
        ({"role": "qa", "max_tasks": 10**5000}, "max_tasks must be between 1 and 100000, not a huge number"),
    ],
    ids=["bytes", "none", "huge"],
)
def test_fan_out_names_what_is_wrong(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fan_out(**options)


def test_a_worktrees_path_is_asked_for_by_a_tasks_id_alone(repo: Repo) -> None:
    with pytest.raises(UsageError, match="task id"):
        GitWorktree(repo.root).path_of("../../x")  # type: ignore[arg-type]
