"""Which events are told, in which words, and what of a task's text must not work at a service."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpm_tools import names
from hpm_tools.notify.notices import (
    LONGEST_LINE,
    MOST_LINES,
    ORDER,
    SEVERITY,
    WORDS,
    Notice,
    compose,
    kind_of,
    words_of,
)

LINKED = re.compile(r"://|[.\u3002\uff0e\uff61][^\W\d]|\d\.\d+\.\d|(mailto|tel):\S", re.IGNORECASE)
"""What some chat service or other makes a link of."""

EVENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "parked": ("parked", {"reason": "blocked"}),
    "prompt": ("prompt_opened", {}),
    "auth_failure": ("agent_ended", {"verdict": "auth"}),
    "limit_reached": ("limit_wait", {"until": 1.0}),
    "limit_over": ("limit_over", {}),
    "budget_reached": ("budget_reached", {}),
    "runner_stopped": ("stopped", {"exit_code": 143}),
    "health_failed": ("health_failed", {}),
    "pickup_paused": ("pickup_paused", {"tries": 0, "reason": "401"}),
}


def notice(kind: str = "parked", text: str = "task 7 parked: no database", agent: str = "dev_001") -> Notice:
    return Notice(kind, 1_764_081_000.0, agent, "build-1, localhost-6969", text)


def test_every_kind_has_its_event_its_words_and_its_weight() -> None:
    assert set(EVENTS) == set(names.NOTICES) == set(WORDS) == set(SEVERITY)
    assert {kind_of(event, data) for event, data in EVENTS.values()} == set(names.NOTICES)
    assert set(SEVERITY.values()) <= set(ORDER)


@pytest.mark.parametrize("event", ["task_taken", "reported", "notified", "health_restored", "ended"])
def test_other_events_are_not_told(event: str) -> None:
    assert kind_of(event, {}) is None
    assert kind_of("agent_ended", {"verdict": "done"}) is None
    assert kind_of("pickup_paused", {"tries": 1}) is None


def test_one_notice_is_a_message_of_its_own_and_several_are_counted() -> None:
    one = compose([notice()])
    assert one.title == "hpm dev_001: parked"
    assert "dev_001: task 7 parked: no database" in one.body
    assert one.body.endswith("— build-1, localhost-6969")
    many = compose([notice(), notice(agent="dev_002"), notice("health_failed", "no disk")], left_out=3)
    assert many.title == "hpm 2 agents: 2 x parked, 1 x health check failed"
    assert many.severity == "failure"
    assert "(3 earlier ones could not be sent)" in many.body


def test_a_long_night_is_one_bounded_message() -> None:
    many = compose([notice(text="x" * 10_000) for _ in range(300)])
    assert f"and {300 - MOST_LINES} more" in many.body
    assert len(many.body) < 12_000


@given(st.text(max_size=300))
def test_a_tasks_text_is_one_line_of_data(text: str) -> None:
    lines = compose([notice(text=text)]).body.splitlines()
    assert len(lines) == 2
    assert not set("@<>`*[]\x1b\u202e") & set(lines[0])


def test_mentions_links_and_markup_do_nothing() -> None:
    body = compose([notice(text="@everyone <!channel> <@U1> [free](http://x) `rm` **now**\nsecond")]).body
    assert "@" not in body
    assert "\uff20everyone \u2039!channel\u203a" in body
    assert "](" not in body


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example/x",
        "HTTP://EVIL.EXAMPLE",
        "see http://localhost:8080/x",
        "ftp://10.0.0.1/x",
        "evil.example/path?x=1",
        "(www.evil.example)",
        "xn--80ak6aa92e.com",
        "\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444",
        "evil\u3002example",
        "10.0.0.1:8080/x",
        "mailto:somebody",
        "tel:+4930123456",
        "https:\u200b//evil.\u200bexample",
        "evil.\x1b[0mexample",
        "https://[::1]/x",
    ],
)
def test_no_service_makes_a_link_of_an_address(text: str) -> None:
    body = compose([notice(text=text)]).body.splitlines()[0]
    assert not LINKED.search(body), body


@pytest.mark.parametrize("text", ["2.00 of 1.00 USD", "took 1.5 s.", "version 2.1", "why: no disk", "a: b."])
def test_figures_and_sentences_stay_as_they_are(text: str) -> None:
    assert compose([notice(text=text)]).body.splitlines()[0].endswith(f"dev_001: {text}")


def test_the_same_for_every_runner_is_the_same_text() -> None:
    for kind, texts in {
        "limit_over": ["task 7: the usage limit is over", "the usage limit is over"],
        "auth_failure": ["task 7: auth: refused", "task 8: auth: refused"],
    }.items():
        assert len({words_of(kind, text, {}) for text in texts}) == 1
    waits = [words_of("limit_reached", f"task {n}: holds until 12:00", {"until": 1e9}) for n in (1, 2)]
    assert waits[0] == waits[1]
    assert words_of("parked", "task 7 parked: why", {}) == "task 7 parked: why"


def test_a_parked_task_is_told_with_its_title() -> None:
    told = words_of("parked", "task 7 parked: a parked: car", {"title": "Add\x1b login\n" + "y" * 200})
    assert told.startswith("task 7 parked (Add")
    assert told.endswith("): a parked: car")
    assert len(told) < 130
    assert told.isprintable()


def test_notice_of_a_parked_task_ends_with_where_its_work_is_however_long_the_reason() -> None:
    where = "its work: 2 commits on feature/task-7"
    text = f"task 7 parked: {'why ' * 200}; {where}"
    told = words_of("parked", text, {"title": "Add login", "where": where})
    assert told.endswith(f"; {where}")
    assert len(told) <= LONGEST_LINE


def test_what_is_no_notice_is_left_out() -> None:
    good = notice()
    assert Notice.from_json(good.to_json()) == good
    wrong: list[object] = [
        None,
        [],
        {},
        {**good.to_json(), "kind": "nonsense"},
        {**good.to_json(), "at": "now"},
    ]
    for strange in wrong:
        assert Notice.from_json(strange) is None


def test_what_only_one_runner_can_know_is_always_news() -> None:
    assert notice("parked").key is None
    assert notice("runner_stopped").key is None
    assert notice("limit_reached").key == notice("limit_reached", agent="dev_002").key is not None
