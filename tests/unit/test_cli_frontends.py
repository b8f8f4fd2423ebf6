"""`hpm` and `invoke` give the same answers, and Invoke's traps are closed."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from hpm_tools import registry
from hpm_tools.state.persistence import TaskPersistence
from tests.support.frontends import BIN, PROJECT, call, hpm, invoke, sample_hpm, sample_invoke

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.frontends import Run

COMMANDS = tuple(registry.MODULES)
BOTH = pytest.mark.parametrize("run", [sample_hpm, sample_invoke], ids=["hpm", "invoke"])


def test_the_overview_lists_every_command() -> None:
    done = hpm("--help")
    assert done.returncode == 0
    assert not [
        name for name in COMMANDS if not re.search(rf"^  {re.escape(name)} +\S", done.stdout, re.MULTILINE)
    ]
    assert "(not available" not in done.stdout
    assert hpm().stdout == done.stdout
    assert re.fullmatch(r"hpm-tools \d+\.\d+\.\d+\n", hpm("--version").stdout)


@pytest.mark.parametrize("words", ["--help", "--version", "lock --help", ""])
@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
def test_help_that_cannot_be_written_is_an_error_and_no_fault_of_ours(words: str, redirection: str) -> None:
    done = call(["bash", "-c", f'"$0" {words} {redirection}', BIN / "hpm"])
    assert (done.returncode, done.stdout) == (73, "")
    assert "could not be written to stdout" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_a_token_that_cannot_be_written_is_printed_by_the_same_lock_again() -> None:
    words = "lock --local --agent-id dev_001 --task-id 12"
    done = call(["bash", "-c", f'"$0" {words} >/dev/full', BIN / "hpm"])
    assert done.returncode == 73
    assert done.stderr.splitlines()[1] == (
        "  what the command did stays done; send its result where it can be written"
    )
    held = TaskPersistence("dev_001").record()
    assert held is not None
    assert hpm(*words.split()).stdout == f"{held.token}\n"


def test_help_of_a_task_says_which_options_are_required_what_they_may_be_and_what_they_are_otherwise() -> (
    None
):
    shown = " ".join(invoke("--help", "pm.add").stdout.split())
    assert "--title=STRING what is to be done, in one line (required)" in shown
    assert "(one of junior, senior, principal; default: senior)" in shown
    assert "example: invoke pm.add --title" in shown
    assert invoke("pm.add", "--help").stdout == invoke("--help", "pm.add").stdout


def test_invoke_lists_every_command_with_its_summary() -> None:
    tasks = json.loads(invoke("--list", "--list-format", "json").stdout)
    found = {task["name"]: task["help"] for task in tasks["tasks"]}
    for group in tasks["collections"]:
        found |= {f"{group['name']}.{task['name']}": task["help"] for task in group["tasks"]}
    for name in COMMANDS:
        command = registry.find(name)
        assert command is not None
        assert found[name] == command.summary
    assert {"lint", "test", "docs"} <= set(found)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["lok"], "no command 'lok', did you mean lock?"),
        (["--jsn", "lock"], "no option '--jsn'"),
        (["lock", "--agent", "x"], "did you mean --agent-id?"),
    ],
)
def test_hpm_answers_an_unknown_word_with_2(words: list[str], part: str) -> None:
    done = hpm(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert part in done.stderr


def test_a_group_and_its_command_may_be_two_words() -> None:
    assert hpm("worktree", "add", "--help").stdout == hpm("worktree.add", "--help").stdout


@BOTH
def test_results_messages_and_levels_of_talk(run: Run) -> None:
    plain = run("sample.echo", "--text", "hello", "--count", "2")
    assert (plain.returncode, plain.stdout, plain.stderr) == (0, "hello\nhello\n", "a note\n")
    quiet = run("sample.echo", "--text", "hello", "--quiet")
    assert (quiet.stdout, quiet.stderr) == ("hello\n", "")
    verbose = run("sample.echo", "--text", "hello", "-v")
    assert re.fullmatch(r"a note\n[-\d]{10} [:\d]{8}\.\d{3} a debug line\n", verbose.stderr)
    as_json = run("sample.echo", "--text", "é\x1b[31m", "--json", "--word", "a", "--word", "b", "--loud")
    assert json.loads(as_json.stdout) == {
        "text": "É\x1b[31M", "agent": None, "count": 1, "factor": None, "word": ["a", "b"], "colour": "red",
        "newline": True,
    }  # fmt: skip
    assert as_json.stdout.isascii()
    assert as_json.stdout.count("\n") == 1


@BOTH
@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["sample.fail", "--how", "held"], 75, "held"),
        (["sample.fail", "--how", "nothing"], 3, "nothing_to_do"),
        (["sample.fail", "--how", "disk"], 73, "cannot_create"),
        (["sample.fail", "--how", "package"], 78, "misconfigured"),
        (["sample.fail", "--how", "bug"], 70, "unexpected"),
        (["sample.fail", "--how", "worse"], 2, "usage"),
        (["sample.echo", "--text", "x", "--count", "abc"], 2, "usage"),
        (["sample.echo", "--text", "x", "--agent", "../x"], 2, "usage"),
    ],
)
def test_faults_are_one_line_and_a_code(run: Run, words: list[str], code: int, error: str) -> None:
    plain = run(*words)
    assert (plain.returncode, plain.stdout) == (code, "")
    assert plain.stderr.startswith("error: ") == (error != "nothing_to_do")
    assert len(plain.stderr.splitlines()) <= 2
    assert "Traceback" not in plain.stderr
    as_json = run(*words, "--json")
    assert (as_json.returncode, as_json.stdout) == (code, "")
    body = json.loads(as_json.stderr)["error"]
    assert body["code"] == error
    assert body["message"]
    assert set(body) <= {"code", "message", "hint", "details"}


@BOTH
def test_details_of_an_error_are_for_scripts(run: Run) -> None:
    body = json.loads(run("sample.fail", "--how", "held", "--json").stderr)["error"]
    assert body == {
        "code": "held", "message": "task 7 is held by dev_002", "hint": "wait for it", "details": {"task_id": 7}
    }  # fmt: skip


@BOTH
def test_a_result_may_be_a_failure(run: Run) -> None:
    done = run("sample.verdict")
    assert (done.returncode, done.stdout, done.stderr) == (1, "blocked\n", "")


@BOTH
def test_ctrl_c_ends_with_130(run: Run) -> None:
    done = run("sample.fail", "--how", "interrupt")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_invoke_runs_a_repeated_call_each_time_and_stops_at_a_failure() -> None:
    echo = ["sample.echo", "-q", "--text"]
    done = sample_invoke(*echo, "a", *echo, "b", *echo, "a", "plain", "--word", "p", *echo, "a")
    assert (done.returncode, done.stdout) == (0, "a\nb\na\np\na\n")
    done = sample_invoke(*echo, "a", "sample.fail", "--how", "held", *echo, "b")
    assert (done.returncode, done.stdout) == (75, "a\n")


def test_help_among_several_tasks_runs_none() -> None:
    done = sample_invoke("sample.echo", "--text", "a", "sample.fail", "--help")
    assert done.returncode == 0
    assert done.stdout == sample_invoke("--help", "sample.fail").stdout


@BOTH
def test_a_mistyped_option_is_no_value(run: Run) -> None:
    done = run("sample.echo", "--text", "--louf")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--text=--louf" in done.stderr
    assert run("sample.echo", "-q", "--text=--louf").stdout == "--louf\n"
    assert run("sample.echo", "-q", "--text", "-").stdout == "-\n"
    assert run("sample.echo", "-q", "--text", "x", "--count", "-1").returncode == 0


def test_another_repository_sees_no_developers_tasks(tmp_path: Path) -> None:
    """Whether the checkout's `invoke` reads a tasks.py there, or `~/hpm-tools/inv` is called from there."""
    subprocess.run(["git", "init", "-q", str(tmp_path / "shop")], check=True)
    (tmp_path / "shop" / "src").mkdir()
    assert hpm("init", cwd=tmp_path / "shop").returncode == 0
    for project in (PROJECT, tmp_path / "shop"):
        done = invoke("--list", "--list-format", "json", project=project, cwd=tmp_path / "shop" / "src")
        found = json.loads(done.stdout)
        assert {task["name"] for task in found["tasks"]} == {name for name in COMMANDS if "." not in name}
        assert {group["name"] for group in found["collections"]} == {
            name.partition(".")[0] for name in COMMANDS if "." in name
        }


def test_the_commands_page_has_every_command() -> None:
    from hpm_tools.cli.docs import commands_page

    text = commands_page()
    assert all(f"### {name}\n" in text for name in COMMANDS)


def test_an_option_without_its_value_is_named_as_it_is_written() -> None:
    done = invoke("lock", "--agent-id")
    assert (done.returncode, done.stdout) == (1, "")  # the code is Invoke's own
    assert done.stderr == "Flag --agent-id needed value and was not given one!\n"
