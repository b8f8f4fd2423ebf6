"""A task of one's own beside ``from hpm_tools.tasks import ns``, and ns in other Collections, under stock Invoke."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.commands.project import TASKS_TEXT
from tests.support.frontends import invoke

if TYPE_CHECKING:
    from pathlib import Path

MINE = '''
from invoke import task

@task(aliases=["m"], help={"loud": "in capitals"})
def mine(c, loud=False):
    """My own."""
    print("MINE" if loud else "mine")
'''


def listed(project: Path) -> dict[str, Any]:
    tasks = json.loads(invoke("--list", "-F", "json", project=project).stdout)
    return {task["name"]: task["help"] for task in tasks["tasks"]}


@pytest.mark.parametrize("name", ["tasks.py", "tasks/__init__.py"])
def test_a_task_below_what_init_writes_is_one_of_the_tasks(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(TASKS_TEXT + MINE)
    assert listed(tmp_path)["mine"] == "My own."
    assert "lock" in listed(tmp_path)
    done = invoke("mine", "locks", "m", "--loud", "hooks.list", "--help", project=tmp_path)
    assert "hooks.list" in done.stdout
    assert invoke("mine", "locks", "m", "--loud", project=tmp_path).stdout == "mine\nMINE\n"


def test_a_default_and_an_own_version_of_a_command_are_ones_own(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(
        TASKS_TEXT
        + MINE
        + '\n@task(default=True)\ndef health(c):\n    """My own health."""\n    print("well")\n'
        + "from hpm_tools.tasks import lock, worktree\n"
    )
    assert listed(tmp_path)["health"] == "My own health."
    assert invoke(project=tmp_path).stdout == "well\n"
    assert invoke("worktree.list", "--help", project=tmp_path).returncode == 0


def test_a_task_with_the_name_of_a_group_is_refused_and_named(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(
        TASKS_TEXT + "from invoke import task\n@task\ndef worktree(c):\n    pass\n"
    )
    done = invoke("locks", project=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the task 'worktree' of your tasks.py has the name of a group")


@pytest.mark.parametrize(
    ("added", "called"),
    [
        ("ns.add_collection(tasks)", "hpm.locks"),
        ('ns.add_collection(tasks, name="agents")', "agents.locks"),
        ('ns.add_collection(tasks.ns, name="agents")', "agents.worktree.list"),
        ('ns = Collection(mine, Collection.from_module(tasks, name="agents"))', "agents.locks"),
        ("ns.add_collection(tasks.worktree, default=True)", "worktree.list"),
        ('ns.add_task(tasks.locks, name="who", default=True)', "who"),
        ('tasks.locks.aliases = ("w",); ns.add_task(tasks.locks)', "w"),
        ("ns = Collection(mine, auto_dash_names=False); ns.add_task(tasks.worktree_list)", "worktree-list"),
    ],
)  # fmt: skip
def test_ns_and_its_parts_go_into_any_collection_and_take_no_task_of_its_module_along(
    tmp_path: Path, added: str, called: str
) -> None:
    (tmp_path / "tasks.py").write_text(
        f"from invoke import Collection\nfrom hpm_tools import tasks\n{MINE}\nns = Collection(mine)\n{added}\n"
    )
    assert invoke(called, "--help", project=tmp_path).returncode == 0
    names = invoke("--list", project=tmp_path).stdout
    assert " mine" in names
    assert ".mine" not in names


def test_ns_under_another_name_in_a_collection_does_not_take_the_tasks_beside_it_along(
    tmp_path: Path,
) -> None:
    (tmp_path / "tasks.py").write_text(
        f"from invoke import Collection\nfrom hpm_tools.tasks import ns as hpm\n{MINE}\nns = Collection(mine, hpm)\n"
    )
    names = invoke("--list", project=tmp_path).stdout
    assert " hpm.locks" in names
    assert "hpm.mine" not in names


def test_an_invoke_yaml_that_names_the_executor_of_before_goes_on_working(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS_TEXT + MINE)
    (tmp_path / "invoke.yaml").write_text("tasks: {executor_class: hpm_tools.cli.invoke_tasks.HpmExecutor}\n")
    done = invoke("mine", "mine", "locks", project=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "mine\n", "")


def test_a_star_import_offers_all_of_them_and_ones_own(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("from hpm_tools.tasks import *\n" + MINE)
    assert {"mine", "lock", "run"} <= set(listed(tmp_path))
    assert invoke("worktree.list", "--help", project=tmp_path).returncode == 0
