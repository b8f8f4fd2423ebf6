"""Our tasks called from Python: typed arguments, the content returned, the command's own exceptions raised."""

from __future__ import annotations

import inspect
import pickle
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from hpm_tools import registry, tasks
from hpm_tools.cli.python_calls import ends_invoke
from hpm_tools.commands.results import TakenTask
from hpm_tools.errors import CommandFailed, Held, NothingToDo, UsageError
from tests.support.frontends import hpm, invoke
from tests.support.repos import make_repo

if TYPE_CHECKING:
    from pathlib import Path

AGENT = {"agent_id": "dev_001", "local": True}


@pytest.fixture
def c() -> Context:
    return Context()


def test_a_call_returns_the_content_and_prints_nothing(c: Context, capfd: pytest.CaptureFixture[str]) -> None:
    taken = tasks.lock(c, agent_id="dev_001", task_id=3, local=True)
    assert (taken["task_id"], taken["agent_id"], len(taken["token"])) == (3, "dev_001", 32)
    assert [row["task_id"] for row in tasks.locks(c)["locks"]] == [3]
    assert tasks.unlock(c, agent_id="dev_001", local=True)["task_id"] == 3
    assert capfd.readouterr() == ("", "")
    assert tasks.locks.called


def test_a_call_raises_the_commands_own_exception(c: Context) -> None:
    tasks.lock(c, agent_id="dev_001", task_id=3, local=True)
    with pytest.raises(Held, match="already holds task 3") as held:
        tasks.lock(c, agent_id="dev_001", task_id=4, local=True)
    assert (held.value.kind, held.value.exit_code) == ("held", 75)
    assert "hpm unlock --agent-id dev_001" in held.value.hint
    with pytest.raises(NothingToDo):
        tasks.unlock(c, agent_id="dev_002", local=True)


def test_an_exception_of_ours_ends_invoke_as_its_own_exit_does(c: Context) -> None:
    with pytest.raises(Exit) as ended:
        tasks.unlock(c, agent_id="dev_002", local=True)
    assert ended.value.code == 3
    assert str(ended.value.message).startswith("agent dev_002 holds no task here\n  ")


def test_an_exception_of_ours_reaches_another_process(c: Context) -> None:
    tasks.lock(c, agent_id="dev_001", task_id=3, local=True)
    with pytest.raises(Held) as held:
        tasks.lock(c, agent_id="dev_001", task_id=4, local=True)
    there: Any = pickle.loads(pickle.dumps(held.value))
    assert {Held, Exit} <= set(type(there).__mro__)
    assert (str(there), there.hint, there.code) == (str(held.value), held.value.hint, 75)


def test_a_message_that_was_changed_on_the_way_is_the_one_that_is_said() -> None:
    error: Any = ends_invoke(Held("ended by signal 2", "run it again"))
    error.message = "stopped"
    assert (str(error), error.message) == ("stopped", "error: stopped\n  run it again")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"agent": "dev_001"}, "unexpected keyword argument 'agent'"),
        ({"task_id": 3}, "missing 1 required keyword argument: 'agent_id'"),
        ({"agent_id": None}, "missing 1 required keyword argument: 'agent_id'"),
        ({**AGENT, "task_id": "3"}, "'task_id' must be int | None, not str"),
        ({**AGENT, "task_id": True}, "'task_id' must be int | None, not bool"),
        ({**AGENT, "task_id": 3.0}, "'task_id' must be int | None, not float"),
        ({"agent_id": 7}, "'agent_id' must be str, not int"),
        ({**AGENT, "task_id": 3, "force": "yes"}, "'force' must be bool, not str"),
        ({**AGENT, "help": True}, "unexpected keyword argument 'help'"),
    ],
    ids=["unknown", "missing", "none", "text", "bool", "float", "number", "flag", "help"],
)
def test_a_wrong_keyword_or_type_is_a_type_error(c: Context, given: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError) as wrong:
        tasks.lock(c, **given)
    assert said in str(wrong.value)
    assert tasks.locks(c) == {"locks": []}


