"""What an agent told by our prompts does: the real CLI, an endpoint that obeys whatever it is told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpm_tools.executor.prompt import build_prompt
from hpm_tools.executor.roles import find_role
from hpm_tools.executor.verdict import VerdictKind
from tests.support.messages_endpoint import MessagesEndpoint

if TYPE_CHECKING:
    from tests.support.fixtures_claude import ClaudeBench

UPSTREAM_STYLE = Path(__file__).parents[1] / "data" / "roles"
TASK = {
    "id": 12,
    "title": "Say hello",
    "description": "Write hello.txt.",
    "target_role": "backend_dev",
    "difficulty": "junior",
    "complexity": "minor",
    "status": "created",
}
WRITE = {"write": {"path": "hello.txt", "content": "hello\n"}}
COMMIT = {"commit": "Say hello"}


def polls_of(claude: ClaudeBench, prompt: str) -> int:
    """How often the agent asked the board for work when given ``prompt``; it does the task all the same."""
    with MessagesEndpoint({"rules": [{}]}) as board:
        fetch = f"python3 -c 'import urllib.request as u; u.urlopen(\"{board.url}/api/v1/tasks/next\")'"
        claude.play(WRITE, COMMIT, obey={"command": fetch, "times": 1})
        run = claude.run(claude.job(prompt), claude.executor(allow=("python3",)))
        assert claude.verdict(run).kind is VerdictKind.DONE
        return len(board.requests)


@pytest.mark.parametrize("filtered", [True, False], ids=["filtered", "as it is"])
def test_an_upstream_style_role_drives_the_board_only_if_it_is_not_filtered(
    claude: ClaudeBench, filtered: bool
) -> None:
    role = find_role("backend_dev", UPSTREAM_STYLE, filtered=filtered)
    prompt = build_prompt(TASK, role="backend_dev", role_text=role.text, agent_id="dev_001", branch="main")
    assert polls_of(claude, prompt) == (0 if filtered else 1)


def test_the_whole_prompt_arrives_in_its_order(claude: ClaudeBench) -> None:
    role = find_role("qa", [])
    task = {**TASK, "description": "Write hello.txt. " + "ü" * 50_000 + " END OF DESCRIPTION"}
    prompt = build_prompt(task, role="qa", role_text=role.text, agent_id="qa_001", base="0123abc")
    assert polls_of(claude, prompt) == 0
    said = claude.said_to_agent()
    places = [
        said.index(part)
        for part in ("rules come from the runner", "# Quality engineer", "END OF DESCRIPTION")
    ]
    assert places == sorted(places)
