"""Somebody at a terminal is told that a list is empty; a script finds nothing, as before."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support import frontends, repos
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return repos.make_repo(tmp_path / "shop").root


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["locks"], "no agent holds a task on this host"),
        (["worktree.list"], "has no worktree of a task and no salvaged work"),
    ],
)
def test_empty_list_is_told_at_a_terminal_only(shop: Path, words: list[str], told: str) -> None:
    with Terminal([frontends.BIN / "hpm", *words], cwd=shop, env=os.environ) as screen:
        screen.wait_for(told)
    piped = frontends.hpm(*words, cwd=shop)
    assert (piped.returncode, piped.stdout, piped.stderr) == (0, "", "")


def test_lock_by_hand_is_not_said_to_be_unknown(shop: Path) -> None:
    frontends.hpm("lock", "--agent-id", "you", "--task-id", "12", "--local", cwd=shop)
    (row,) = frontends.hpm("locks", cwd=shop).stdout.splitlines()[1:]
    assert "  by hand" in row
    assert "unknown" not in row
    health = frontends.hpm("health", cwd=shop).stdout
    assert "task 12 at pre_hook" in health
    assert "if nobody is at it any more, give it back: hpm unlock --agent-id you" in health
