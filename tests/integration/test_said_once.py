"""What is wrong is said once, and who it happened to as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.runners import Desk


def test_health_names_a_refused_key_once(desk: Desk) -> None:
    done = desk.hpm("health", HEADLESS_PM_API_KEY="wrong-key")
    assert done.returncode == 1
    assert done.stdout.count("the board refused the API key") == 1


def test_events_name_the_agent_once_in_a_line(desk: Desk) -> None:
    refused = desk.hpm("run", "--role", "qa", "--agent-id", "qa_001", HEADLESS_PM_API_KEY="wrong-key")
    assert refused.returncode == 77
    told = desk.hpm("events").stdout
    assert " qa_001 stopped: " in told
    assert "qa_001 qa_001" not in told
    (calls,) = (line for line in told.splitlines() if " board_calls " in line)
    assert "count=" in calls
    assert "within=[" not in calls  # a histogram, for --json


def test_health_says_what_is_odd_in_the_configuration_once(desk: Desk) -> None:
    done = desk.hpm("health", HEADLESS_PM_ROLL="qa")
    assert (done.stdout + done.stderr).count("HEADLESS_PM_ROLL is not a setting") == 1
