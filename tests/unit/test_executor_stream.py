"""What is understood of the CLI's stream, and that nothing in it can break the reader."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpm_tools.executor.base import Denial, Outcome
from hpm_tools.executor.stream import StreamReader, short_argument


def fed(*events: Any, cwd: str = "/repo") -> StreamReader:
    reader = StreamReader(cwd)
    for event in events:
        reader.feed(json.dumps(event).encode())
    return reader


def assistant(*blocks: dict[str, Any], id: str = "m1", **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 1000, "output_tokens": 1}
    message = {"id": id, "model": "claude-sonnet-5-5", "content": list(blocks), "usage": usage}
    return {"type": "assistant", "message": message, **more}


def tool(name: str, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "name": name, "input": given}


INIT = {
    "type": "system",
    "subtype": "init",
    "session_id": "s",
    "claude_code_version": "2.1.330",
    "model": "m",
}
RESULT: dict[str, Any] = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "num_turns": 4,
    "result": "words",
    "total_cost_usd": 0.5,
    "structured_output": {"status": "done", "summary": " did it "},
}


def test_a_whole_run() -> None:
    bash = assistant(tool("Bash", command="git status"))
    reader = fed(INIT, bash, assistant({"type": "text", "text": "Hm."}, id="m2"), RESULT)
    assert (reader.session_id, reader.version, reader.started, reader.finished) == (
        "s",
        "2.1.330",
        True,
        True,
    )
    assert reader.outcome == Outcome("done", "did it")
    assert (reader.turns, reader.tool_uses, reader.total_cost, reader.is_error) == (4, 1, 0.5, False)
    assert reader.text == ""


def test_the_final_result_is_the_one_without_turns_waiting() -> None:
    reader = StreamReader()
    assert not reader.feed(json.dumps(INIT).encode())
    assert not reader.feed(json.dumps({**RESULT, "queued_turn_count": 1}).encode())
    assert not reader.finished
    assert reader.feed(json.dumps({**RESULT, "queued_turn_count": 0}).encode())


def test_a_result_that_does_not_deny_an_error_is_one() -> None:
    assert fed({"type": "result", "subtype": "success"}).is_error


def test_cost_since_the_last_result_adds_up_over_results() -> None:
    usage = {"model_usage_since_last_result": {"a": {"costUSD": 0.25}, "b": {"costUSD": 0.5}}}
    assert fed({**RESULT, **usage}).since_last == 0.75
    assert fed({**RESULT, **usage}, {**RESULT, **usage}).since_last == 1.5
    assert fed(RESULT).since_last is None


def test_progress_names_the_tool_and_what_it_works_on() -> None:
    reader = fed(INIT, assistant(tool("Write", content="x" * 500, file_path="/repo/src/a.py")))
    assert reader.progress is not None
    assert reader.progress.text == "Write src/a.py"
    assert reader.progress.turns == 1
    reader.feed(json.dumps(assistant({"type": "text", "text": "\nI see.\nMore"}, id="m2")).encode())
    assert reader.progress.text == "I see."
    assert reader.progress.turns == 2


def test_messages_are_priced_as_they_come() -> None:
    assert fed(INIT).estimate is None
    block = {"type": "text", "text": "x" * 3500}
    reader = fed(INIT, assistant(block), assistant(block))
    assert reader.estimate == pytest.approx((1000 * 2 + 1000 * 10) / 1e6, rel=0.02)


def test_errors_of_the_service() -> None:
    retry = {"type": "system", "subtype": "api_retry", "error_status": 529, "error": "overloaded"}
    reader = fed(INIT, retry)
    assert (reader.api_error, reader.api_error_status) == ("overloaded", 529)
    reader.feed(json.dumps(assistant()).encode())
    assert (reader.api_error, reader.api_error_status) == ("", None)
    failed = {"type": "result", "is_error": True, "api_error_status": None, "terminal_reason": "api_error"}
    refused = assistant({"type": "text", "text": "Not logged in"}, error="authentication_failed")
    assert fed(refused, failed).api_error == "authentication_failed"
    dropped = {**failed, "api_error": "connection_failed"}
    assert fed(assistant(error="server_error"), dropped).api_error == "connection_failed"


def test_usage_limits() -> None:
    def event(**info: Any) -> dict[str, Any]:
        return {"type": "rate_limit_event", "rate_limit_info": info}

    rejected = event(status="rejected", resetsAt=1795417174, rateLimitType="five_hour", isUsingOverage=False)
    reader = fed(rejected)
    assert (reader.limit_kind, reader.resets_at) == ("five_hour", 1795417174.0)
    assert fed(rejected, event(status="allowed")).limit_kind == ""
    assert fed(event(status="rejected", isUsingOverage=True)).limit_kind == ""
    assert fed(event(status="rejected", resetsAt=1795417174000)).resets_at == 1795417174.0
    assert fed(event(status="rejected", resetsAt=-1)).resets_at is None


def test_denials_are_counted_once() -> None:
    event = {"type": "system", "subtype": "permission_denied", "tool_use_id": "t1", "tool_name": "Bash"}
    denied = {"tool_use_id": "t1", "tool_name": "Bash", "tool_input": {"command": "python3  -c 1"}}
    env = {"tool_use_id": "t2", "tool_name": "Read", "tool_input": {"file_path": "/repo/.env"}}
    reader = fed(
        {**event, "message": "This command requires approval"},
        {**RESULT, "permission_denials": [denied, env]},
    )
    assert list(reader.denials.values()) == [
        Denial("Bash", "python3 -c 1"),
        Denial("Read", ".env", by_policy=True),
    ]


def test_an_outcome_that_breaks_the_schema_is_none() -> None:
    reader = fed({**RESULT, "structured_output": {"status": "perfect", "summary": "x"}})
    assert reader.outcome is None
    assert "perfect" in reader.errors[0]


def test_short_argument() -> None:
    assert short_argument({"description": "d", "command": "ls\n -l"}) == "ls -l"
    assert short_argument({"prompt": "find it"}) == "find it"
    assert short_argument({"n": 1}) == ""
    assert len(short_argument({"command": "x" * 1000})) == 160


NAMES = st.sampled_from(
    [
        "type",
        "subtype",
        "message",
        "content",
        "id",
        "usage",
        "input",
        "error",
        "error_status",
        "rate_limit_info",
        "status",
        "resetsAt",
        "result",
        "errors",
        "permission_denials",
        "tool_input",
        "structured_output",
        "num_turns",
        "total_cost_usd",
        "model_usage_since_last_result",
        "queued_turn_count",
        "session_id",
        "input_tokens",
        "costUSD",
        "name",
        "text",
        "summary",
        "findings",
    ]
)
WORDS = st.sampled_from(
    [
        "system",
        "init",
        "assistant",
        "user",
        "result",
        "rate_limit_event",
        "api_retry",
        "permission_denied",
        "tool_use",
        "text",
        "rejected",
        "done",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | WORDS
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=25,
)


@given(
    st.lists(
        st.builds(lambda kind, rest: {**rest, "type": kind}, WORDS, st.dictionaries(NAMES, VALUES)),
        max_size=6,
    )
)
def test_any_shape_is_survived(events: list[dict[str, Any]]) -> None:
    reader = fed(*events)
    assert reader.text is not None
    assert reader.total_cost is None or reader.total_cost >= 0
    assert reader.estimate is None or reader.estimate >= 0
    assert isinstance(reader.is_error, bool)
    assert reader.tokens is None or reader.tokens.output >= 0


@pytest.mark.fault("result-broken")
@pytest.mark.parametrize(
    ("broken", "read"),
    [
        (b"\\ud83d", "?"),
        (b"\\udc00\\ud83d", "??"),
        (b"\xff", "\ufffd"),
        (b"\xed\xa0\xbd", "\ufffd" * 3),
        (b"\x1b", "\x1b"),
    ],
    ids=["half an emoji", "its halves exchanged", "no UTF-8", "a surrogate as UTF-8", "a raw control"],
)
def test_a_result_with_broken_characters_is_still_the_result(broken: bytes, read: str) -> None:
    reader = StreamReader()
    line = json.dumps(RESULT).replace("did it", "did BROKEN").encode().replace(b"BROKEN", broken)
    assert reader.feed(line)
    assert reader.outcome == Outcome("done", f"did {read}")
    assert (reader.is_error, reader.total_cost, reader.strange_lines) == (False, 0.5, 0)


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(line: bytes) -> None:
    reader = StreamReader()
    assert not reader.feed(line)


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"type":' * 50_000,
        b'{"type":"result","total_cost_usd":1e999}',
        b'{"type":"assistant","message":{"content":"text"}}',
        b"\xff\xfe",
        b"null",
        b'"result"',
        b'{"type":"result","total_cost_usd":' + b"9" * 5000 + b"}",
        b'{"type":"result","total_cost_usd":NaN,"result":"\\ud800"}',
        b'{"type":"result","result":"\\ud800",' + b'"a":[' * 50_000,
        b'{"type":"assistant","message":{"content":[{"type":"text","text":"\\ud800"}]}}',
        b'{"type":"assistant","message":{"content":[{"type":"tool_use","input":{"command":"\\ud800"}}]}}',
    ],
)
def test_hostile_lines(line: bytes) -> None:
    reader = StreamReader()
    reader.feed(line)
    assert reader.total_cost is None
