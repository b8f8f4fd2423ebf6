"""Finding a person's tasks beside ``ns`` touches nobody else's module, and names mean what that person wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.frontends import invoke

if TYPE_CHECKING:
    from pathlib import Path

ODD = """
import importlib.util
import sys
import types

from invoke import task
from hpm_tools.tasks import ns

spec = importlib.util.find_spec("heavy")
spec.loader = importlib.util.LazyLoader(spec.loader)
sys.modules["heavy"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["heavy"])

class NoModule:
    @property
    def __dict__(self):
        raise RuntimeError("somebody asked for __dict__")

    def __getattr__(self, name):
        raise RuntimeError(f"somebody asked for {name}")

class AlwaysAsks(types.ModuleType):
    def __getattribute__(self, name):
        raise RuntimeError(f"somebody asked for {name}")

class Stands:
    @property
    def __class__(self):
        raise RuntimeError("working outside of application context")

sys.modules |= {"no_module": NoModule(), "always_asks": AlwaysAsks("always_asks"), "a_class": NoModule, "nothing": None}
request = Stands()

@task
def mine(c):
    print("mine")
"""

OWN = "from invoke import task\nfrom hpm_tools.tasks import ns\n"


def test_lazy_modules_stay_unloaded_and_odd_ones_unasked(tmp_path: Path) -> None:
    (tmp_path / "heavy.py").write_text("print('loaded')\n")
    (tmp_path / "tasks.py").write_text(ODD)
    done = invoke("mine", "locks", project=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "mine\n", "")


def test_the_task_of_tasks_py_wins_over_one_of_a_module_that_it_imports(tmp_path: Path) -> None:
    helper = '@task\ndef build(c):\n    print("helper")\n\n@task\ndef more(c):\n    print("more")\n'
    (tmp_path / "helpers.py").write_text(OWN + helper)
    (tmp_path / "tasks.py").write_text(OWN + 'import helpers\n@task\ndef build(c):\n    print("mine")\n')
    assert invoke("build", "more", project=tmp_path).stdout == "mine\nmore\n"


def test_a_task_added_under_another_name_has_that_name_alone(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(
        OWN + '@task(aliases=["m"])\ndef mine(c):\n    print("mine")\nns.add_task(mine, name="other")\n'
    )
    assert invoke("other", project=tmp_path).stdout == "mine\n"
    assert "mine" in invoke("mine", project=tmp_path).stderr
    assert "other (m)" in invoke("--list", project=tmp_path).stdout


@pytest.mark.parametrize("added", ["", 'ns.add_task(mine, name="other")\n'], ids=["found", "added"])
def test_an_alias_wins_over_a_command_of_that_name(tmp_path: Path, added: str) -> None:
    (tmp_path / "tasks.py").write_text(
        OWN + '@task(aliases=["lock"])\ndef mine(c):\n    print("mine")\n' + added
    )
    assert invoke("lock", project=tmp_path).stdout == "mine\n"


@pytest.mark.parametrize(
    ("mine", "said"),
    [
        (
            '@task(aliases=["worktree"])\ndef mine(c): ...\n',
            "the task 'worktree' of your tasks.py has the name",
        ),
        ("@task(default=True)\ndef a(c): ...\n@task(default=True)\ndef b(c): ...\n", "'b' of your tasks.py"),
    ],
    ids=["group", "defaults"],
)
def test_names_that_cannot_be_are_a_usage_error(tmp_path: Path, mine: str, said: str) -> None:
    (tmp_path / "tasks.py").write_text(OWN + mine)
    done = invoke("locks", project=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
