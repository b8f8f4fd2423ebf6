"""Records that no runner can go on from: they are set aside and made anew from the board, and no task stays locked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.executor.verdict import VerdictKind
from hpm_tools.runner.ending import EndingKind
from hpm_tools.runner.steps import STEPS
from hpm_tools.state import fields
from tests.integration.test_forged_records import RUN, forge, killed, row, seldom

if TYPE_CHECKING:
    from tests.support.runners import Desk


@pytest.mark.fault("B12")
@pytest.mark.parametrize(
    "damage",
    [
        {"step": "done"},
        {"ending": {"kind": "nothing", "reason": "", "status": ""}},
        seldom({"ending": {"kind": "reported", "reason": 5, "status": "dev_done"}}),
    ],
    ids=str,
)
def test_what_no_runner_can_go_on_from_is_worked_again(desk: Desk, damage: dict[str, Any]) -> None:
    """It ended every start with an unexpected error: the task stayed locked, and its agent took no other one."""
    task = killed(desk)
    forge(desk, **damage)
    done = desk.hpm(*RUN)
    assert row(desk, task) == ("dev_done", None), done.stdout + done.stderr


def test_a_record_may_say_what_runners_know() -> None:
    assert set(fields.STEPS) == {*STEPS, "working"}
    assert set(fields.ENDINGS) == set(EndingKind)
    assert set(fields.VERDICTS) == set(VerdictKind)
