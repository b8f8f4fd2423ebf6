"""`hooks.run` and `hooks.list` as a shell uses them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def hooks(tmp_path: Path) -> Path:
    directory = tmp_path / "hooks"
    directory.mkdir(mode=0o755)
    for name, script in {
        "yes": "cat; echo; echo noted >&2",
        "no": "echo because; exit 4",
        "slow": "sleep 600",
    }.items():
        (directory / f"{name}.sh").write_text(script + "\n", encoding="utf-8")
        (directory / f"{name}.sh").chmod(0o755)
    return directory


def hpm(*arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hpm_tools.cli.hpm", *arguments],
        input=stdin,
        cwd=os.environ["HOME"],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.mark.parametrize("way", ["option", "dash"])
def test_the_data_comes_by_option_or_on_stdin(way: str, hooks: Path) -> None:
    data = '{"task_id": 12, "title": "\\u001b[31mü"}'
    options = {"option": ["--data", data], "dash": ["--data", "-"]}[way]
    answer = hpm(
        "hooks.run",
        "--name",
        "yes",
        "--hooks-dir",
        str(hooks),
        *options,
        stdin="" if way == "option" else data,
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) == {
        "hook": "yes",
        "repo": None,
        "executor": "claude",
        "cli": None,
        **json.loads(data),
    }
    assert "noted" in answer.stderr


def test_no_data_at_all_is_an_empty_object(hooks: Path) -> None:
    answer = hpm("hooks.run", "--name", "yes", "--hooks-dir", str(hooks))
    assert answer.returncode == 0
    assert json.loads(answer.stdout)["hook"] == "yes"


def test_standard_input_is_read_only_when_told_to(hooks: Path, tmp_path: Path) -> None:
    answer = hpm("hooks.run", "--name", "yes", "--hooks-dir", str(hooks), stdin='{"task_id": 12}')
    assert "task_id" not in json.loads(answer.stdout)
    assert "--data - would take the hook's data" in answer.stderr
    (tmp_path / "ids").write_text("1\n2\n3\n", encoding="utf-8")
    loop = f'while read -r id; do {sys.executable} -m hpm_tools.cli.hpm hooks.run --name no --hooks-dir {hooks}; echo "$id"; done'
    for line in (f"{loop} <ids", f"cat ids | {loop}"):
        done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=600)
        assert done.stdout.split() == ["because", "1", "because", "2", "because", "3"]


def test_the_hooks_answer_becomes_the_exit_code(hooks: Path) -> None:
    answer = hpm("hooks.run", "--name", "no", "--hooks-dir", str(hooks))
    assert (answer.returncode, answer.stdout) == (1, "because\n")
    assert (
        answer.stderr == f"error: the hook no failed with exit code 4: because\n  the hook is {hooks}/no.sh\n"
    )


def test_a_hook_that_takes_too_long(hooks: Path) -> None:
    answer = hpm("hooks.run", "--name", "slow", "--hooks-dir", str(hooks), HEADLESS_PM_HOOK_TIMEOUT="0.5")
    assert answer.returncode == 124
    assert answer.stdout == ""
    assert "time limit" in answer.stderr


def test_an_unsafe_hook_is_not_run(hooks: Path) -> None:
    (hooks / "yes.sh").chmod(0o777)
    answer = hpm("hooks.run", "--name", "yes", "--hooks-dir", str(hooks))
    assert (answer.returncode, answer.stdout) == (78, "")
    assert "can be written by everyone (chmod go-w" in answer.stderr


def test_json_gives_one_object_with_everything(hooks: Path) -> None:
    answer = hpm("hooks.run", "--name", "no", "--hooks-dir", str(hooks), "--json")
    assert answer.returncode == 1
    data = json.loads(answer.stdout)
    assert (data["ok"], data["returncode"], data["messages"], data["ending"]) == (
        False,
        4,
        "because",
        "exited",
    )


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        (["--name", "../yes"], "", 2),
        (["--name", "nosuch"], "", 65),
        (["--name", "yes", "--data", "nonsense"], "", 65),
        (["--name", "yes", "--data", "[]"], "", 65),
        (["--name", "yes", "--data", "-"], "nonsense", 65),
        ([], "", 2),
    ],
)
def test_bad_input_is_one_error_with_its_code(
    arguments: list[str], stdin: str, code: int, hooks: Path
) -> None:
    answer = hpm("hooks.run", *arguments, "--hooks-dir", str(hooks), stdin=stdin)
    assert (answer.returncode, answer.stdout) == (code, "")
    assert "Traceback" not in answer.stderr
    assert answer.stderr


def test_a_hooks_directory_that_does_not_exist(tmp_path: Path) -> None:
    answer = hpm("hooks.list", "--hooks-dir", str(tmp_path / "gone"))
    assert answer.returncode == 78
    assert "does not exist" in answer.stderr


def test_the_list(hooks: Path) -> None:
    (hooks / "pre_task.sh").write_text("exit 0\n", encoding="utf-8")
    (hooks / "no.sh").chmod(0o666)
    answer = hpm("hooks.list", "--hooks-dir", str(hooks))
    assert answer.returncode == 0
    states = dict(line.split()[:2] for line in answer.stdout.splitlines()[1:])
    assert states == {
        **dict.fromkeys(("health_check", "post_task", "pre_task", "slow", "yes"), "ok"),
        "no": "refused",
    }
    assert "no.sh is not safe" in answer.stderr
    listed = json.loads(hpm("hooks.list", "--hooks-dir", str(hooks), "--json").stdout)
    assert listed["directories"][0] == str(hooks)
    assert next(hook["path"] for hook in listed["hooks"] if hook["name"] == "pre_task") == str(
        hooks / "pre_task.sh"
    )


MISTYPED = {
    "pre-task.sh": "pre_task",
    "PreTask.sh": "pre_task",
    "pre_taks.py": "pre_task",
    "pre_task.bash": "pre_task",
    "post_tasks": "post_task",
    "helth_check.sh": "health_check",
}
"""Files of hooks that no step runs, and what their writer meant."""
OWN = ("deploy.sh", "pre_task.sh", "post_task.py.disabled", "health_check.sh~", "pre_task.md", "test_task.sh")
"""Files that are meant as they are."""


@pytest.mark.fault("B10")
def test_files_that_are_mistyped_hooks_are_named(tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir(mode=0o755)
    for name in (*MISTYPED, *OWN):
        (hooks / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (hooks / name).chmod(0o755)
    (hooks / "pre-task").mkdir()
    done = hpm("hooks.list", "--hooks-dir", str(hooks))
    assert done.returncode == 0, done.stderr
    said = {line for line in done.stderr.splitlines() if "no step runs" in line}
    wanted = {f"no step runs {hooks / name}: did you mean {meant}?" for name, meant in MISTYPED.items()}
    assert {line.partition("warning: ")[2] for line in said} == wanted


@pytest.mark.fault("B10")
@pytest.mark.parametrize("name", ["pre-task", "pre_taks", "posttask", "health_checks"])
def test_a_hook_that_there_is_not_is_named_with_the_one_that_was_meant(name: str) -> None:
    done = hpm("hooks.run", "--name", name)
    assert done.returncode == 65
    assert f"there is no hook {name}" in done.stderr
    assert "did you mean " in done.stderr
