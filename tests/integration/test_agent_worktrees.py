"""A subagent that asks the CLI for a worktree of its own gets none: it would be made in the main checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.fixtures_desk import WRITE

if TYPE_CHECKING:
    from tests.support.fixtures_desk import ClaudeDesk

ISOLATED = {
    "tool": "Agent",
    "input": {
        "description": "try",
        "prompt": "try it",
        "subagent_type": "general-purpose",
        "isolation": "worktree",
    },
}


@pytest.mark.fault("F1")
@pytest.mark.parametrize(
    ("settings", "complexity"),
    [
        pytest.param({"sandbox": False}, "minor", id="not sandboxed, in the checkout"),
        pytest.param({}, "major", id="default", marks=[pytest.mark.needs("bwrap"), pytest.mark.extended]),
    ],
)
def test_a_subagent_makes_no_worktree_and_no_branch(
    claude_desk: ClaudeDesk, settings: dict[str, Any], complexity: str
) -> None:
    desk = claude_desk
    if settings:
        desk.change(claude=settings)
    desk.play(WRITE, ISOLATED)
    desk.board.add_task(complexity=complexity)
    done = desk.run()
    assert done.returncode == 0, done.stdout + done.stderr
    heads = desk.git("for-each-ref", "--format=%(refname:short)", "refs/heads/").splitlines()
    assert [name for name in heads if name not in ("main", "feature/task-1")] == [], done.stdout
