"""`hpm --list`, `hpm help X`, a group that stands alone, and `python -m hpm_tools`."""

from __future__ import annotations

import json
import re
import sys

import pytest

from hpm_tools import registry
from hpm_tools.cli.completion import offer
from tests.support.frontends import call, hpm

GROUPS = ["worktree", "claude", "hooks", "pm", "notify", "completion"]


def named(text: str) -> list[str]:
    """The commands that a list of them names, one with each summary's first line."""
    return re.findall(r"^  ([a-z.]+) +\S", text, re.MULTILINE)


@pytest.mark.parametrize("flag", ["--list", "-l"])
def test_list_is_the_overview_without_usage_and_exit_codes(flag: str) -> None:
    done = hpm(flag)
    assert (done.returncode, done.stderr) == (0, "")
    assert named(done.stdout) == list(registry.MODULES)
    assert done.stdout in hpm("--help").stdout
    assert "usage" not in done.stdout


def test_list_takes_a_group() -> None:
    done = hpm("--list", "worktree")
    assert done.returncode == 0
    assert named(done.stdout) == [name for name in registry.MODULES if name.startswith("worktree.")]


def test_list_as_json_has_names_and_summaries() -> None:
    found = json.loads(hpm("--json", "--list", "hooks").stdout)
    assert [row["name"] for row in found["commands"]] == ["hooks.run", "hooks.list"]
    assert all(row["summary"].endswith(".") for row in found["commands"])


@pytest.mark.parametrize("words", ["worktree", "worktree --help", "--help worktree", "help worktree"])
def test_a_group_alone_lists_its_commands(words: str) -> None:
    done = hpm(*words.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: hpm worktree.COMMAND ")
    assert done.stdout.endswith(hpm("--list", "worktree").stdout)


@pytest.mark.parametrize(
    ("words", "same"),
    [
        ("help", "--help"),
        ("help help", "--help"),
        ("help lock", "lock --help"),
        ("help worktree add", "worktree.add --help"),
    ],
)
def test_help_is_a_word_too(words: str, same: str) -> None:
    done = hpm(*words.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == hpm(*same.split()).stdout


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("help lok", "there is no command 'lok', did you mean lock?"),
        ("worktre", "there is no command 'worktre', did you mean worktree?"),
        ("worktree ad", "there is no command 'worktree ad', did you mean worktree.add?"),
        ("worktree --repo x", "worktree is a group of commands and has no option '--repo'"),
        ("--list worktre", "there is no group 'worktre', did you mean worktree?"),
        ("--list hooks pm", "--list takes one group, but got 'hooks pm'"),
    ],
)
def test_a_mistyped_word_is_a_usage_error(words: str, error: str) -> None:
    done = hpm(*words.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == f"error: {error}"
    (hint,) = done.stderr.splitlines()[1:]
    if hint.startswith("  see: hpm "):
        assert hpm(*hint.removeprefix("  see: hpm ").split()).returncode == 0


def test_the_package_runs_as_a_module() -> None:
    module = [sys.executable, "-m", "hpm_tools"]
    assert call([*module, "--list"]).stdout == hpm("--list").stdout
    assert call([*module, "locks", "--json"]).stdout == '{"locks": []}\n'
    assert call([*module, "lok"]).returncode == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["he"], ["health", "help"]),
        (
            ["help", "worktree"],
            [*[name for name in registry.MODULES if name.startswith("worktree.")], "worktree"],
        ),
        (["help", "hooks", ""], ["run", "list"]),
        (["--l"], ["--list"]),
        (["--list", ""], GROUPS),
        (["-l", "pm", ""], []),
    ],
)
def test_completion_knows_the_words_of_hpm_itself(line: list[str], words: list[str]) -> None:
    assert [row["word"] for row in offer(line)[0]] == words
