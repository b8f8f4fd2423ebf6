"""A hard link in place of a file that is written where it stands: what it leads to keeps its content."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.runners import Desk

PRECIOUS = "a file of somebody who works here, longer than any pid\n"


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    path = tmp_path / "precious"
    path.write_text(PRECIOUS, encoding="utf-8")
    return path


def replace_by_link(path: Path, target: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.link(target, path)


def rows(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])


def agent_guard(desk: Desk) -> Path:
    """The file of the agent's guard, once a command has made it."""
    desk.hpm("lock", "--local", "--agent-id", "dev_001", "--task-id", 7)
    desk.hpm("unlock", "--local", "--agent-id", "dev_001")
    (path,) = (path for path in (desk.state / "locks").iterdir() if path.name.endswith(".guard"))
    return path


@pytest.mark.fault("F7")
def test_run_refuses_a_hard_link_in_place_of_its_guard_and_leaves_the_target_alone(
    desk: Desk, precious: Path
) -> None:
    guard = agent_guard(desk)
    replace_by_link(guard, precious)
    done = desk.run_single()
    assert done.returncode != 0
    assert precious.read_text(encoding="utf-8") == PRECIOUS


@pytest.mark.fault("F7")
def test_lock_refuses_the_link_and_its_hint_mends_it(desk: Desk, precious: Path) -> None:
    guard = agent_guard(desk)
    replace_by_link(guard, precious)
    desk.hpm("lock", "--local", "--agent-id", "dev_001", "--task-id", 7)
    guard.unlink()
    again = desk.hpm("lock", "--local", "--agent-id", "dev_001", "--task-id", 7)
    assert again.returncode == 0, again.stderr
    assert precious.read_text(encoding="utf-8") == PRECIOUS


@pytest.mark.fault("F7")
def test_spool_of_events_that_is_a_hard_link_is_neither_taken_in_nor_emptied(
    desk: Desk, precious: Path
) -> None:
    replace_by_link(desk.state / "events.sqlite.spool", precious)
    desk.run_single()
    assert precious.read_text(encoding="utf-8") == PRECIOUS


@pytest.mark.fault("F7")
def test_events_database_that_is_a_hard_link_to_another_database_gets_no_rows(
    desk: Desk, tmp_path: Path
) -> None:
    desk.run_single()
    other = tmp_path / "another.sqlite"
    (desk.state / "events.sqlite").rename(other)
    os.link(other, desk.state / "events.sqlite")
    before = rows(other)
    desk.run_single()
    assert rows(other) == before


@pytest.mark.fault("F7")
@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_file_beside_the_events_that_is_a_hard_link_is_not_written(
    desk: Desk, precious: Path, suffix: str
) -> None:
    desk.run_single()
    replace_by_link(desk.state / f"events.sqlite{suffix}", precious)
    desk.run_single()
    assert precious.read_bytes() == PRECIOUS.encode()


def test_message_about_a_linked_guard_says_why_and_how_to_take_it_away(desk: Desk, precious: Path) -> None:
    guard = agent_guard(desk)
    replace_by_link(guard, precious)
    done = desk.hpm("lock", "--local", "--agent-id", "dev_001", "--task-id", 7)
    assert done.returncode == 78, done.stderr
    assert "hard link" in done.stderr
    assert f"rm {guard}" in done.stderr
