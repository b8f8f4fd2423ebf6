"""The campaign's plan and its report: what is drawn, and that a reader learns what was not tried."""

from __future__ import annotations

from hpm_tools.failpoints import FAULTS
from tests.campaign.bench import Fault
from tests.campaign.cases import Case, Outcome
from tests.campaign.engine import drawn, full_plan
from tests.campaign.invariants import INVARIANTS
from tests.campaign.points import all_points
from tests.campaign.report import report, show

REACHED = {"maker major": [["git.before", "git.after", "git.before"]], "pm.add": [["board.before"]]}


def test_each_fault_at_each_point_is_drawn_before_any_comes_again() -> None:
    plan = full_plan(REACHED)
    assert len(plan) == 4 * len(FAULTS)
    pairs = 3 * len(FAULTS)
    first = [(case.fault.point, case.fault.kind) for case in drawn(plan, pairs, seed=1) if case.fault]
    assert len(set(first)) == pairs
    assert drawn(plan, 99, seed=1) == drawn(plan, 99, seed=1)
    assert sorted(map(str, drawn(plan, 99, seed=1))) == sorted(map(str, plan))


def test_the_report_says_what_was_tried_what_failed_and_what_never_happened() -> None:
    plan = full_plan(REACHED)
    good = Outcome(Case("pm.add", Fault("board.before", "kill"), "exact"), checked=list(INVARIANTS))
    bad = Outcome(Case("pm.add", Fault("board.before", "stall"), "upstream"), problems=["I4: twice"])
    facts = report([good, bad], plan, {"git.lost": "worktree/git.py:1"}, seed=5, seconds=2.0)
    assert set(facts["failpoints"]) == set(all_points())
    row = facts["failpoints"]["board.before"]
    assert (row["times"], row["kill"], row["stall"], row["raise"], row["failed"]) == (1, 1, 1, 0, 1)
    assert facts["failpoints"]["git.before"]["times"] == 2
    assert {row["checked"] for row in facts["invariants"].values()} == {1}, "the bad one was never judged"
    assert (facts["cases"], facts["failed"], facts["possible"]) == (2, 1, len(plan))
    page = show(facts)
    assert "FAILED: --scenario 'pm.add' --point board.before --fault stall on the upstream board" in page
    assert "NOT REACHED: git.lost (worktree/git.py:1)" in page
    assert page.splitlines()[-1].startswith(f"2 of {len(plan)} possible cases, 1 failed, ")
