"""Outcomes in a program's output that are not its agent's: quoted in a sentence, or read by a tool."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.runners import Desk

DONE = json.dumps({"status": "done", "summary": "all of it"})
QUOTED = f"I was to end with {DONE} but the service refused my key."
READ = json.dumps({"type": "tool_result", "tool_use_id": "t1", "content": DONE})
CLAUDE_READ = json.dumps(
    {"type": "user", "message": {"role": "user", "content": [{"type": "tool_result", "content": DONE}]}}
)
CODEX_READ = json.dumps(
    {"type": "item.completed", "item": {"type": "command_execution", "aggregated_output": DONE}}
)
EXAMPLE = 'usage: end with {"status": "done", "summary": "..."}'


def seldom(value: object, name: str) -> Any:
    return pytest.param(value, marks=pytest.mark.extended, id=name)


def status_after(desk: Desk, said: str) -> str:
    """The board's status of a task whose program leaves a file, says ``said`` and ends with 0."""
    path = desk.directory / "agent.sh"
    path.write_text(f"cat > /dev/null\necho half > half.txt\ncat <<'END'\n{said}\nEND\n", encoding="utf-8")
    desk.change(executor_command=["sh", str(path)])
    task = desk.board.add_task(complexity="major")["id"]
    desk.run_single()
    return str(desk.board.task(task)["status"])


@pytest.mark.fault("B11")
@pytest.mark.parametrize(
    "said",
    [
        pytest.param(QUOTED, id="in a sentence"),
        pytest.param(CLAUDE_READ, id="read by a tool"),
        seldom(READ, "read by a tool of gemini's"),
        seldom(CODEX_READ, "printed by a command of codex's"),
        seldom(EXAMPLE, "an example"),
    ],
)
def test_a_quoted_done_is_no_outcome(desk: Desk, said: str) -> None:
    assert status_after(desk, said) == "created"


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(f"All is well: {DONE}", id="at the end of a line"),
        seldom(f"**{DONE}**.\nBye.", "between marks"),
        seldom(f"<outcome>{DONE}</outcome>", "in a tag"),
        seldom(f"It says:\n```json\n{DONE}\n```\nTokens: 7k", "in a fence"),
    ],
)
def test_a_done_that_a_message_ends_with_is_one(desk: Desk, said: str) -> None:
    assert status_after(desk, said) == "dev_done"
