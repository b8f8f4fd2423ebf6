"""Values of our tasks at the TAB key after `invoke`, with Invoke's own completion scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.frontends import hpm, invoke
from tests.support.shells import SHELLS, complete_invoke, completed, interactive

if TYPE_CHECKING:
    from pathlib import Path

TASKS = '''
from invoke import Collection, task

from hpm_tools.tasks import ns as hpm, run, unlock

@task(iterable=["item"])
def deploy(c, where, to="x", count=1, item=None):
    """A task of the operator's own; `where` is positional."""

@task
def pack(c, role="x"):
    """Another one, whose option is called as one of ours."""

ns = Collection(deploy, pack)
ns.add_task(run, name="work")
agents = Collection("agents")
agents.add_task(unlock, name="free")
ns.add_collection(agents)
ns.add_collection(hpm)
'''
TASK_NAMES = {"deploy", "pack", "work", "agents.free", "hpm.lock"}
"""Some of what Invoke prints where a task may come next."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the tasks, one other file and one directory in it; two agents have a record."""
    path = tmp_path / "place"
    (path / "there").mkdir(parents=True)
    (path / "therefile").touch()
    (path / "tasks.py").write_text(TASKS, encoding="utf-8")
    for agent in ("dev_001", "qa_007"):
        assert hpm("lock", "--agent-id", agent, "--task-id", "12", "--local").returncode == 0
    return path


def printed(place: Path, line: str) -> list[str]:
    """What a shell's script gets for a line; it hands over its words, the last one also where it is not finished."""
    done = invoke("--complete", "--", *f"invoke {line}".split(), project=place, cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("work --level", ["junior", "senior", "principal"]),
        ("work --level s", ["senior"]),
        ("work --level=s", ["--level=senior"]),
        ("work --level = s", ["senior"]),  # as bash has it
        ("work --level =", ["junior", "senior", "principal"]),
        ("agents.free --agent-id", ["dev_001", "qa_007"]),
        ("hpm.hooks.run --name pre", ["pre_task"]),
        ("hpm.events --event parked --event park", ["parked"]),
        ("work --agent-id a --single-task pack --role x hpm.pm.tasks --status dev", ["dev_done"]),
        ("deploy work --count 2 work --role arch", ["architect"]),
        ("work --agent-id a : b --role arch", ["architect"]),  # bash takes a:b apart
        ("work --no-such-option --role arch", ["architect"]),
        ("-c tasks work --role arch", ["architect"]),
        ("hpm.worktree.list --repo th", []),
        ("hpm.worktree.list --repo=th", ["--repo=there/"]),
        ("hpm.claude.exec --prompt-file=th", ["--prompt-file=there/", "--prompt-file=therefile"]),
        ("hpm.pm.add --title 'fix the", []),
    ],
)
def test_values_of_our_tasks_are_printed(place: Path, line: str, words: list[str]) -> None:
    assert printed(place, line) == words


@pytest.mark.parametrize(
    "line",
    [
        "",
        "work --role zz",
        "work --single-task",
        "pack --role arch",
        "deploy work --to arch",
        "deploy work --item q",
        "hpm.worktree.list --repo there",
        "hpm.report --output new.html",
    ],
)
def test_elsewhere_tasks_are_printed_as_invoke_does(place: Path, line: str) -> None:
    words = printed(place, line)
    assert set(words) >= TASK_NAMES
    assert "architect" not in words


@pytest.mark.parametrize("line", ["pack --role", "deploy x --to", "deploy --item"])
def test_values_of_the_operators_own_tasks_are_left_to_the_shell(place: Path, line: str) -> None:
    assert printed(place, line) == []


def test_a_whole_value_may_be_followed_by_a_task(place: Path) -> None:
    """The scripts do not say whether a blank comes after it; the shell drops what does not fit."""
    words = printed(place, "work --role qa")
    assert words[0] == "qa"
    assert set(words) >= TASK_NAMES


@pytest.mark.parametrize("name", SHELLS)
def test_tab_completes_values_of_our_tasks(name: str, isolated: Path, place: Path) -> None:
    (isolated / ".zshrc").write_text("PROMPT='$ '\nautoload -Uz compinit && compinit -u\n", encoding="utf-8")
    expected = {
        "invoke work --role arch": "invoke work --role architect",
        "invoke work --role=arch": "invoke work --role=architect",
        "invoke agents.free --agent-id q": "invoke agents.free --agent-id qa_007",
        "invoke pack --role a hpm.hooks.run --name pre": "invoke pack --role a hpm.hooks.run --name pre_task",
        "invoke hpm.worktree.list --repo ther": "invoke hpm.worktree.list --repo there",
        "invoke hpm.worktree.list --repo=ther": "invoke hpm.worktree.list --repo=there",
        "invoke hpm.claude.exec --prompt-file theref": "invoke hpm.claude.exec --prompt-file therefile",
        "invoke work --role qa dep": "invoke work --role qa deploy",
        "invoke agents.free --age": "invoke agents.free --agent-id",
    }
    with interactive(name, place) as shell:
        complete_invoke(shell, name)
        assert {line: completed(shell, place, line) for line in expected} == expected
