"""A hook fails that --hooks-dir gave: the hint names its file, and the printed command runs that hook and no other."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

SAYS = "it is the hook of the runner"


@pytest.fixture
def hooks(tmp_path: Path) -> Path:
    """A directory of hooks, with a space in its name as people have it, in which every one fails."""
    directory = tmp_path / "my hooks"
    directory.mkdir(mode=0o700)
    for name in ("pre_task", "post_task", "health_check", "own"):
        (directory / f"{name}.sh").write_text(f"echo {SAYS} >&2\nexit 1\n", encoding="utf-8")
    return directory


def only(hooks: Path, name: str) -> Path:
    """The hook ``name``, the only one left; the others are the quick ones of the desk's settings."""
    for other in hooks.iterdir():
        if other.stem != name:
            other.write_text("exit 0\n", encoding="utf-8")
    return hooks / f"{name}.sh"


def printed(text: str) -> list[str]:
    """The last command that hints print in ``text``."""
    return shlex.split(re.findall(r"hpm (hooks\.run [^)\n]*)", text)[-1])


@pytest.mark.parametrize("name", ["pre_task", "health_check", "post_task"])
def test_the_hint_of_run_names_the_failed_hooks_file_and_runs_it(desk: Desk, hooks: Path, name: str) -> None:
    hook = only(hooks, name)
    desk.board.add_task(description=script({"write": ["a.txt", "a"]}), complexity="major")
    done = desk.run_single("backend_dev", "dev_001", "--hooks-dir", str(hooks))
    again = desk.hpm(*printed(done.stderr))
    assert (str(hook) in done.stderr, again.returncode, SAYS in again.stderr) == (True, 1, True), done.stderr


def test_health_names_the_failed_hook_with_the_directory_that_it_ran_from(desk: Desk, hooks: Path) -> None:
    desk.run_single("backend_dev", "dev_001", "--hooks-dir", str(hooks))
    found = json.loads(desk.hpm("health", "--json").stdout)["checks"]
    [line] = [check for check in found if check["name"] == "hook health_check"]
    again = desk.hpm(*printed(line["hint"]))
    assert (again.returncode, SAYS in again.stderr) == (1, True), line


def test_a_failed_hook_of_ones_own_is_named_with_its_file(desk: Desk, hooks: Path) -> None:
    done = desk.hpm("hooks.run", "--name", "own", "--hooks-dir", str(hooks))
    assert (done.returncode, str(hooks / "own.sh") in done.stderr) == (1, True), done.stderr


def test_the_hint_for_a_mistyped_name_lists_the_hooks_of_the_given_directory(desk: Desk, hooks: Path) -> None:
    refused = desk.hpm("hooks.run", "--name", "owm", "--hooks-dir", str(hooks))
    command = re.search(r"hpm (hooks\.list .*) shows", refused.stderr)
    assert command, refused.stderr
    assert str(hooks / "own.sh") in desk.hpm(*shlex.split(command[1])).stdout


def test_a_directory_that_is_gone_is_named_with_the_setting_where_it_stands(desk: Desk, hooks: Path) -> None:
    desk.change(hooks_dir=str(hooks / "gone"))
    refused = desk.hpm("hooks.list")
    assert "check hooks_dir in" in refused.stderr, refused.stderr
