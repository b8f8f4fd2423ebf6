"""Completion as a person gets it: the TAB key, on a terminal, in the real shells."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from hpm_tools import names, registry
from hpm_tools.cli.completion import offer
from tests.support.frontends import hpm
from tests.support.shells import OPERATIONS, SHELLS, completed, environment, interactive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.terminal import Terminal


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with one file and one directory in it."""
    path = tmp_path / "place"
    (path / "there").mkdir(parents=True)
    (path / "therefile").touch()
    return path


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, isolated: Path, place: Path) -> Iterator[Terminal]:
    """An interactive shell in ``place``, after completion was installed as docs/operations.md tells a new user."""
    name = str(request.param)
    (isolated / ".zshrc").write_text("PROMPT='$ '\n", encoding="utf-8")
    (installing,) = re.findall(rf"^```{name}\n(.*?)^```", OPERATIONS, re.MULTILINE | re.DOTALL)
    subprocess.run(["bash", "-euc", installing], check=True, env=environment(), cwd=isolated)
    for agent in ("dev_001", "qa_007"):
        assert hpm("lock", "--agent-id", agent, "--task-id", "12", "--local").returncode == 0
    with interactive(name, place) as terminal:
        yield terminal


@pytest.mark.parametrize(
    ("line", "then"),
    [
        ("hpm unlo", "hpm unlock"),
        ("hpm unlock --age", "hpm unlock --agent-id"),
        ("hpm unlock --agent-id q", "hpm unlock --agent-id qa_007"),
        ("hpm unlock --agent-id=q", "hpm unlock --agent-id=qa_007"),
        ("hpm run --role arch", "hpm run --role architect"),
        ("hpm pm.status --status docu", "hpm pm.status --status documentation_done"),
        ("hpm worktree rest", "hpm worktree restore"),
        ("hpm help worktree pru", "hpm help worktree prune"),
        ("hpm --list noti", "hpm --list notify"),
        ("hpm --json fini", "hpm --json finish"),
        ("hpm hooks.run --name pre", "hpm hooks.run --name pre_task"),
        ("hpm worktree.list --repo ther", "hpm worktree.list --repo there"),
        ("hpm claude.exec --prompt-file theref", "hpm claude.exec --prompt-file therefile"),
    ],
)
def test_tab(shell: Terminal, place: Path, line: str, then: str) -> None:
    assert completed(shell, place, line) == then


def test_several_answers_are_shown(shell: Terminal) -> None:
    shell.type("hpm unlock --agent-id \t\t")
    shell.wait_for("dev_001")
    shell.wait_for("qa_007")


@pytest.mark.parametrize("shell_name", SHELLS)
def test_the_script_has_no_fault_that_its_shell_can_see(shell_name: str, tmp_path: Path) -> None:
    script = hpm("completion", shell_name)
    assert (script.returncode, script.stderr) == (0, "")
    path = tmp_path / "script"
    path.write_text(script.stdout, encoding="utf-8")
    subprocess.run([shell_name, "-n", str(path)], check=True, env=environment())


def words(*line: str) -> list[str]:
    return [row["word"] for row in offer(line)[0]]


def test_every_command_and_option_is_offered() -> None:
    assert words("") == [*registry.MODULES, "help"]
    for name in registry.MODULES:
        command = registry.find(name)
        assert command is not None
        offered = words(name, "--")
        assert {option.flag for option in command.options} <= set(offered)
        assert "--json" in offered


def test_known_values_are_offered_and_used_options_are_not() -> None:
    assert words("run", "--role", "") == list(names.ROLES)
    assert words("claude.model", "--difficulty", "") == list(names.LEVELS)
    assert words("pm.tasks", "--status", "dev") == ["dev_done"]
    assert words("events", "--event", "park") == ["parked"]
    assert "--event" in words("events", "--event", "parked", "--")
    assert "--role" not in words("run", "--role", "qa", "--")
    assert "--word" in words("completion.words", "--word=x", "--")


@pytest.mark.parametrize(
    "line",
    [("nothing", ""), ("nothing", "more", ""), ("run", "--nothing", "x"), ("run", "--single-task=")],
)
def test_where_nothing_is_known_nothing_is_offered_and_nothing_fails(line: tuple[str, ...]) -> None:
    assert offer(line) == ([], None)


def test_without_a_state_directory_no_agent_is_offered() -> None:
    assert offer(("unlock", "--agent-id", "")) == ([], None)


def test_meanings_are_one_line_each() -> None:
    offered, _ = offer([""], explain=True)
    assert all(row["help"] and "\n" not in row["help"] for row in offered)
