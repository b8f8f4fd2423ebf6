"""Our tasks beside somebody's own, under plain Invoke: any name, any Collection, and their tasks as Invoke has them."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from hpm_tools import registry
from tests.support.frontends import BIN, hpm, invoke

if TYPE_CHECKING:
    from pathlib import Path

OWN = """
from invoke import Collection, task
from hpm_tools import tasks
from hpm_tools.tasks import lock, locks, ns as hpm, unlock, worktree, worktree_add

@task
def setup(c):
    print("setup")

@task(pre=[setup])
def build(c, loud=False):
    print("BUILD" if loud else "build")

@task(pre=[setup], post=[locks])
def ship(c, to):
    print(f"ship to {to}")

ns = Collection(build, ship, hpm, worktree, worktree_add, locks)
ns.add_task(lock, name="take")
ns.add_task(unlock, name="give-back")
"""
LOCAL = ("--agent-id", "dev_001", "--local")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(OWN)
    return tmp_path


def listed(project: Path) -> set[str]:
    return set(re.findall(r"^  (\S+)", invoke("--list", project=project).stdout, re.MULTILINE))


def test_all_of_them_and_single_ones_stand_beside_ones_own(own: Path) -> None:
    groups = {name for name in registry.MODULES if name.startswith("worktree.")}
    everything = {f"hpm.{name}" for name in registry.MODULES}
    assert listed(own) == {
        "build", "ship", "take", "give-back", "locks", "worktree-add", *groups, *everything
    }  # fmt: skip


def test_each_call_of_a_command_is_made_and_ones_own_tasks_are_deduplicated(own: Path) -> None:
    done = invoke("build", "ship", "--to", "x", "locks", "hpm.locks", "locks", "build", project=own)
    nothing = hpm("locks").stdout
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"setup\nbuild\nship to x\n{nothing * 4}"


def test_commands_of_one_name_in_two_groups_are_two(own: Path) -> None:
    subprocess.run(["git", "init", "-q", str(own)], check=True)
    done = invoke("worktree.list", "--json", "hpm.hooks.list", "--json", project=own, cwd=own)
    worktrees, hooks = map(json.loads, done.stdout.splitlines())
    assert "worktrees" in worktrees
    assert "hooks" in hooks


def test_a_renamed_task_has_its_options_its_help_and_its_errors(own: Path) -> None:
    assert invoke("take", "--help", project=own).stdout == invoke("--help", "take", project=own).stdout
    assert "--owner-pid=INT" in invoke("--help", "take", project=own).stdout
    done = invoke("take", "--local", project=own)
    assert (done.returncode, done.stderr) == (2, hpm("lock", "--local").stderr)
    take = ("take", *LOCAL, "--task-id", "7")
    done = invoke(*take, "give-back", *LOCAL, *take, "give-back", *LOCAL, project=own)
    first, given_back, second, again = done.stdout.split()
    assert (done.returncode, given_back, again) == (0, "7", "7")
    assert first != second
    helped = invoke(*take, "worktree-add", "--help", project=own)
    assert helped.stdout == invoke("--help", "worktree-add", project=own).stdout
    assert hpm("locks").stdout == ""


@pytest.mark.parametrize(
    ("added", "called", "command"),
    [
        ('ns.add_collection(worktree, name="wt")', "wt.list", "worktree.list"),
        ('ns.add_collection(hpm, name="agents")', "agents.hooks.list", "hooks.list"),
        ('ns.add_task(hpm["locks"], name="who")', "who", "locks"),
        ('ns.add_task(hpm.collections["worktree"].tasks["list"], name="unlock")', "unlock", "worktree.list"),
        ('worktree.default = "list"; ns.add_collection(worktree, name="places")', "places", "worktree.list"),
    ],
    ids=["a group", "all", "a task", "by another command's name", "a group's default"],
)
def test_under_any_name_a_task_has_its_options(tmp_path: Path, added: str, called: str, command: str) -> None:
    (tmp_path / "tasks.py").write_text(
        "from invoke import Collection\nfrom hpm_tools.tasks import ns as hpm, worktree\nns = Collection()\n"
        f"{added}\n"
    )
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    done = invoke(called, "--json", "-q", called, "--json", project=tmp_path, cwd=tmp_path)
    expected = hpm(command, "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (expected.returncode, "")
    assert done.stdout == expected.stdout * 2 != ""
    assert "--json" in invoke("--help", called, project=tmp_path).stdout


@pytest.mark.parametrize("called", ["hpm.locks", "who", "own.locks"])
def test_only_the_module_of_the_command_that_is_called_is_imported(tmp_path: Path, called: str) -> None:
    """Its options are needed; those of all commands would make Invoke's start noticeably longer."""
    (tmp_path / "tasks.py").write_text(
        "import atexit, sys\n"
        "from invoke import Collection\n"
        "from hpm_tools.tasks import locks, ns as hpm\n"
        "ns = Collection(hpm, Collection('own', locks))\n"
        "ns.add_task(locks, name='who')\n"
        "atexit.register(lambda: print(*(name for name in sys.modules if name.startswith('hpm_tools.commands.'))))\n"
    )
    # Not by the fork server, which has imported all of them.
    argv = [str(BIN / "invoke"), "--search-root", str(tmp_path), called]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    imported = done.stdout.splitlines()[-1].split()
    assert {*imported} & {*registry.MODULES.values()} == {"hpm_tools.commands.lock"}


def test_a_file_without_a_collection_offers_what_it_imports(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("from hpm_tools.tasks import locks, pm_add, run, worktree_add\n")
    assert listed(tmp_path) == {"locks", "pm-add", "run", "worktree-add"}
    done = invoke("worktree-add", "--task-id", "x", project=tmp_path)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "error: --task-id must be a whole number, not 'x'",
    )


def test_every_command_and_group_can_be_imported_by_name() -> None:
    from hpm_tools import tasks

    for name in registry.MODULES:
        task = getattr(tasks, name.replace(".", "_"))
        assert task is getattr(tasks, name.replace(".", "_"))
        assert task.command_name == name
        assert {name.replace(".", "_"), name.partition(".")[0]} <= set(dir(tasks))
        assert hasattr(tasks, name.partition(".")[0])
    with pytest.raises(ImportError):
        exec("from hpm_tools.tasks import no_such_command", {})
