"""What follows from a verdict: the table of docs/design.md, Verdicts, as data and one function."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from hpm_tools.executor.verdict import FATAL, RETRYABLE, TRANSIENT, Verdict, VerdictKind

if TYPE_CHECKING:
    from collections.abc import Mapping

MAKER_DONE = "dev_done"
CHECKER_DONE = "qa_done"
REOPENED = "created"
PARKED = "pending"

REJECTIONS_UNTIL_PARKED = 3
FIRST_BACK_OFF = 10.0
LONGEST_BACK_OFF = 300.0
LONGEST_LET_PASS = 3000.0
PAUSES_LET_PASS = 60
MOST_DOUBLINGS = 12


class Action(StrEnum):
    """What the runner does with a task after an agent run."""

    REPORT = "report"
    PARK = "park"
    AGAIN = "again"
    WAIT = "wait"
    GIVE_BACK = "give_back"
    GIVE_BACK_AND_STOP = "give_back_and_stop"
    HAND_OVER = "hand_over"


@dataclass(frozen=True, slots=True)
class Decision:
    """``status`` is for REPORT; ``pause`` (seconds) for WAIT; ``costs_attempt`` for AGAIN;
    ``unfit`` for GIVE_BACK: the machine's fault, which must pass health_check first."""

    action: Action
    reason: str
    status: str = ""
    pause: float = 0.0
    costs_attempt: bool = False
    unfit: bool = False


@dataclass(frozen=True, slots=True)
class Course:
    """How the task has gone so far: what a decision depends on beside the verdict.

    ``begun``: an agent was at work in this take.
    ``begins_nothing``: for the task before this one, too, the agent's program did not begin to work.
    """

    role: str
    attempts: int
    max_attempts: int
    seconds: float
    max_seconds: float
    progressed: bool
    rejections: int
    outages: int
    retry_pause: float = FIRST_BACK_OFF
    keeps_for_next_day: bool = False
    begun: bool = True
    begins_nothing: bool = False


PARKED_BECAUSE: Mapping[VerdictKind, str] = {
    VerdictKind.BLOCKED: "the agent is blocked",
    VerdictKind.FAILED: "the agent says it failed",
    VerdictKind.DENIED: "a tool that it needed was denied",
    VerdictKind.NOTHING_DONE: "no changes",
    VerdictKind.MISPLACED: "the branch is unchanged",
    VerdictKind.BUDGET: "its budget is used up",
    VerdictKind.DAY_BUDGET: "no agent may go on with it today",
}


def done_status(role: str) -> str:
    """The status that says 'done' for ``role``: qa's own, or the makers'."""
    return CHECKER_DONE if role == "qa" else MAKER_DONE


def decide(verdict: Verdict, course: Course) -> Decision:
    """What to do after ``verdict``, given the task's ``course`` (docs/design.md, Verdicts)."""
    kind = verdict.kind
    if kind is VerdictKind.DONE:
        return Decision(Action.REPORT, verdict.summary, done_status(course.role))
    if kind is VerdictKind.REJECTED:
        if course.rejections + 1 >= REJECTIONS_UNTIL_PARKED:
            return Decision(Action.PARK, f"rejected {course.rejections + 1} times: {verdict.summary}")
        return Decision(Action.REPORT, verdict.summary, REOPENED)
    if kind is VerdictKind.STOPPED:
        return Decision(Action.HAND_OVER, verdict.summary)
    if kind in FATAL:
        return Decision(Action.GIVE_BACK_AND_STOP, verdict.summary)
    if kind in TRANSIENT:
        return Decision(Action.WAIT, verdict.summary, pause=back_off(course.outages, course.retry_pause))
    if kind in RETRYABLE:
        return _restart(verdict, course)
    if kind is VerdictKind.DAY_BUDGET and not course.begun and not course.keeps_for_next_day:
        # Parked for nothing that was done: a queue met by a spent budget would be parked task by task.
        return Decision(Action.GIVE_BACK, verdict.summary)
    if kind is VerdictKind.DAY_BUDGET and course.keeps_for_next_day:
        return Decision(Action.AGAIN, verdict.summary)
    return Decision(Action.PARK, f"{PARKED_BECAUSE[kind]}: {verdict.summary}")


def _restart(verdict: Verdict, course: Course) -> Decision:
    if course.begins_nothing and not verdict.began:
        reason = f"the agent's program begins no task on this machine: {verdict.summary}"
        return Decision(Action.GIVE_BACK, reason, unfit=True)
    if course.seconds >= course.max_seconds:
        return Decision(
            Action.PARK, f"the task's time is used up ({course.seconds:.0f} s): {verdict.summary}"
        )
    if verdict.kind is VerdictKind.TIMED_OUT and course.progressed:
        return Decision(Action.AGAIN, verdict.summary)
    if course.attempts >= course.max_attempts:
        return Decision(Action.PARK, f"{course.attempts} attempts are used up: {verdict.summary}")
    return Decision(Action.AGAIN, verdict.summary, costs_attempt=True)


def back_off(outages: int, first: float = FIRST_BACK_OFF, *, jitter: random.Random | None = None) -> float:
    """Seconds to pause after the ``outages``-th failure in a row: ``first`` doubling to 5 min, ± a quarter."""
    seconds = min(LONGEST_BACK_OFF, first * 2.0 ** min(outages, MOST_DOUBLINGS))
    return seconds * (jitter or random.Random()).uniform(0.75, 1.25)  # noqa: S311  # spreads load, hides nothing


def let_others_pass(times: int, first: float = FIRST_BACK_OFF) -> float:
    """Seconds for which a task is left to others on which the agent's program did not begin, ``times`` before.

    Longer than this machine's own pauses: if it was the task's fault after all, the next one must get its turn.
    """
    return min(LONGEST_LET_PASS, PAUSES_LET_PASS * first * (times + 1))