def test_what_may_be_given_instead_is_named(c: Context) -> None:
    with pytest.raises(TypeError, match=r"'role', 'agent_id' \(or 'session'\)"):
        tasks.run(c)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"agent_id": "../x"}, "--agent-id: agent id '../x'"),
        ({"agent_id": "dev_001", "task_id": 0}, "--task-id"),
        ({"agent_id": "dev_001", "task_id": 3, "role": "boss"}, "--role"),
    ],
)
def test_a_value_that_the_command_does_not_take_is_a_usage_error(
    c: Context, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError) as wrong:
        tasks.lock(c, **given)
    assert said in str(wrong.value)


def test_a_task_needs_a_context_and_takes_its_options_by_keyword(c: Context) -> None:
    untyped: Any = tasks.locks
    for arguments in ((), ("dev_001",), (c, "dev_001")):
        with pytest.raises(TypeError, match=r"Context as its first argument|by keyword"):
            untyped(*arguments)


def test_paths_lists_and_json_are_given_as_python_has_them(c: Context, tmp_path: Path) -> None:
    hook = tmp_path / "hooks" / "check.py"
    hook.parent.mkdir(mode=0o700)
    hook.write_text("import json, sys\nsys.exit(json.load(sys.stdin)['code'])\n")
    hook.chmod(0o700)
    good: dict[str, Any] = {"name": "check", "hooks_dir": hook.parent}
    assert tasks.hooks_run(c, data={"code": 0}, **good)["ok"] is True
    with pytest.raises(CommandFailed) as failed:
        tasks.hooks_run(c, data={"code": 1}, **good)
    assert failed.value.exit_code == 1
    assert failed.value.content["ok"] is False  # type: ignore[index]
    offered = tasks.completion_words(c, word=["claude.mod"])
    assert offered["words"] == [{"word": "claude.model", "help": ""}]
    with pytest.raises(TypeError, match=r"'word' must be list\[str\] \| None, not str"):
        tasks.completion_words(c, word="claude")  # type: ignore[arg-type]


def test_the_signature_is_the_commands() -> None:
    signature = inspect.signature(tasks.lock)
    assert next(iter(signature.parameters)) == "c"
    agent, task_id, role = (signature.parameters[name] for name in ("agent_id", "task_id", "role"))
    assert (agent.kind, agent.default, agent.annotation) == (agent.KEYWORD_ONLY, agent.empty, str)
    assert (task_id.default, task_id.annotation) == (None, int | None)
    assert Literal["backend_dev", "frontend_dev", "fullstack_dev", "qa", "architect", "pm"] in (
        role.annotation.__args__
    )
    assert signature.return_annotation is TakenTask
    assert tasks.worktree_add.__name__ == "worktree_add"
    assert (tasks.lock.__doc__ or "").startswith("Take a task for an agent")
    assert get_type_hints(tasks.lock)["task_id"] == int | None
    for name in registry.MODULES:
        assert inspect.signature(getattr(tasks, name.replace(".", "_")))


def test_a_call_leaves_the_callers_process_as_it_is(c: Context) -> None:
    import gc
    import signal

    before = (gc.get_threshold(), signal.getsignal(signal.SIGINT), sys.stdout.encoding, gc.get_freeze_count())
    tasks.locks(c)
    assert before == (
        gc.get_threshold(), signal.getsignal(signal.SIGINT), sys.stdout.encoding, gc.get_freeze_count()
    )  # fmt: skip


def test_threads_may_call_tasks() -> None:
    def take(number: int) -> int:
        assert threading.current_thread() is not threading.main_thread()
        return int(tasks.lock(Context(), agent_id=f"dev_{number}", task_id=number, local=True)["task_id"])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(take, range(1, 9))) == list(range(1, 9))


