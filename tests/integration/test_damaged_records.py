"""Records that no runner can go on from: they are set aside and made anew from the board, and no task stays locked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.executor.verdict import VerdictKind
from hpm_tools.runner.ending import EndingKind
from hpm_tools.runner.steps import STEPS
from hpm_tools.state import fields
from tests.integration.test_forged_records import RUN, forge, killed, row, seldom

if TYPE_CHECKING:
    from tests.support.runners import Desk


def seldom_pair(name: str, value: Any) -> Any:
    """A case of a test that has a cheaper or commoner one."""
    return pytest.param(name, value, marks=pytest.mark.extended)


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


def damage_record(desk: Desk, name: str, value: Any, part: str = "") -> None:
    """Write ``value`` over the field ``name`` of the record, or over a part of it."""
    path = desk.state / "locks" / "agent-dev_001.lock"
    record = json.loads(path.read_text(encoding="utf-8"))
    record[name] = {**record[name], part: value} if part else value
    path.write_text(json.dumps(record), encoding="utf-8")


@pytest.mark.fault("D1")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("role", "nobody"),
        ("agent_runs", "many"),
        seldom_pair("entries", {"worktree": {"": 5}}),
        seldom_pair("level", "x"),
        seldom_pair("step", "nonsense"),
        seldom_pair("tampering", 5),
        seldom_pair("ending", {"kind": "x"}),
        seldom_pair("schema", "1"),
        seldom_pair("base", "x"),
        seldom_pair("task_data", {}),
    ],
)
def test_field_with_a_wrong_value_costs_the_record_and_not_the_runner(
    desk: Desk, name: str, value: Any
) -> None:
    """With such a role the runner ended with 78, and other values ended each start with 70."""
    task = killed(desk)
    damage_record(desk, name, value)
    done = desk.hpm(*RUN)
    assert (done.returncode, row(desk, task)) == (0, ("dev_done", None)), done.stdout + done.stderr
    assert "it is kept as" in done.stderr


@pytest.mark.fault("D1")
@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("refs", {"HEAD": 5}),
        ("marks", {"HEAD": 5}),
        seldom_pair("prepared", {"README.md": 5}),
        seldom_pair("stash", [5]),
        seldom_pair("head", "x"),
    ],
)
def test_snapshot_with_a_wrong_value_costs_the_record_and_not_the_runner(
    desk: Desk, part: str, value: Any
) -> None:
    """Every start ended with 70 and the task stayed locked. Its work is there: nothing more is to be done, or it is parked."""
    task = killed(desk, "committing.before")
    damage_record(desk, "snapshot", value, part)
    done = desk.hpm(*RUN)
    assert "it is kept as" in done.stderr
    assert row(desk, task) in (("dev_done", None), ("pending", None)), done.stdout + done.stderr
    assert desk.record() is None


@pytest.mark.fault("D1")
@pytest.mark.parametrize(("name", "value"), [("role", "nobody"), seldom_pair("child", "x")])
def test_recover_rebuilds_a_record_with_a_wrong_value(desk: Desk, name: str, value: Any) -> None:
    agent = ("--agent-id", "dev_001")
    desk.board.register("dev_001")
    task = desk.board.add_task(complexity="major")["id"]
    assert desk.hpm("lock", *agent, "--task-id", task).returncode == 0
    damage_record(desk, name, value)
    done = desk.hpm("recover", *agent, "--json")
    assert (done.returncode, json.loads(done.stdout)["task_id"]) == (0, task), done.stderr
    assert list((desk.state / "locks").glob("*.corrupt-*"))


def test_a_record_may_say_what_runners_know() -> None:
    assert set(fields.STEPS) == {*STEPS, "working"}
    assert set(fields.ENDINGS) == set(EndingKind)
    assert set(fields.VERDICTS) == set(VerdictKind)
