"""What is accepted as the board's word, and what is not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpm_tools.board.answers import decode, rows
from hpm_tools.board.client import Board
from hpm_tools.board.errors import BadAnswer
from hpm_tools.board.models import Agent, BoardHealth, Registration, Task, board_role, moment, polled_roles
from hpm_tools.board.transport import Answer
from hpm_tools.errors import BadData
from tests.support.fault_server import KEEP, FaultServer, answer

TASK: dict[str, Any] = {
    "id": 1,
    "feature_id": 1,
    "epic_id": 1,
    "title": "Add a greeting",
    "description": "Write hello.txt",
    "created_by": "pm1",
    "target_role": "backend_dev",
    "difficulty": "junior",
    "complexity": "minor",
    "branch": "main",
    "status": "created",
    "locked_by": None,
    "locked_at": None,
    "notes": None,
    "created_at": "2026-11-22T10:58:53.088328",
    "updated_at": "2026-11-22T10:58:53",
    "task_type": "regular",
    "poll_interval": None,
}


def reply(body: bytes, content_type: str = "application/json") -> Answer:
    return Answer(200, {"Content-Type": content_type}, body, 0.0, "GET http://localhost/api/v1/tasks")


def legible(data: bytes | str) -> str:
    return data if isinstance(data, str) else data.decode("utf-8", "replace")


def test_a_task_goes_through_json_unchanged() -> None:
    task = Task.parse(TASK)
    assert task.to_json() == {k: v for k, v in TASK.items() if k not in ("task_type", "poll_interval")}
    assert Task.parse(task.to_json()) == task


def test_skill_level_is_accepted_for_difficulty() -> None:
    fields = {k: v for k, v in TASK.items() if k != "difficulty"} | {"skill_level": "senior"}
    assert Task.parse(fields).difficulty == "senior"
    assert Task.parse(TASK | {"skill_level": "senior"}).difficulty == "junior"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "1"),
        ("id", 0),
        ("id", -1),
        ("id", 2**63),
        ("id", True),
        ("id", 1.5),
        ("title", None),
        ("title", 7),
        ("description", ["a"]),
        ("status", "completed"),
        ("status", None),
        ("target_role", "fullstack_dev"),
        ("difficulty", "staff"),
        ("complexity", ""),
        ("created_at", None),
        ("created_at", "yesterday"),
        ("created_at", "2026-11-22 10:58:53"),
        ("created_at", "2026-11-22T10:58:53\n"),
        ("created_at", "2026-11-22T10:58:53/../../x"),
        ("created_at", 1_700_000_000),
        ("locked_by", 5),
        ("locked_at", ""),
        ("notes", {}),
    ],
)
def test_a_wrong_value_makes_the_task_invalid(field: str, value: object) -> None:
    with pytest.raises(BadData, match="not a task of the board"):
        Task.parse(TASK | {field: value})


@pytest.mark.parametrize("field", ["id", "title", "status", "created_at", "target_role", "difficulty"])
def test_a_missing_field_makes_the_task_invalid(field: str) -> None:
    with pytest.raises(BadData, match=field):
        Task.parse({k: v for k, v in TASK.items() if k != field})


def test_texts_are_taken_verbatim() -> None:
    title = "\x1b[31mred\x00\u202e" + "x" * 2_000_000
    assert Task.parse(TASK | {"title": title}).title == title


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html><title>Welcome</title></html>", "no JSON but"),
        (b"", "no JSON but"),
        (b"{", "no JSON but"),
        (b'{"id": NaN}', "no JSON but"),
        (b"\xff\xfe", "no JSON but"),
        (b'{"odd": ' + b"[" * 200_000, "no JSON but"),
        (b'"a string"', "not what a board answers"),
        (b"null", "not what a board answers"),
        (b"[]", "not what a board answers"),
        (b'{"id": "1"}', "not what a board answers"),
    ],
)
def test_what_is_no_task_is_a_bad_answer(body: bytes, words: str) -> None:
    with pytest.raises(BadAnswer, match=words) as caught:
        decode(reply(body), Task, legible)
    assert "http://localhost/api/v1/tasks" in caught.value.message


@pytest.mark.fault("answers-wrong")
@given(st.binary(max_size=200) | st.from_regex(r"\[?\{[\w\":, \[\]\\]*\}\]?", fullmatch=True).map(str.encode))
def test_hostile_bodies_raise_nothing_but_bad_answer(body: bytes) -> None:
    bad: list[object] = []
    for type_ in (Task, Agent, BoardHealth):
        try:
            decode(reply(body), type_, legible)
            rows(reply(body), type_, legible, lambda *problem: bad.append(problem))
        except BadAnswer:
            pass


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(TASK)), json_values, max_size=4))
def test_a_task_with_any_values_is_either_valid_or_left_out(changes: dict[str, Any]) -> None:
    body = msgspec.json.encode([TASK, TASK | {"id": 2} | changes])
    bad: list[tuple[int | None, str]] = []
    good = rows(reply(body), Task, legible, lambda id_, why: bad.append((id_, why)))
    assert len(good) + len(bad) == 2
    assert good[0].id == 1


@pytest.mark.fault("answers-wrong")
def test_an_invalid_row_is_left_out_with_one_warning() -> None:
    listed = [TASK, TASK | {"id": 2, "status": "frozen"}, {"id": 3}, "what", TASK | {"id": 4}]
    with FaultServer(lambda _request: [answer(listed), KEEP]) as server:
        warnings: list[str] = []
        board = Board(server.url, "key", on_warning=warnings.append)
        assert [task.id for task in board.tasks()] == [1, 4]
        assert len(warnings) == 3
        assert "left out the row with id 2" in warnings[0]
        assert "frozen" in warnings[0]
        board.tasks()
        assert len(warnings) == 3
        assert board.find_task(4) is not None
        assert board.find_task(9) is None
        with pytest.raises(BadAnswer, match="row with id 2 is invalid"):
            board.find_task(2)
        board.close()


def test_a_garbled_answer_is_asked_for_again_before_it_counts() -> None:
    pages = [answer("<html>"), answer(b'[{"id": 1}', length=10), answer([TASK])]

    with FaultServer(lambda request: [pages[request.number - 1], KEEP]) as server:
        board = Board(server.url, "key")
        assert [task.id for task in board.tasks()] == [1]
        board.close()


def test_times_of_the_board() -> None:
    assert moment("2026-11-22T10:58:53") == datetime(2026, 11, 22, 10, 58, 53, tzinfo=UTC)
    assert moment("2026-11-22T10:58:53.5") == moment("2026-11-22T11:58:53.500000+01:00")
    for text in ("", "now", "2026-13-01T00:00:00", "2026-11-22T25:00:00"):
        with pytest.raises(BadData):
            moment(text)


def test_health_flags_must_be_booleans() -> None:
    health = decode(reply(b'{"status": "degraded", "unknown": 1}'), BoardHealth, legible)
    assert (health.status, health.exact_lock, health.cheap_wait) == ("degraded", False, False)
    with pytest.raises(BadAnswer):
        decode(reply(b'{"status": "healthy", "exact_lock": "yes"}'), BoardHealth, legible)


def test_a_board_without_usable_health_advertises_nothing() -> None:
    with FaultServer(lambda _request: [answer({"hello": "world"}), KEEP]) as server:
        board = Board(server.url, "key")
        assert not board.advertises().exact_lock
        seen = len(server.requests)
        assert not board.advertises().cheap_wait
        assert len(server.requests) == seen
        board.close()


def test_fullstack_is_two_roles_of_the_board() -> None:
    assert board_role("fullstack_dev") == "backend_dev"
    assert polled_roles("fullstack_dev") == ("backend_dev", "frontend_dev")
    assert (board_role("qa"), polled_roles("qa")) == ("qa", ("qa",))


def test_a_registration_says_how_it_differs() -> None:
    agent = Agent(id=1, agent_id="dev", role="qa", level="junior", last_seen="2026-11-22T10:58:53")
    assert Registration(agent=agent, asked_role="qa", asked_level="junior").differs == ""
    differs = Registration(agent=agent, asked_role="qa", asked_level="senior").differs
    assert differs == "the board keeps agent dev as junior qa, not as senior qa"
