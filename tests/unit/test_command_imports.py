"""What each kind of command loads when it really runs: a module more is milliseconds more, every time."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import make_repo
from tests.support.runners import Desk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

WATCHED = {
    "asyncio", "colorama", "dataclasses", "difflib", "email", "enum", "fastapi", "hashlib", "html", "inspect",
    "invoke", "json", "logging", "msgspec", "pathlib", "pickle", "psutil", "random", "re", "requests",
    "secrets", "shutil", "sqlalchemy", "sqlite3", "ssl", "subprocess", "tarfile", "tempfile", "threading",
    "tomllib", "typing", "urllib3", "uuid", "yaml",
}  # fmt: skip
"""Every module that costs a start a millisecond or more, and that something of ours loads somewhere."""

RUN = """
import sys
from hpm_tools.cli.hpm import main
code = main(sys.argv[1:])
print(*sys.modules, sep="\\n", file=sys.stderr)
sys.exit(code)
"""

# requests and msgspec load these by themselves.
HTTP = {"email", "enum", "hashlib", "html", "inspect", "json", "logging", "msgspec", "pathlib", "random", "re",
        "requests", "shutil", "ssl", "subprocess", "tempfile", "threading", "typing", "urllib3", "uuid"}  # fmt: skip
OWN_OF_HTTP = {"board", "cli", "commands", "config", "state"}
OWN_OF_LOCK = {"cli", "commands", "process", "state"}


@pytest.fixture
def desk(tmp_path: Path, exact_board: BoardUnderTest) -> Desk:
    desk = Desk(tmp_path / "desk", exact_board, make_repo(tmp_path / "repo").root)
    # An operator who sets everything by variables needs no YAML.
    (desk.state / "config.yaml").unlink()
    exact_board.register("dev_001")
    exact_board.add_task()
    return desk


def loaded(desk: Desk, *words: str) -> tuple[set[str], set[str]]:
    """The watched modules, and the packages of ours, that one command loads in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words],
        cwd=desk.repo,
        env=desk.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    modules = [name.split(".") for name in done.stderr.split()]
    own = {name[1] for name in modules if name[0] == "hpm_tools" and len(name) > 2}
    return {name[0] for name in modules} & WATCHED, own


LOCAL = ("--local", "--agent-id", "dev_002")
AS_DEV = ("--agent-id", "dev_001")


def test_local_locks_load_nothing(desk: Desk) -> None:
    for words, told in (
        (("lock", *LOCAL, "--task-id", "7"), {"events"}),
        (("locks",), set()),
        (("unlock", *LOCAL), {"events"}),
    ):
        assert loaded(desk, *words) == (set(), OWN_OF_LOCK | told), words


def test_listing_hooks_loads_what_finds_files(desk: Desk) -> None:
    watched, own = loaded(desk, "hooks.list")
    assert watched == {"enum", "pathlib", "re"}
    assert own == {"cli", "commands", "config", "hook", "state"}


def test_listing_worktrees_loads_what_reads_files(desk: Desk) -> None:
    added = desk.hpm("worktree.add", "--task-id", "1")
    assert added.returncode == 0, added.stderr
    watched, own = loaded(desk, "worktree.list")
    assert watched == {"enum", "json", "pathlib", "re"}
    assert own == {"cli", "commands", "config", "state", "worktree"}


@pytest.mark.parametrize(
    "words",
    [
        ("pm.next", "--role", "backend_dev"),
        ("pm.task", "--task-id", "1"),
        ("pm.tasks",),
        ("pm.register", *AS_DEV, "--role", "backend_dev"),
        ("pm.status", *AS_DEV, "--task-id", "1", "--status", "created"),
        ("pm.comment", *AS_DEV, "--task-id", "1", "--comment", "seen"),
    ],
    ids=lambda words: words[0],
)
def test_commands_of_the_board_load_the_client_and_no_more(desk: Desk, words: tuple[str, ...]) -> None:
    watched, own = loaded(desk, *words)
    assert watched - HTTP == set()
    assert own == OWN_OF_HTTP
