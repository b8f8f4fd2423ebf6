"""The table of docs/design.md, Verdicts: what follows from each verdict."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from hpm_tools.executor.verdict import Verdict, VerdictKind
from hpm_tools.runner.policy import PARKED_BECAUSE, Action, Course, back_off, decide

K = VerdictKind
A = Action
COURSE = Course(
    role="backend_dev",
    attempts=1,
    max_attempts=3,
    seconds=10,
    max_seconds=7200,
    progressed=False,
    rejections=0,
    outages=0,
)


def course(**changes: Any) -> Course:
    return replace(COURSE, **changes)


@pytest.mark.parametrize(
    ("kind", "changes", "action", "status"),
    [
        (K.DONE, {}, A.REPORT, "dev_done"),
        (K.DONE, {"role": "architect"}, A.REPORT, "dev_done"),
        (K.DONE, {"role": "qa"}, A.REPORT, "qa_done"),
        (K.REJECTED, {"role": "qa"}, A.REPORT, "created"),
        (K.REJECTED, {"role": "qa", "rejections": 1}, A.REPORT, "created"),
        (K.REJECTED, {"role": "qa", "rejections": 2}, A.PARK, ""),
        (K.LIMIT, {"attempts": 9}, A.WAIT, ""),
        (K.OVERLOADED, {"attempts": 9}, A.WAIT, ""),
        (K.NETWORK, {"attempts": 9}, A.WAIT, ""),
        (K.CRASHED, {}, A.AGAIN, ""),
        (K.STALLED, {"attempts": 2}, A.AGAIN, ""),
        (K.CRASHED, {"attempts": 3}, A.PARK, ""),
        (K.TIMED_OUT, {"attempts": 3, "progressed": True}, A.AGAIN, ""),
        (K.TIMED_OUT, {"attempts": 3}, A.PARK, ""),
        (K.TIMED_OUT, {"progressed": True, "seconds": 7200}, A.PARK, ""),
        (K.STALLED, {"attempts": 3, "progressed": True}, A.PARK, ""),
        (K.CRASHED, {"attempts": 3, "begins_nothing": True}, A.PARK, ""),
        (K.BLOCKED, {}, A.PARK, ""),
        (K.FAILED, {}, A.PARK, ""),
        (K.DENIED, {}, A.PARK, ""),
        (K.NOTHING_DONE, {}, A.PARK, ""),
        (K.MISPLACED, {}, A.PARK, ""),
        (K.BUDGET, {}, A.PARK, ""),
        (K.DAY_BUDGET, {}, A.PARK, ""),
        (K.DAY_BUDGET, {"attempts": 9, "keeps_for_next_day": True}, A.AGAIN, ""),
        (K.DAY_BUDGET, {"begun": False}, A.GIVE_BACK, ""),
        (K.DAY_BUDGET, {"begun": False, "keeps_for_next_day": True}, A.AGAIN, ""),
        (K.BUDGET, {"keeps_for_next_day": True}, A.PARK, ""),
        (K.AUTH, {}, A.GIVE_BACK, ""),
        (K.MISCONFIGURED, {}, A.GIVE_BACK_AND_STOP, ""),
        (K.STOPPED, {}, A.HAND_OVER, ""),
    ],
)
def test_the_table(kind: VerdictKind, changes: dict[str, object], action: Action, status: str) -> None:
    decision = decide(Verdict(kind, "because"), course(**changes))
    assert (decision.action, decision.status) == (action, status)
    assert "because" in decision.reason


def test_every_kind_of_verdict_has_a_consequence() -> None:
    for kind in VerdictKind:
        assert decide(Verdict(kind, "x"), COURSE).action in Action
    assert set(PARKED_BECAUSE) == {
        *(K.BLOCKED, K.FAILED, K.DENIED, K.NOTHING_DONE, K.MISPLACED, K.BUDGET, K.DAY_BUDGET)
    }


def test_a_timeout_with_progress_costs_no_attempt_and_a_crash_does() -> None:
    assert not decide(Verdict(K.TIMED_OUT, "x"), course(progressed=True)).costs_attempt
    assert decide(Verdict(K.TIMED_OUT, "x"), COURSE).costs_attempt
    assert decide(Verdict(K.CRASHED, "x"), course(progressed=True)).costs_attempt


def test_back_off_grows_is_bounded_and_never_hot() -> None:
    jitter = random.Random(1)
    pauses = [back_off(outages, jitter=jitter) for outages in range(50)]
    assert all(7.5 <= pause <= 375 for pause in pauses)
    assert min(pauses[6:]) >= 225


@pytest.mark.parametrize("kind", [K.CRASHED, K.STALLED, K.TIMED_OUT])
@pytest.mark.parametrize("attempts", [1, 3])
def test_a_program_that_begins_no_task_is_not_the_tasks_fault(kind: VerdictKind, attempts: int) -> None:
    verdict = Verdict(kind, "it died", began=False)
    first = decide(verdict, course(attempts=attempts)).action
    assert first is (A.PARK if attempts == 3 else A.AGAIN)
    assert decide(verdict, course(attempts=attempts, begins_nothing=True)).action is A.GIVE_BACK


def refused(kind: VerdictKind = K.FAILED, **changes: Any) -> Verdict:
    return replace(Verdict(kind, "exit code 1: 401", fruitless=True), **changes)


@pytest.mark.parametrize(
    ("verdict", "changes", "action", "pauses"),
    [
        (refused(), {}, A.PARK, ""),
        (refused(), {"failed_before": 1}, A.PARK, ""),
        (refused(), {"failed_before": 2}, A.GIVE_BACK, "refused"),
        (refused(K.NOTHING_DONE), {"failed_before": 2}, A.GIVE_BACK, "refused"),
        (refused(K.CRASHED), {"failed_before": 2}, A.AGAIN, ""),
        (refused(K.CRASHED), {"failed_before": 2, "attempts": 3}, A.GIVE_BACK, "refused"),
        (refused(fruitless=False), {"failed_before": 2}, A.PARK, ""),
        (refused(K.BUDGET), {"failed_before": 2}, A.PARK, ""),
        (refused(), {"paused": "refused"}, A.GIVE_BACK, "refused"),
        (refused(K.CRASHED), {"paused": "no_outcome"}, A.GIVE_BACK, "no_outcome"),
        (refused(fruitless=False), {"paused": "refused"}, A.PARK, ""),
        (refused(K.STOPPED), {"paused": "refused"}, A.HAND_OVER, ""),
        (refused(K.CRASHED, began=False), {"begins_nothing": True}, A.GIVE_BACK, "nonstart"),
        (Verdict(K.NO_OUTCOME, "because"), {}, A.GIVE_BACK, "no_outcome"),
    ],
)
def test_what_looks_like_the_hosts_fault_gives_back_and_pauses(
    verdict: Verdict, changes: dict[str, object], action: Action, pauses: str
) -> None:
    decision = decide(verdict, course(**changes))
    assert (decision.action, decision.pauses) == (action, pauses)
