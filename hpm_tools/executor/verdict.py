"""How a run ended, judged from everything but the exit code alone (docs/design.md, Verdicts).

An exit code of 0 accompanies denied tools, work not begun and runs that broke off inside a tool call;
"done" needs a final result without error, the agent's own statement and a change to show for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from hpm_tools import errors
from hpm_tools.errors import BadData, HpmError
from hpm_tools.process.supervise import Ending
from hpm_tools.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpm_tools.executor.base import AgentRun

QA = "qa"


class VerdictKind(StrEnum):
    """What the runner acts on."""

    DONE = "done"
    REJECTED = "rejected"
    LIMIT = "limit"
    OVERLOADED = "overloaded"
    NETWORK = "network"
    CRASHED = "crashed"
    STALLED = "stalled"
    TIMED_OUT = "timed_out"
    STOPPED = "stopped"
    BLOCKED = "blocked"
    FAILED = "failed"
    DENIED = "denied"
    NOTHING_DONE = "nothing_done"
    MISPLACED = "misplaced"
    BUDGET = "budget"
    DAY_BUDGET = "day_budget"
    AUTH = "auth"
    MISCONFIGURED = "misconfigured"
    NO_OUTCOME = "no_outcome"


K = VerdictKind

EXIT_CODES: dict[VerdictKind, int] = {
    K.DONE: errors.DONE,
    K.REJECTED: errors.FAILED,
    K.LIMIT: errors.TRY_LATER,
    K.OVERLOADED: errors.TRY_LATER,
    K.NETWORK: errors.TRY_LATER,
    K.CRASHED: errors.FAILED,
    K.STALLED: errors.TIMED_OUT,
    K.TIMED_OUT: errors.TIMED_OUT,
    K.STOPPED: errors.TRY_LATER,
    K.BLOCKED: errors.FAILED,
    K.FAILED: errors.FAILED,
    K.DENIED: errors.FAILED,
    K.NOTHING_DONE: errors.FAILED,
    K.MISPLACED: errors.FAILED,
    K.BUDGET: errors.FAILED,
    K.DAY_BUDGET: errors.TRY_LATER,
    K.AUTH: errors.REFUSED,
    K.MISCONFIGURED: errors.MISCONFIGURED,
    K.NO_OUTCOME: errors.MISCONFIGURED,
}

TRANSIENT = frozenset({K.LIMIT, K.OVERLOADED, K.NETWORK})
"""The service's fault: wait, then resume the same session; costs no attempt."""
RETRYABLE = frozenset({K.CRASHED, K.STALLED, K.TIMED_OUT})
"""Restart the same task at once, resuming its session and worktree; bounded by attempts."""
PARKING = frozenset({K.BLOCKED, K.FAILED, K.DENIED, K.NOTHING_DONE, K.MISPLACED, K.BUDGET, K.DAY_BUDGET})
"""A person has to look: park the task, keep the work on its branch."""
FATAL = frozenset({K.AUTH, K.MISCONFIGURED})
"""The next task would fare no better: give back and stop the runner."""
CLAIMS_DONE = frozenset({K.DONE, K.NOTHING_DONE})
"""The agent says that the task is done, whatever is to be found of it."""
PAUSING = frozenset({K.NO_OUTCOME})
"""The next task would fare no better, as far as is known: give back, and try a single one after a pause."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judged run. ``summary`` is one sentence for a person, ``detail`` what supports it.

    The texts may quote the agent: clean them before showing them on a terminal.
    ``resets_at`` is seconds since the epoch; ``cost_usd`` is this invocation's, None if unknown. ``began``: the
    agent did something, so that its task may be the cause of how it ended. ``fruitless``: neither an outcome of the
    agent's own nor a change came of the run, so that its service may be the cause. ``away``: the agent's program was not there.
    """

    kind: VerdictKind
    summary: str
    detail: str = ""
    findings: tuple[str, ...] = ()
    denials: tuple[str, ...] = ()
    no_change: bool = False
    resets_at: float | None = None
    limit_kind: str = ""
    cost_usd: float | None = None
    session_cost_usd: float = 0.0
    session_id: str = ""
    turns: int = 0
    seconds: float = 0.0
    began: bool = True
    fruitless: bool = False
    away: bool = False

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.kind]

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON types that `from_json` reads back."""
        data: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            **data,
            "kind": str(self.kind),
            "findings": list(self.findings),
            "denials": list(self.denials),
        }

    @classmethod
    def from_json(cls, data: object) -> Verdict:
        """Read what `to_json` wrote, ignoring unknown keys; raises BadData naming the wrong field."""
        if not isinstance(data, dict):
            raise BadData(f"a verdict is a JSON object, not {type(data).__name__}")
        kind, summary = data.get("kind"), data.get("summary")
        if kind not in tuple(VerdictKind) or not isinstance(summary, str):
            raise BadData(
                f"not a verdict: kind {kind!r}", f"kinds: {', '.join(VerdictKind)}; a summary is needed too"
            )
        known: dict[str, Any] = {"kind": VerdictKind(kind)}
        for name, (types, what) in _JSON_TYPES.items():
            if name not in data:
                continue
            value = data[name]
            wrong = not isinstance(value, types) or (isinstance(value, bool) and bool not in types)
            if wrong or (isinstance(value, float) and not math.isfinite(value)):
                raise BadData(f"a verdict's {name} is {what}, not {value!r}")
            known[name] = _texts(name, value) if isinstance(value, list) else value
        return cls(**known)


_TEXT = ((str,), "text")
_NUMBER = ((int, float), "a number")
_OPTIONAL_NUMBER = ((int, float, type(None)), "a number or null")
_LIST = ((list,), "a list of texts")
_JSON_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "summary": _TEXT,
    "detail": _TEXT,
    "findings": _LIST,
    "denials": _LIST,
    "no_change": ((bool,), "true or false"),
    "began": ((bool,), "true or false"),
    "fruitless": ((bool,), "true or false"),
    "away": ((bool,), "true or false"),
    "resets_at": _OPTIONAL_NUMBER,
    "limit_kind": _TEXT,
    "cost_usd": _OPTIONAL_NUMBER,
    "session_cost_usd": _NUMBER,
    "session_id": _TEXT,
    "turns": ((int,), "a whole number"),
    "seconds": _NUMBER,
}


def _texts(name: str, value: list[object]) -> tuple[str, ...]:
    texts = tuple(item for item in value if isinstance(item, str))
    if len(texts) != len(value):
        raise BadData(f"a verdict's {name} is a list of texts")
    return texts


def from_error(error: HpmError, *, away: bool = False) -> Verdict:
    """The verdict for an agent that could not be started at all; ``away``: there was no program to be started."""
    kinds = {errors.REFUSED: K.AUTH, errors.TRY_LATER: K.OVERLOADED, errors.TIMED_OUT: K.OVERLOADED}
    kind = kinds.get(error.exit_code, K.MISCONFIGURED)
    return Verdict(kind, error.message, error.hint, began=False, away=away)


def classify(run: AgentRun, *, changed: bool, role: str, misplaced: str = "") -> Verdict:
    """Judge ``run``; ``changed`` says whether the worktree differs from what the agent started with.

    ``misplaced``: where else its work was found, if it was.
    """
    kind, summary = _judge(run, changed=changed, qa=role == QA)
    if misplaced and not changed and kind in CLAIMS_DONE:
        kind, summary = K.MISPLACED, misplaced
    outcome = run.outcome
    return Verdict(
        kind,
        summary,
        detail=_detail(run),
        findings=outcome.findings if outcome else (),
        denials=tuple(str(denial) for denial in run.denials),
        # What qa changes nothing in was tested, and is somebody's work all the same.
        no_change=bool(outcome and outcome.no_change) and not changed and role != QA,
        began=run.began or changed,
        fruitless=not (changed or run.denials) and (outcome is None or run.concluded),
        resets_at=run.resets_at,
        limit_kind=run.limit_kind,
        cost_usd=run.cost_usd,
        session_cost_usd=run.session_cost_usd,
        session_id=run.session_id,
        turns=run.turns,
        seconds=run.seconds,
    )


Judgement = tuple[VerdictKind, str]


def _judge(run: AgentRun, *, changed: bool, qa: bool) -> Judgement:
    if run.ending == Ending.STOPPED:
        return K.STOPPED, f"stopped: {run.stop_reason or 'asked to'}"
    if not run.finished:
        return _unfinished(run)
    if run.is_error or run.subtype != "success":
        return _failed(run)
    says_done = run.outcome is None or run.outcome.status == "done"
    if run.ending == Ending.EXITED and run.returncode != 0 and says_done:
        return K.CRASHED, f"the agent's program ended with {_code(run.returncode)} after its result"
    return _finished(run, changed=changed, qa=qa)


def _finished(run: AgentRun, *, changed: bool, qa: bool) -> Judgement:
    """A final result without error: what the agent says, checked against what it did."""
    outcome = run.outcome
    denied = [denial for denial in run.denials if not denial.by_policy]
    summary = outcome.summary if outcome else ""
    if outcome is not None and outcome.status == "rejected":
        return (K.REJECTED if qa else K.BLOCKED), summary or "the agent rejected the task"
    if run.undecided:
        return K.NO_OUTCOME, UNDECIDED
    if denied and (outcome is None or outcome.status != "done" or not changed):
        return K.DENIED, f"the permissions refused {counted(len(denied), 'tool call')}: {_list(denied)}"
    if outcome is None:
        return K.CRASHED, "the agent ended without saying whether the task is done"
    if outcome.status == "blocked":
        return K.BLOCKED, summary or "the agent is blocked and does not say by what"
    if outcome.status == "failed":
        return K.FAILED, summary or "the agent failed and does not say why"
    if qa or changed:
        return K.DONE, summary or "done"
    if outcome.no_change and summary:
        return K.DONE, summary
    return K.NOTHING_DONE, 'the agent reported "done" but the branch is unchanged'


UNDECIDED = "the agent's program ended with 0 and gave no outcome; executor_exit_code_is_outcome says whether 0 means done"
SERVICE_FAULT: Judgement = (K.OVERLOADED, "the Claude service has a fault")
UNREACHABLE: Judgement = (K.NETWORK, "the Claude service cannot be reached")

BY_API_ERROR: dict[str, Judgement] = {
    "authentication_failed": (K.AUTH, "the Claude login or key was refused"),
    "oauth_org_not_allowed": (K.AUTH, "the Claude login's organisation was refused"),
    "billing_error": (K.AUTH, "the Claude account cannot be billed"),
    "model_not_found": (K.MISCONFIGURED, "the model does not exist or this account may not use it"),
    "usage_limit_reached": (K.LIMIT, "the account's usage limit is reached"),
    "overloaded": (K.OVERLOADED, "the Claude service is overloaded"),
    "rate_limit": (K.OVERLOADED, "the Claude service limits the rate of requests"),
    "connection_failed": UNREACHABLE,
}
"""The CLI's names of errors that say more than the status they came with."""
VAGUE_API_ERRORS = frozenset({"server_error", "unknown"})
BY_STATUS: dict[int, Judgement] = {
    401: BY_API_ERROR["authentication_failed"],
    402: BY_API_ERROR["billing_error"],
    403: BY_API_ERROR["authentication_failed"],
    404: BY_API_ERROR["model_not_found"],
    408: UNREACHABLE,
    429: BY_API_ERROR["rate_limit"],
    529: BY_API_ERROR["overloaded"],
}
BY_SUBTYPE: dict[str, Judgement] = {
    "error_max_budget_usd": (K.BUDGET, "the run's budget is used up"),
    "error_max_turns": (K.BUDGET, "the run's number of turns is used up"),
    "error_max_structured_output_retries": (K.CRASHED, "the agent gave no valid outcome"),
    "error_during_execution": (K.CRASHED, "the agent's program broke off"),
}


