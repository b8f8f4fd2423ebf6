"""`health` where the place itself is at fault: a wrong setting, a directory that cannot be written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.runners import Desk


def checks(desk: Desk, **extra: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit code of `health` and its lines; none where it refused to look."""
    done = desk.hpm("health", "--json", within=600, **extra)
    answer = json.loads(done.stdout or "{}")
    return done.returncode, answer.get("checks", [])


def failing(lines: list[dict[str, Any]], name: str = "config") -> list[str]:
    return [line["text"] for line in lines if line["name"] == name and line["ok"] is False]


@pytest.mark.fault("E10")
def test_an_unknown_setting_is_a_failing_line_and_the_rest_is_checked(desk: Desk) -> None:
    desk.change(task_chek_interval=5)
    assert desk.hpm("pm.tasks").returncode == 78, "what works with the settings refuses"
    code, lines = checks(desk)
    named = ["task_chek_interval" in text and "task_check_interval" in text for text in failing(lines)]
    checked = {line["name"] for line in lines if line["ok"]} & {"board", "git", "repository", "disk"}
    assert (code, named, len(checked)) == (1, [True], 4)


@pytest.mark.fault("E10")
@pytest.mark.parametrize(
    "content",
    [
        '{"task_check_interval": "often", "claude": 5, "executor": "robot"}',
        "executor: [command\nhooks_dir: {",
        '{"api_ulr": "http://board.invalid"}',
    ],
    ids=["wrong types", "no YAML", "the address mistyped"],
)
def test_a_file_that_says_nothing_valid_is_shown_with_all_else(desk: Desk, content: str) -> None:
    (desk.state / "config.yaml").write_text(content, encoding="utf-8")
    code, lines = checks(desk)
    checked = {line["name"] for line in lines if line["ok"]} & {"board", "git", "repository", "disk"}
    assert (code, bool(failing(lines)), len(checked)) == (1, True, 4)


@pytest.mark.fault("E10")
def test_a_wrong_variable_is_a_failing_line_and_the_rest_is_checked(desk: Desk) -> None:
    code, lines = checks(desk, HEADLESS_PM_TASK_CHECK_INTERVAL="soon", HEADLESS_PM_EXECUTOR="robot")
    board = [line["ok"] for line in lines if line["name"] == "board"]
    assert (code, len(failing(lines)), board) == (1, 2, [True])


def test_the_key_goes_to_no_board_whose_address_is_in_doubt(desk: Desk) -> None:
    """The address was in a file that cannot be read: the default is another board than the key's."""
    (desk.state / "config.yaml").write_text("api_url: [", encoding="utf-8")
    code, lines = checks(desk, HEADLESS_PM_API_URL="")
    assert code == 1
    assert failing(lines, "board") == [
        "not asked: what is wrong in the configuration leaves no address that the key may go to"
    ]