OWN = """
from invoke import call, task
from hpm_tools.errors import Held
from hpm_tools.tasks import lock, locks, ns, unlock

A = dict(agent_id="dev_001", local=True)

@task(pre=[call(lock, task_id=1, **A)], post=[call(unlock, **A)])
def between(c):
    print("between", [row["task_id"] for row in locks(c)["locks"]])

@task
def caught(c):
    lock(c, task_id=1, **A)
    try:
        lock(c, task_id=2, **A)
    except Held as error:
        print("held:", error)
    unlock(c, **A)

@task
def uncaught(c):
    lock(c, task_id=1, **A)
    try:
        lock(c, task_id=2, **A)
    finally:
        print("finally")

@task
def misspelt(c):
    lock(c, agent="dev_001")

@task(pre=[call(lock, agent="dev_001")])
def misspelt_before(c):
    print("never")
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(OWN)
    return tmp_path


def test_call_gives_a_pre_and_a_post_task_typed_arguments(own: Path) -> None:
    done = invoke("between", project=own)
    token, between, given_back = done.stdout.splitlines()
    assert (done.returncode, len(token), between, given_back) == (0, 32, "between [1]", "1")


def test_an_uncaught_exception_ends_invoke_with_its_code_and_no_traceback(own: Path) -> None:
    caught = invoke("caught", project=own)
    assert (caught.returncode, caught.stdout) == (0, "held: agent dev_001 already holds task 1\n")
    done = invoke("uncaught", "caught", project=own)
    assert (done.returncode, done.stdout) == (75, "finally\n")
    message, hint = done.stderr.splitlines()
    assert message == "error: agent dev_001 already holds task 1"
    assert "hpm unlock --agent-id dev_001" in hint


def test_a_misspelt_keyword_is_the_authors_mistake_and_shows_where_it_is(own: Path) -> None:
    done = invoke("misspelt", project=own)
    assert done.returncode == 1
    assert done.stderr.endswith(
        "TypeError: lock() got an unexpected keyword argument 'agent', did you mean agent_id?\n"
    )
    assert 'lock(c, agent="dev_001")' in done.stderr


def test_a_misspelt_keyword_of_a_pre_task_is_a_usage_error(own: Path) -> None:
    done = invoke("misspelt-before", project=own)
    assert (done.returncode, done.stdout) == (2, "")
    message, hint = done.stderr.splitlines()
    assert message == "error: lock() got an unexpected keyword argument 'agent', did you mean agent_id?"
    assert "call(lock, …)" in hint


@pytest.mark.parametrize(
    ("later", "said"),
    [
        (("worktree.add", "--task-id", "abc"), "error: --task-id must be a whole number, not 'abc'"),
        (("unlock", "--local"), "error: unlock needs --agent-id"),
    ],
    ids=["a wrong value", "a missing option"],
)
def test_a_mistake_later_on_the_line_lets_nothing_of_ours_happen(
    own: Path, later: tuple[str, ...], said: str
) -> None:
    done = invoke("lock", "--agent-id", "dev_001", "--task-id", "1", "--local", *later, project=own)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == said
    assert hpm("locks").stdout == ""


def test_dry_does_nothing_that_it_cannot_show(own: Path) -> None:
    token = hpm("lock", "--agent-id", "dev_001", "--task-id", "1", "--local").stdout
    refused = invoke("--dry", "locks", "unlock", "--agent-id", "dev_001", "--local", project=own)
    assert refused.returncode == 2
    assert refused.stdout.splitlines()[1].startswith("dev_001  1")
    assert refused.stderr.startswith("error: --dry: unlock cannot show what it would do, so nothing was done")
    inside = invoke("--dry", "caught", project=own)
    assert (inside.returncode, inside.stdout) == (2, "")
    assert hpm("lock", "--agent-id", "dev_001", "--task-id", "1", "--local").stdout == token


def test_dry_shows_the_script_that_run_would_be(own: Path) -> None:
    words = ("run", "--role", "qa", "--agent-id", "qa_001")
    shown = invoke("--dry", *words, project=own)
    assert (shown.returncode, shown.stdout) == (0, hpm(*words, "--explain").stdout)


def test_echo_shows_what_is_called_on_stderr(repo_with_tasks: Path) -> None:
    add = ("worktree.add", "--task-id", "7")
    echoed = invoke("--echo", *add, project=repo_with_tasks, cwd=repo_with_tasks)
    assert (echoed.returncode, echoed.stdout.splitlines()) == (
        0, [str(repo_with_tasks / ".worktrees" / "task-7")]
    )  # fmt: skip
    assert re.search(r"^\S*git worktree add .* → 0 in \d+ ms$", echoed.stderr, re.MULTILINE), echoed.stderr
    plain = invoke("worktree.remove", "--task-id", "7", project=repo_with_tasks, cwd=repo_with_tasks)
    assert (plain.returncode, plain.stderr) == (0, "")


@pytest.fixture
def repo_with_tasks(own: Path) -> Path:
    repo = own / "shop"
    make_repo(repo)
    (repo / "tasks.py").write_text(OWN)
    return repo
