"""What `./inv` installs: what the tasks need that it is asked for, and no more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from invoke.main import program

from hpm_tools import registry
from hpm_tools.cli.arguments import GLOBAL, flags_of
from tasks import OWN
from tests.support.inv_project import INV, break_installation, inv, ready_project, stamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from invoke.parser.argument import Argument

HELP = {"-h", "--help"}
"""Before a task's name it takes a value, after it none: `inv` knows it by itself."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ready_project(tmp_path_factory.mktemp("inv") / "a project")


def installed(project: Path, have: str, words: str) -> str:
    """The extra that `inv` installs for these words into an environment of the level ``have``; "" for none."""
    stamp(project, have)
    break_installation(project)
    done = inv(project / "inv", *words.split())
    found = re.search(r"installing hpm-tools(?:\[(.*)\])?", done.stderr)
    if found is None:
        assert (done.returncode, done.stderr) == (0, "")
        return ""
    assert done.returncode == 78
    return found[1] or "base"


@pytest.mark.parametrize("task", [task.name for task in OWN])
def test_a_developers_task_has_what_the_tests_need(task: str, project: Path) -> None:
    assert installed(project, "dashboard", task) == "dev"


@pytest.mark.parametrize("task", ["demo", "dashboard", "pm.serve", "run --role qa", "metrics", "report"])
def test_the_demo_installs_what_the_day_to_day_commands_need(task: str, project: Path) -> None:
    """README links to `.venv/bin/hpm` after the demo: nothing is installed by itself from then on."""
    assert installed(project, "base", task) == "dashboard"


@pytest.mark.parametrize(
    "words",
    [
        "lock --agent-id demo",
        "pm.add --title test --description docs",
        "lock --local --agent-id run unlock --agent-id report",
        "--list demo",
        "-l test",
        "--help test",
        "-c test -r docs --hide test -T 5 -D2 locks",
        "-f run locks",
        "locks -- test",
        "hooks.run --name=x --data test",
        "sessions",
        "--list --list-format test",
        "",
    ],
)
def test_what_is_no_tasks_name_installs_nothing(words: str, project: Path) -> None:
    assert installed(project, "base", words) == ""


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        ("-e demo", "dashboard"),
        ("-c tasks --echo demo", "dashboard"),
        ("-wD2 demo", "dashboard"),
        ("lock --agent-id demo --local run --role test", "dashboard"),
        ("lock -q demo", "dashboard"),
        ("lock --agent-id=x demo", "dashboard"),
        ("lock --help demo", "dashboard"),
        ("lock --agent-id a lint", "dev"),
        ("demo test --all", "dev"),
        ("--list -e test", "dev"),
        ("test -- -k demo", "dev"),
    ],
)
def test_a_task_counts_wherever_it_stands(words: str, extra: str, project: Path) -> None:
    assert installed(project, "base", words) == extra


def flags(arguments: Iterable[Argument], *, valued: bool) -> set[str]:
    """Invoke's spelling of those options that take a value, or of the others."""
    chosen = [argument for argument in arguments if argument.takes_value == valued]
    return {f"--{name}" if len(name) > 1 else f"-{name}" for argument in chosen for name in argument.names}


def test_inv_knows_which_options_take_no_value() -> None:
    """An unknown one would be taken for one with a value, and the task after it for that value."""
    (listed,) = re.findall(r"^VALUELESS='(.*?)'$", INV.read_text(), re.MULTILINE | re.DOTALL)
    options = [option for command in registry.all_commands() for option in (*command.options, *GLOBAL)]
    invokes = [
        *program.core_args(),
        *program.task_args(),
        *(argument for task in OWN for argument in task.get_arguments()),
    ]
    without = {flag for option in options if option.kind == "bool" for flag in flags_of(option)}
    without |= flags(invokes, valued=False)
    valued = {flag for option in options if option.kind != "bool" for flag in flags_of(option)}
    valued |= flags(invokes, valued=True)
    assert set(listed.split()) == without - HELP, "write those that are missing into VALUELESS in ./inv"
    assert without & valued <= HELP, "one name is an option with a value here and one without there"