def _api_error(run: AgentRun) -> Judgement | None:
    """What the service did wrong, if it did; the status is missing where no answer came at all."""
    if run.limit_kind:
        return BY_API_ERROR["usage_limit_reached"]
    if run.api_error in BY_API_ERROR:
        return BY_API_ERROR[run.api_error]
    if run.api_error_status is not None:
        return BY_STATUS.get(run.api_error_status) or (SERVICE_FAULT if run.api_error_status >= 500 else None)
    return UNREACHABLE if run.api_error in VAGUE_API_ERRORS else None


def _failed(run: AgentRun) -> Judgement:
    """A final result that reports an error; its subtype may still read "success"."""
    if run.subtype in BY_SUBTYPE:
        return BY_SUBTYPE[run.subtype]
    service = _api_error(run)
    if service is None and run.api_error_status is None and run.terminal_reason == "api_error":
        service = UNREACHABLE
    return service or (K.CRASHED, "the agent's program reported an error")


def _unfinished(run: AgentRun) -> Judgement:
    """No final result: ended by us, by a signal, or by itself."""
    service = _api_error(run)
    if service is not None:
        return service
    if run.ending == Ending.NO_START:
        return K.STALLED, "the agent's program showed no sign of life after its start"
    if run.ending == Ending.STALLED:
        return K.STALLED, "the agent's program went silent"
    if run.ending in (Ending.TIMED_OUT, Ending.LINGERED):
        return K.TIMED_OUT, f"the time limit ended the run after {run.seconds:.0f} s"
    if run.returncode in (126, 127) or (
        not run.started and (run.returncode or 0) > 0 and not _signalled(run.returncode) and run.stderr_tail
    ):
        return K.MISCONFIGURED, "the agent's program refused to start"
    return K.CRASHED, f"the agent's program ended with {_code(run.returncode)} and no result"


def _signalled(returncode: int | None) -> bool:
    return returncode is not None and (returncode < 0 or returncode > errors.SIGNAL_BASE)


def _code(returncode: int | None) -> str:
    if returncode is None:
        return "no exit code"
    if _signalled(returncode):
        number = -returncode if returncode < 0 else returncode - errors.SIGNAL_BASE
        return f"signal {number}"
    return f"exit code {returncode}"


def _detail(run: AgentRun) -> str:
    """The agent's last words and the program's complaints, whichever exist."""
    parts = [run.result_text, *run.errors]
    if not run.finished or run.is_error:
        parts.append(run.stderr_tail)
    if run.denials:
        parts.append("refused: " + _list(run.denials))
    return "\n".join(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _list(items: Iterable[object]) -> str:
    texts = list(dict.fromkeys(str(item) for item in items))
    shown = "; ".join(text if len(text) <= 120 else text[:119] + "…" for text in texts[:5])
    return shown + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")
