"""Our tasks called by an Executor that is not the `invoke` program's: in somebody's Python program, or a loop of his own."""

from __future__ import annotations

import gc
import inspect
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from invoke.collection import Collection
from invoke.config import Config
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.executor import Executor
from invoke.parser import ParseResult
from invoke.program import Program
from invoke.tasks import call, task

from hpm_tools import tasks, trace
from hpm_tools.errors import NothingToDo, UsageError
from tests.support.repos import make_repo

if TYPE_CHECKING:
    from pathlib import Path


def test_an_executor_prints_as_the_command_line_does(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = {"agent_id": "dev_001", "task_id": 3, "local": True}
    done: Any = Executor(tasks.ns, Config()).execute(("lock", arguments))
    ((task, content),) = done.items()
    assert task is tasks.ns["lock"]
    assert capfd.readouterr().out == f"{content['token']}\n"
    assert done == {tasks.ns["lock"]: content}


def test_an_executor_raises_what_the_command_raised_and_has_told_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(NothingToDo) as ended:
        Executor(tasks.ns, Config()).execute(("unlock", {"agent_id": "dev_002", "local": True}))
    error: Any = ended.value
    assert isinstance(error, Exit)
    assert (error.code, error.message) == (3, "")
    assert capfd.readouterr().err.startswith("agent dev_002 holds no task here")


class Retrying(Executor):
    """An Executor with a loop of its own, as people write them."""

    def execute(self, *names: Any) -> dict[Any, Any]:
        calls = self.expand_calls(self.normalize(names))
        return {
            call.task: call.task(call.make_context(self.config, self.core), *call.args, **call.kwargs)
            for call in calls
        }


def test_an_executor_with_a_loop_of_its_own_gets_what_invokes_gets(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = {"agent_id": "dev_001", "task_id": 3, "local": True}
    ((_, content),) = Retrying(tasks.ns, Config(), ParseResult()).execute(("lock", arguments)).items()
    assert capfd.readouterr().out == f"{content['token']}\n"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"agent_id": "../x", "local": True}, "--agent-id: agent id '../x'"),
        ({"agent": "dev_001"}, "unexpected keyword argument 'agent'"),
    ],
    ids=["value", "keyword"],
)
def test_a_wrong_call_is_raised_and_told(
    given: dict[str, Any], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError) as wrong:
        Executor(tasks.ns, Config()).execute(("unlock", given))
    assert said in str(wrong.value)
    assert said in capfd.readouterr().err


def test_positional_values_of_a_call_are_a_usage_error() -> None:
    root = Collection()
    root.add_task(task(pre=[call(tasks.lock, "dev_001")])(lambda _context: None), name="own")
    with pytest.raises(UsageError, match=r"lock\(\) takes its options by keyword only"):
        Executor(root, Config()).execute("own")


def test_a_call_that_names_every_option_has_typed_values_all_the_same() -> None:
    options = dict.fromkeys(name for name in inspect.signature(tasks.lock).parameters if name != "c")
    given = {**options, "agent_id": "dev_001", "task_id": 3, "local": True, "json": False}
    done: Any = Executor(tasks.ns, Config()).execute(("lock", given))
    assert done[tasks.ns["lock"]]["task_id"] == 3
    with pytest.raises(UsageError, match="argument 'task_id' must be int"):
        Executor(tasks.ns, Config()).execute(("lock", {**given, "task_id": "3"}))


def test_a_program_of_ones_own_checks_its_whole_line_first(capfd: pytest.CaptureFixture[str]) -> None:
    program = Program(namespace=Collection(tasks.lock, tasks.locks))
    line = "shop lock --agent-id dev_001 --task-id 3 --local lock --agent-id dev_002 --task-id x"
    with pytest.raises(SystemExit) as ended:
        program.run(line.split())
    assert (ended.value.code, tasks.locks(Context())) == (2, {"locks": []})
    assert capfd.readouterr().err.startswith("error: --task-id must be a whole number, not 'x'")


class Standing:
    """An object that stands for another, as Django and Flask have them, outside of what it stands for."""

    @property
    def __class__(self) -> type:
        raise RuntimeError

    @__class__.setter
    def __class__(self, _kind: type) -> None: ...

    def call(self) -> Any:
        return tasks.locks(Context())


def test_an_object_that_cannot_say_its_class_may_call_a_task() -> None:
    assert Standing().call() == {"locks": []}


def test_an_executor_in_a_thread_may_run_what_starts_programs(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    with ThreadPoolExecutor(1) as pool:
        done: Any = pool.submit(
            Executor(tasks.ns, Config()).execute, ("worktree.list", {"repo": str(repo.root)})
        ).result()
    assert [content["worktrees"] for content in done.values()] == [[]]


def test_an_executor_leaves_the_callers_process_as_it_is() -> None:
    before = gc.get_threshold(), gc.get_freeze_count(), signal.getsignal(signal.SIGINT)
    Executor(tasks.ns, Config()).execute(("locks", {"verbose": True}))
    assert not trace.heard()
    assert (gc.get_threshold(), gc.get_freeze_count(), signal.getsignal(signal.SIGINT)) == before
