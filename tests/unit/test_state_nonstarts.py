"""Whose fault it is that an agent's program does not begin."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpm_tools.state.nonstarts import Nonstarts
from hpm_tools.state.paths import StateDir


def test_a_second_task_shows_that_it_was_not_the_first() -> None:
    claude, other = Nonstarts(StateDir(), "claude"), Nonstarts(StateDir(), "command")
    assert not claude.besides("task-1")
    claude.note("task-1")
    assert not claude.besides("task-1")
    assert Nonstarts(StateDir(), "claude").besides("task-2")
    assert not other.besides("task-2")
    claude.forget()
    assert not claude.besides("task-2")
    claude.forget()


@settings(deadline=None)
@given(st.binary() | st.sampled_from([b"[]", b"{}", b'{"task": null}', b"x" * 5000]))
def test_a_damaged_file_blames_nobody_and_can_be_written_again(content: bytes) -> None:
    nonstarts = Nonstarts(StateDir(), "claude")
    nonstarts.note("task-1")
    (name,) = os.listdir(StateDir().limits)
    Path(StateDir().limits, name).write_bytes(content)
    assert not nonstarts.besides("task-2")
    nonstarts.note("task-1")
    assert nonstarts.besides("task-2")


@pytest.mark.parametrize("program", ["claude", "../../x", "CLAUDE"])
def test_its_file_is_private_and_stays_in_its_place(program: str) -> None:
    Nonstarts(StateDir(), program).note("task-1")
    (path,) = Path(StateDir().limits).iterdir()
    assert path.stat().st_mode & 0o077 == 0
