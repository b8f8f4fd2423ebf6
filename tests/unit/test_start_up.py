"""What commands must not load when they really run: each of these modules is milliseconds more, every time.

Only what is dear, or would draw in what is, is named here; how a command loads what it needs is its own affair.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import Repo, key

if TYPE_CHECKING:
    from tests.support.runners import Desk

DEAR = {"asyncio", "colorama", "fastapi", "invoke", "psutil", "sqlalchemy", "sqlite3", "yaml"}
"""What no command here needs."""
OF_THE_BOARD = {
    "email",
    "hashlib",
    "logging",
    "msgspec",
    "requests",
    "ssl",
    "subprocess",
    "tempfile",
    "urllib3",
}
"""What only the board's client needs, or draws in."""
OF_FILES = {"argparse", "dataclasses", "enum", "inspect", "json", "pathlib", "re", "threading", "typing"}
"""What is affordable to read files with, but not for a lock that a script's loop takes and frees."""

RUN = """
import sys
from hpm_tools.cli.hpm import main
commands = " ".join(sys.argv[1:]).split(" + ")
before = set()
for command in commands:
    code = main(command.split())
    if code:
        sys.exit(f"{command}: {code}")
    print(command, " ".join(set(sys.modules) - before), sep="\\t", file=sys.stderr)
    before = set(sys.modules)
"""


@pytest.fixture
def desk(desk: Desk) -> Desk:
    # An operator who sets everything by variables needs no YAML.
    (desk.state / "config.yaml").unlink()
    desk.board.register("dev_001")
    desk.board.add_task()
    return desk


def dear(desk: Desk, denied: set[str], *commands: str) -> list[str]:
    """``command: module`` for each denied module that a command loads; they run one after another in one process."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, " + ".join(commands)],
        cwd=desk.repo,
        env=desk.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = dict(line.split("\t") for line in done.stderr.splitlines() if "\t" in line)
    assert list(lines) == list(commands), done.stderr
    return [
        f"{command}: {module}"
        for command, modules in lines.items()
        for module in sorted({name.partition(".")[0] for name in modules.split()} & denied)
    ]


def test_local_locks_load_nothing_but_what_python_starts_with(desk: Desk) -> None:
    commands = (
        "lock --local --agent-id dev_002 --task-id 7",
        "locks",
        "unlock --local --agent-id dev_002",
    )
    assert dear(desk, DEAR | OF_THE_BOARD | OF_FILES, *commands) == []


def test_lists_of_hooks_and_worktrees_load_only_what_reads_files(desk: Desk, repo: Repo) -> None:
    repo.worktrees().add_for_task(key(), branch="main")
    assert dear(desk, DEAR | OF_THE_BOARD, "hooks.list", "worktree.list") == []


def test_commands_of_the_board_load_its_client_and_no_more(desk: Desk) -> None:
    commands = (
        "pm.next --role backend_dev",
        "pm.task --task-id 1",
        "pm.tasks",
        "pm.register --agent-id dev_001 --role backend_dev",
        "pm.status --agent-id dev_001 --task-id 1 --status created",
        "pm.comment --agent-id dev_001 --task-id 1 --comment seen",
    )
    assert dear(desk, DEAR, *commands) == []


def test_a_module_that_is_denied_is_found(desk: Desk) -> None:
    assert dear(desk, {"hpm_tools", "yaml"}, "locks") == ["locks: hpm_tools"]
