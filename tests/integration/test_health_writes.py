"""`health` where a runner could not write: read-only and full disks, which root passes no better than others."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.disks import SmallDisk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.runners import Desk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with SmallDisk(tmp_path / "disk", 1 << 20) as mounted:
        yield mounted


def unwritable(desk: Desk, **extra: str) -> dict[str, str]:
    """What `health` says cannot be written: its name and the path."""
    lines = json.loads(desk.hpm("health", "--json", within=600, **extra).stdout)["checks"]
    return {line["name"]: line["facts"]["path"] for line in lines if "cannot be written" in line["text"]}


@pytest.mark.fault("E9")
def test_a_read_only_home_is_said_before_a_runner_ends_by_it(desk: Desk, disk: SmallDisk) -> None:
    """State and the CLI's files are below HOME where nothing else is set."""
    disk.lock()
    home = str(disk.path)
    more = {
        "HOME": home,
        "HEADLESS_PM_HOME": "",
        "HEADLESS_PM_EXECUTOR": "command",
        "HEADLESS_PM_EXECUTOR_COMMAND": '["true"]',
    }
    done = desk.hpm(
        "run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task", within=600, **more
    )
    assert done.returncode == 78, done.stderr
    assert unwritable(desk, **more) == {"state directory": f"{home}/.headless-pm"}


@pytest.mark.fault("E9")
def test_the_agent_programs_own_directory_is_tried(desk: Desk, disk: SmallDisk) -> None:
    """The CLI keeps its login, sessions and settings below HOME though the state is elsewhere."""
    disk.lock()
    found = unwritable(desk, HOME=str(disk.path), HEADLESS_PM_EXECUTOR="claude")
    assert found == {
        "the Claude CLI's directory": f"{disk.path}/.claude",
        "home directory": str(disk.path),
    }


@pytest.mark.fault("E9")
def test_a_read_only_place_for_worktrees_and_a_full_one_for_temporary_files(
    desk: Desk, disk: SmallDisk, tmp_path: Path
) -> None:
    base = disk.path / "worktrees"
    base.mkdir()
    desk.change(worktree_base=str(base))
    disk.lock()
    with SmallDisk(tmp_path / "temporary", 1 << 20) as full:
        full.fill()
        assert unwritable(desk, TMPDIR=str(full.path)) == {
            "worktree directory": str(base),
            "temporary directory": str(full.path),
        }


def test_looking_leaves_nothing_behind(desk: Desk) -> None:
    """Not even a directory that a runner would make."""
    shutil.rmtree(desk.home)
    desk.home.mkdir()
    assert unwritable(desk, HEADLESS_PM_EXECUTOR="claude", HOME=str(desk.home)) == {}
    assert [path.name for path in desk.home.iterdir()] == []
    assert not list(desk.state.rglob(".hpm-probe-*"))
    assert not list((desk.repo / ".git").rglob(".hpm-probe-*"))
