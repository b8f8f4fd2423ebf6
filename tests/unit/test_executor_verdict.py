"""Every way a run can end, and what it is judged to be."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from hpm_tools import errors
from hpm_tools.errors import BadData, Misconfigured, Refused
from hpm_tools.executor.base import AgentRun, Denial, Outcome
from hpm_tools.executor.verdict import (
    EXIT_CODES,
    FATAL,
    PARKING,
    PAUSING,
    RETRYABLE,
    TRANSIENT,
    Verdict,
    VerdictKind,
    classify,
    from_error,
)
from hpm_tools.process.supervise import Ending

K = VerdictKind
E = Ending

DENIED = (Denial("Bash", "python3 -m pytest"),)
POLICY = (Denial("Bash", "./headless_pm_client.py next", by_policy=True),)


def run_of(**facts: Any) -> AgentRun:
    """A run that ended well, save for ``facts``."""
    well: dict[str, Any] = {
        "session_id": "s",
        "ending": E.EXITED,
        "returncode": 0,
        "started": True,
        "finished": True,
        "subtype": "success",
        "outcome": Outcome("done", "did it"),
    }
    return AgentRun(**{**well, **facts})


def unfinished(**facts: Any) -> AgentRun:
    return run_of(**{"finished": False, "subtype": "", "outcome": None, "returncode": 1, **facts})


def failed(**facts: Any) -> AgentRun:
    facts = {"is_error": True, "returncode": 1, "outcome": None, "terminal_reason": "api_error", **facts}
    return run_of(**facts)


def said(status: Any, summary: str = "because", **more: Any) -> Outcome:
    return Outcome(status, summary, **more)


UNCHANGED, CHANGED = False, True
MAKER, QA = "backend_dev", "qa"

TABLE: dict[str, tuple[AgentRun, bool, str, VerdictKind]] = {
    # a final result without error
    "done with a change": (run_of(), CHANGED, MAKER, K.DONE),
    "done without one": (run_of(), UNCHANGED, MAKER, K.NOTHING_DONE),
    "no change needed": (run_of(outcome=said("done", no_change=True)), UNCHANGED, MAKER, K.DONE),
    "no change, unexplained": (
        run_of(outcome=said("done", "", no_change=True)),
        UNCHANGED,
        MAKER,
        K.NOTHING_DONE,
    ),
    "no outcome": (run_of(outcome=None), CHANGED, MAKER, K.CRASHED),
    "blocked": (run_of(outcome=said("blocked")), CHANGED, MAKER, K.BLOCKED),
    "failed": (run_of(outcome=said("failed")), UNCHANGED, MAKER, K.FAILED),
    "maker rejects": (run_of(outcome=said("rejected")), UNCHANGED, MAKER, K.BLOCKED),
    "qa passes": (run_of(), UNCHANGED, QA, K.DONE),
    "qa rejects": (run_of(outcome=said("rejected")), UNCHANGED, QA, K.REJECTED),
    "qa blocked": (run_of(outcome=said("blocked")), UNCHANGED, QA, K.BLOCKED),
    # tools refused
    "denied, done, changed": (run_of(denials=DENIED), CHANGED, MAKER, K.DONE),
    "denied, done, unchanged": (run_of(denials=DENIED), UNCHANGED, MAKER, K.DENIED),
    "denied, no change needed": (
        run_of(denials=DENIED, outcome=said("done", no_change=True)),
        UNCHANGED,
        MAKER,
        K.DENIED,
    ),
    "denied, blocked": (run_of(denials=DENIED, outcome=said("blocked")), CHANGED, MAKER, K.DENIED),
    "denied, no outcome": (run_of(denials=DENIED, outcome=None), UNCHANGED, MAKER, K.DENIED),
    "denied, qa passes untested": (run_of(denials=DENIED), UNCHANGED, QA, K.DENIED),
    "denied, qa rejects": (run_of(denials=DENIED, outcome=said("rejected")), UNCHANGED, QA, K.REJECTED),
    "refused on purpose": (run_of(denials=POLICY, outcome=said("blocked")), UNCHANGED, MAKER, K.BLOCKED),
    "refused on purpose, qa": (run_of(denials=POLICY), UNCHANGED, QA, K.DONE),
    # a final result, and then
    "lingered": (run_of(ending=E.LINGERED, returncode=-15), CHANGED, MAKER, K.DONE),
    "time ran out after it": (run_of(ending=E.TIMED_OUT, returncode=-15), CHANGED, MAKER, K.DONE),
    "another exit code": (run_of(returncode=1), CHANGED, MAKER, K.CRASHED),
    "killed after it": (run_of(returncode=-9), CHANGED, MAKER, K.CRASHED),
    "stopped": (
        run_of(ending=E.STOPPED, returncode=-15, stop_reason="the lock was lost"),
        CHANGED,
        MAKER,
        K.STOPPED,
    ),
    # a final result that is an error
    "401": (failed(api_error_status=401, api_error="authentication_failed"), UNCHANGED, MAKER, K.AUTH),
    "403": (failed(api_error_status=403), UNCHANGED, MAKER, K.AUTH),
    "not logged in": (failed(api_error="authentication_failed"), UNCHANGED, MAKER, K.AUTH),
    "no credit": (failed(api_error_status=400, api_error="billing_error"), UNCHANGED, MAKER, K.AUTH),
    "no such model": (
        failed(api_error_status=404, api_error="model_not_found"),
        UNCHANGED,
        MAKER,
        K.MISCONFIGURED,
    ),
    "usage limit": (failed(api_error_status=429, limit_kind="five_hour"), UNCHANGED, MAKER, K.LIMIT),
    "usage limit, no event": (
        failed(api_error_status=429, api_error="usage_limit_reached"),
        UNCHANGED,
        MAKER,
        K.LIMIT,
    ),
    "usage limit, changed": (failed(api_error_status=429, limit_kind="seven_day"), CHANGED, MAKER, K.LIMIT),
    "429": (failed(api_error_status=429, api_error="rate_limit"), UNCHANGED, MAKER, K.OVERLOADED),
    "529": (failed(api_error_status=529, api_error="server_error"), UNCHANGED, MAKER, K.OVERLOADED),
    "500": (failed(api_error_status=500, api_error="server_error"), UNCHANGED, MAKER, K.OVERLOADED),
    "unreachable": (failed(api_error="connection_failed"), UNCHANGED, MAKER, K.NETWORK),
    "unreachable, earlier CLI": (failed(), UNCHANGED, MAKER, K.NETWORK),
    "unreachable, server_error": (failed(api_error="server_error"), UNCHANGED, MAKER, K.NETWORK),
    "400": (failed(api_error_status=400, api_error="unknown"), UNCHANGED, MAKER, K.CRASHED),
    "budget": (failed(subtype="error_max_budget_usd", terminal_reason=""), CHANGED, MAKER, K.BUDGET),
    "turns": (failed(subtype="error_max_turns", terminal_reason="max_turns"), CHANGED, MAKER, K.BUDGET),
    "broke off": (failed(subtype="error_during_execution", terminal_reason=""), CHANGED, MAKER, K.CRASHED),
    "invalid outcomes": (
        failed(subtype="error_max_structured_output_retries", terminal_reason=""),
        CHANGED,
        MAKER,
        K.CRASHED,
    ),
    "unknown subtype": (failed(subtype="error_of_tomorrow", terminal_reason=""), CHANGED, MAKER, K.CRASHED),
    "error with a change and rc 0": (failed(returncode=0, terminal_reason=""), CHANGED, MAKER, K.CRASHED),
    # no result at all
    "SIGTERM": (unfinished(returncode=143), CHANGED, MAKER, K.CRASHED),
    "SIGKILL": (unfinished(returncode=-9), CHANGED, MAKER, K.CRASHED),
    "rc 0 and no result": (unfinished(returncode=0), CHANGED, MAKER, K.CRASHED),
    "unendable": (unfinished(returncode=None), CHANGED, MAKER, K.CRASHED),
    "no sign of life": (
        unfinished(ending=E.NO_START, returncode=-15, started=False),
        UNCHANGED,
        MAKER,
        K.STALLED,
    ),
    "silent": (unfinished(ending=E.STALLED, returncode=-15), CHANGED, MAKER, K.STALLED),
    "out of time": (unfinished(ending=E.TIMED_OUT, returncode=-15), CHANGED, MAKER, K.TIMED_OUT),
    "out of time while overloaded": (
        unfinished(ending=E.TIMED_OUT, api_error="overloaded", api_error_status=529),
        UNCHANGED,
        MAKER,
        K.OVERLOADED,
    ),
    "silent while refused": (unfinished(ending=E.STALLED, api_error_status=401), UNCHANGED, MAKER, K.AUTH),
    "stopped early": (
        unfinished(ending=E.STOPPED, returncode=-15, stop_reason="SIGTERM"),
        UNCHANGED,
        MAKER,
        K.STOPPED,
    ),
    "bad flag": (
        unfinished(started=False, stderr_tail="error: unknown option"),
        UNCHANGED,
        MAKER,
        K.MISCONFIGURED,
    ),
    "not executable": (unfinished(started=False, returncode=126), UNCHANGED, MAKER, K.MISCONFIGURED),
    "segfault at start": (
        unfinished(started=False, returncode=139, stderr_tail="x"),
        UNCHANGED,
        MAKER,
        K.CRASHED,
    ),
}


@pytest.mark.parametrize(("run", "changed", "role", "kind"), TABLE.values(), ids=TABLE)
def test_verdict(run: AgentRun, changed: bool, role: str, kind: VerdictKind) -> None:
    verdict = classify(run, changed=changed, role=role)
    assert verdict.kind == kind
    assert verdict.summary
    assert verdict.exit_code == EXIT_CODES[kind]


@pytest.mark.fault("P2")
def test_only_a_clean_end_is_done() -> None:
    """No run with an error, without a result or without a statement is ever done, whatever else is true."""
    for name, (run, _changed, _role, _kind) in TABLE.items():
        for role in (MAKER, QA):
            if classify(run, changed=True, role=role).kind == K.DONE:
                assert run.finished, name
                assert not run.is_error, name
                assert run.outcome is not None, name
                assert run.outcome.status == "done", name


def test_every_kind_belongs_to_one_row_of_the_table() -> None:
    groups = (TRANSIENT, RETRYABLE, PARKING, FATAL, PAUSING, {K.DONE, K.REJECTED, K.STOPPED})
    assert sum(map(len, groups)) == len(VerdictKind)
    assert set().union(*groups) == set(VerdictKind) == set(EXIT_CODES)


def test_detail_holds_the_last_words_and_the_denials() -> None:
    run = failed(
        result_text="Credit balance is too low", stderr_tail="warning: x", denials=DENIED, errors=("e",)
    )
    verdict = classify(run, changed=False, role=MAKER)
    assert verdict.detail == "Credit balance is too low\ne\nwarning: x\nrefused: Bash: python3 -m pytest"
    assert verdict.denials == ("Bash: python3 -m pytest",)


def test_json_round_trip() -> None:
    verdict = Verdict(
        K.LIMIT, "limit", "detail", ("f",), ("d",), True, 17.5, "five_hour", 0.25, 1.5, "s", 3, 2.5
    )
    data = verdict.to_json()
    assert set(data) == {item.name for item in fields(Verdict)}
    assert Verdict.from_json({**data, "added later": 1}) == verdict
    assert Verdict.from_json({"kind": "done", "summary": ""}) == Verdict(K.DONE, "")


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"kind": "done"},
        {"kind": "perfect", "summary": "x"},
        {"kind": ["done"], "summary": "x"},
        {"kind": "done", "summary": 1},
        {"kind": "done", "summary": "x", "turns": True},
        {"kind": "done", "summary": "x", "turns": 1.5},
        {"kind": "done", "summary": "x", "findings": "one"},
        {"kind": "done", "summary": "x", "findings": [1]},
        {"kind": "done", "summary": "x", "cost_usd": "1"},
        {"kind": "done", "summary": "x", "session_cost_usd": None},
    ],
)
def test_what_is_no_verdict_is_refused(data: object) -> None:
    with pytest.raises(BadData):
        Verdict.from_json(data)


def test_an_agent_that_cannot_start() -> None:
    assert from_error(Misconfigured("no CLI", "install it")) == Verdict(
        K.MISCONFIGURED, "no CLI", "install it", began=False
    )
    assert from_error(Refused("no")).exit_code == errors.REFUSED
