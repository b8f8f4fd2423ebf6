"""Worlds that did not hold once, as small as they can be; `./inv worlds` prints such tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.fixtures_worlds import Holds


def test_work_of_a_killed_runner_beside_uncommitted_changes(holds: Holds) -> None:
    """No fault was found here: this shows what such a test looks like."""
    holds(
        r"""
{
  "name": "a killed runner",
  "repository": [
    ["dirty", {}]
  ],
  "tasks": [
    {"runs": [{"acts": [["edit", {"path": "new.txt"}], ["meet", {"name": "1"}]]}]}
  ],
  "faults": [
    ["meet 1", ["kill_runner", {}], 0]
  ]
}
"""
    )


def test_a_submodule_that_an_agent_added_does_not_leave_the_checkout_dirty_untold(holds: Holds) -> None:
    """The task was parked and its files were salvaged, and they stayed in the checkout without a word."""
    holds(
        r"""
{
  "name": "a submodule added in the checkout",
  "tasks": [
    {"kind": "minor", "runs": [{"acts": [["edit", {"path": "deep/er/new.txt"}], ["add_submodule", {}]]}]}
  ]
}
"""
    )


def test_unlock_after_a_death_between_parking_and_its_comment_says_why_the_task_is_parked(
    holds: Holds,
) -> None:
    """The record went with the reason, and the task stayed pending without a word."""
    holds(
        r"""
{
  "name": "unlocked while it was parked",
  "tasks": [
    {"runs": [{"acts": [["edit", {"path": "new.txt"}]], "outcome": ["blocked", {}]}]}
  ],
  "person": [
    ["between", ["unlocks", {"number": 0, "force": false}], 0]
  ],
  "faults": [
    ["point park.told#1", ["kill_runner", {}], 0]
  ]
}
"""
    )
