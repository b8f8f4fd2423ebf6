"""Hints name the place that a value came from, and times are told as a clock on the wall shows them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools import local_time

if TYPE_CHECKING:
    from tests.support.runners import Desk

NOBODY_THERE = "http://127.0.0.1:9"
TASKS = ("pm.tasks", "--json")


def hint(desk: Desk, **more: Any) -> Any:
    return json.loads(desk.hpm(*TASKS, **more).stderr)["error"]["hint"]


def in_config(desk: Desk, setting: str) -> str:
    return f"{setting} in {desk.state}/config.yaml"


def test_an_address_in_the_configuration_is_looked_for_there(desk: Desk) -> None:
    desk.change(api_url=NOBODY_THERE)
    desk.more = {"HEADLESS_PM_API_URL": ""}
    checks = json.loads(desk.hpm("health", "--json").stdout)["checks"]
    (said,) = (check["hint"] for check in checks if check["name"] == "board")
    assert said == f"see whether the board runs and {in_config(desk, 'api_url')} is right"


def test_a_page_that_is_no_board_names_where_its_address_stands(desk: Desk) -> None:
    desk.change(api_url=f"{desk.board.url}/docs")
    assert in_config(desk, "api_url") in hint(desk, HEADLESS_PM_API_URL="")
    assert "HEADLESS_PM_API_URL" in hint(desk, HEADLESS_PM_API_URL=f"{desk.board.url}/docs")


@pytest.mark.parametrize("place", ["config.yaml", "HEADLESS_PM_API_KEY", "API_KEY", ".env"])
def test_a_refused_key_is_said_to_be_where_it_was_found(desk: Desk, place: str) -> None:
    desk.more = {"HEADLESS_PM_API_KEY": ""}
    named = place
    if place == "config.yaml":
        desk.change(api_key="another-key")
        named = in_config(desk, "api_key")
    elif place == ".env":
        (desk.repo / ".env").write_text("API_KEY=another-key\n", encoding="utf-8")
        named = f"API_KEY in {desk.repo}/.env"
    else:
        desk.more[place] = "another-key"
    assert hint(desk) == f"set {named} to the key of this board"


def test_times_of_the_board_are_told_without_their_fractions(desk: Desk) -> None:
    task = int(desk.board.add_task()["id"])
    desk.board.register("far_001")
    desk.board.lock(task, "far_001")
    desk.board.put(task, "far_001", "under_work")
    held = desk.hpm("retry", task).stderr
    desk.board.sql("UPDATE tasks SET locked_by = NULL, locked_at = NULL WHERE id = ?", task)
    said = held + desk.hpm("health").stdout
    assert re.search(r"held by far_001 since (\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\n", held)
    assert re.findall(r"\d\d:\d\d:\d\d\.\d+|\d T\d", said) == []


def test_a_time_is_told_with_its_day_unless_that_is_today() -> None:
    assert local_time.at("2026-01-02T03:04:05.678901") != "2026-01-02T03:04:05.678901"
    assert re.fullmatch(r"2026-01-0\d \d\d:\d\d:05", local_time.at("2026-01-02T03:04:05.678901"))
    assert local_time.at("2026-01-02T03:04:05+00:00") == local_time.at("2026-01-02T03:04:05")
    assert (local_time.at("soon"), local_time.at(None)) == ("soon", "an unknown time")
    assert re.fullmatch(r"1970-01-0[12] \d\d:\d\d", local_time.when(86400.0))
