"""Outcomes that programs print: which object of an output counts, if any."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpm_tools.executor.base import Outcome
from hpm_tools.executor.printed import LONGEST_OBJECT, READ, last_outcome

BLOCKED = {"status": "blocked", "summary": 'no {access} to "db"', "findings": ["a", "b"]}
DONE = {"status": "done", "summary": "did it"}


def event(**fields: Any) -> str:
    return json.dumps(fields)


@pytest.mark.parametrize(
    "output",
    [
        json.dumps(BLOCKED),
        f"Working.\nThis is how it went: {json.dumps(BLOCKED)} -- bye\n\n",
        f"```json\n{json.dumps(BLOCKED, indent=4)}\n```\n",
        f"\x1b[1m{json.dumps(BLOCKED, indent=1)}\x1b[0m\r\n",
        f"{json.dumps(DONE)}\n{json.dumps(BLOCKED)}\n",
        event(type="item.completed", item={"type": "agent_message", "text": f"Sorry.\n{json.dumps(BLOCKED)}"})
        + "\n"
        + event(type="turn.completed", status="done", usage={}),
        event(type="result", structured_result=BLOCKED, result="Sorry."),
        event(type="agent_end", messages=[{"text": json.dumps(DONE)}, {"text": json.dumps(BLOCKED)}]),
        "\n".join(
            event(role="assistant", content=piece, delta=True)
            for piece in ('{"status": "blo', f"{json.dumps(BLOCKED)[15:]}")
        ),
    ],
    ids=["alone", "in-a-line", "fenced", "coloured", "last", "event", "field", "history", "pieces"],
)
def test_the_last_outcome_is_found(output: str) -> None:
    assert last_outcome(output.encode()) == BLOCKED


@pytest.mark.parametrize(
    "output",
    [
        "",
        "status: done",
        '{"status": "finished", "summary": "x"}',
        '{"status": "done", "summary": 7}',
        '["done"]',
        event(type="command_execution", status="failed", exit_code=1),
        event(type="item.completed", item={"type": "command", "status": "failed", "command": "make"}),
        '{"status": "done", "summary": "never closed',
    ],
)
def test_what_is_no_outcome_is_none(output: str) -> None:
    assert last_outcome(output.encode()) is None


def test_an_object_of_the_prompt_is_not_the_agents() -> None:
    prompt = f"Say for example:\n{json.dumps(DONE, indent=2)}\n"
    assert last_outcome(prompt.encode(), [prompt]) is None
    assert last_outcome(event(role="user", text=prompt).encode(), [prompt]) is None
    assert last_outcome(f"{json.dumps(BLOCKED)}\n{prompt}".encode(), [prompt]) == BLOCKED
    quoted = "\n".join(f"> {line}" for line in prompt.splitlines())
    assert last_outcome(f"Task:\n{quoted}\n".encode(), [prompt]) is None


@pytest.mark.parametrize("own", ["{}", "Now as before:\n\n{}\n", '{{"type": "result", "structured": {}}}'])
@pytest.mark.parametrize("echo", ["", "the prompt"])
def test_an_outcome_that_the_notes_have_from_before_counts_when_it_is_said_again(own: str, echo: str) -> None:
    """Seen in use: a task that was parked as blocked, and was blocked again for the same reason, had no outcome."""
    said = json.dumps(BLOCKED)
    prompt = (
        f"Notes:\nparked: blocked\nset it to created to have it taken up again\n{said}\n>>>>\n\nNow do it.\n"
    )
    output = (prompt if echo else "") + own.format(said)
    assert last_outcome(output.encode(), [prompt]) == BLOCKED
    assert last_outcome((prompt if echo else "").encode(), [prompt]) is None


def test_only_the_end_of_a_long_output_is_read() -> None:
    assert last_outcome(json.dumps(DONE).encode() + b"\n" + b"x" * READ) is None
    assert last_outcome(b"x" * READ + b"\n" + json.dumps(DONE).encode()) == DONE
    assert last_outcome(json.dumps({**DONE, "summary": "y" * LONGEST_OBJECT}, indent=1).encode()) is None


@pytest.mark.parametrize(
    "piece", [b"{", b'{"status": "done",', b'{"a":', b'[{"status":"done"', b'{"status":"done"}\n']
)
def test_no_output_takes_long(piece: bytes) -> None:
    began = time.process_time()
    last_outcome(piece * (READ // len(piece)))
    assert time.process_time() - began < 20


@settings(deadline=None)
@given(st.binary() | st.text().map(lambda text: json.dumps({"status": "done", "summary": text}).encode()))
def test_whatever_is_found_is_an_outcome(output: bytes) -> None:
    found = last_outcome(output)
    assert found is None or Outcome.parse(found)
