"""What follows from a verdict: the table of docs/design.md, Verdicts, as data and one function."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from hpm_tools.executor.verdict import FATAL, PAUSING, RETRYABLE, TRANSIENT, Verdict, VerdictKind
from hpm_tools.state import pickup

if TYPE_CHECKING:
    from collections.abc import Mapping

MAKER_DONE = "dev_done"
CHECKER_DONE = "qa_done"
REOPENED = "created"

REJECTIONS_UNTIL_PARKED = 3
FIRST_BACK_OFF = 10.0
LONGEST_BACK_OFF = 300.0
LONGEST_LET_PASS = 3000.0
PAUSES_LET_PASS = 60
PAUSES_UNTIL_TRIAL = 30
PAUSES_UNTIL_PROBE = 6
SHORTEST_LOOK = 1.0
LONGEST_LOOK = 30.0
"""Seconds between two looks for a program that is not there."""
MOMENTARY = (pickup.AWAY, pickup.AUTH)
"""The kinds of pauses that say nothing about the task: once they are over it may be taken at once."""
MOST_DOUBLINGS = 12
FAILED_UNTIL_PAUSE = 3
SILENT = RETRYABLE | {VerdictKind.FAILED, VerdictKind.NOTHING_DONE}
"""What a service that refuses looks like, where no word of the agent and no change came of the run."""


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
    ``pauses`` for GIVE_BACK: not the task's fault but, by its kind (state/pickup.py), this host's, which takes
    no more for a while."""

    action: Action
    reason: str
    status: str = ""
    pause: float = 0.0
    costs_attempt: bool = False
    pauses: str = ""


@dataclass(frozen=True, slots=True)
class Course:
    """How the task has gone so far: what a decision depends on beside the verdict.

    ``begun``: an agent was at work in this take.
    ``begins_nothing``: for the task before this one, too, the agent's program did not begin to work.
    ``failed_before``: so many other tasks failed in silence just before this one; ``paused``: the kind of the
    pause that is on.
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
    failed_before: int = 0
    paused: str = ""


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
    if verdict.kind in PAUSING:
        return Decision(Action.GIVE_BACK, verdict.summary, pauses=pickup.NO_OUTCOME)
    decision = _by_kind(verdict, course)
    if decision.pauses or not (verdict.fruitless and verdict.kind in SILENT):
        return decision
    if course.paused:
        return Decision(
            Action.GIVE_BACK, f"it fails as others did before: {verdict.summary}", pauses=course.paused
        )
    third = decision.action is Action.PARK and course.failed_before >= FAILED_UNTIL_PAUSE - 1
    if third and verdict.began:
        reason = f"task after task fails, without a word of its agent and without a change: {verdict.summary}"
        return Decision(Action.GIVE_BACK, reason, pauses=pickup.REFUSED)
    return decision


def _by_kind(verdict: Verdict, course: Course) -> Decision:
    kind = verdict.kind
    if kind is VerdictKind.DONE:
        return Decision(Action.REPORT, verdict.summary, done_status(course.role))
    if kind is VerdictKind.REJECTED:
        if course.rejections + 1 >= REJECTIONS_UNTIL_PARKED:
            return Decision(Action.PARK, f"rejected {course.rejections + 1} times: {verdict.summary}")
        return Decision(Action.REPORT, verdict.summary, REOPENED)
    if kind is VerdictKind.STOPPED:
        return Decision(Action.HAND_OVER, verdict.summary)
    if verdict.away:
        return Decision(Action.GIVE_BACK, verdict.summary, pauses=pickup.AWAY)
    if kind is VerdictKind.AUTH:
        return Decision(Action.GIVE_BACK, verdict.summary, pauses=pickup.AUTH)
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
        return Decision(Action.GIVE_BACK, reason, pauses=pickup.NONSTART)
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


def trial_pauses(kind: str, first: float) -> tuple[float, float]:
    """Seconds before the first task is tried in a pause of ``kind``, and the most between two of them.

    A program that does not begin (being updated, for example) does so again within minutes, and each try is
    cheap; a service, a key or a setting takes a person. A program that is not there is looked for without a task,
    and a login that is refused may be one for a moment: 1, 2, 4 and then every 5 minutes.
    """
    return {
        pickup.NONSTART: (first, LONGEST_BACK_OFF),
        pickup.AWAY: (SHORTEST_LOOK, LONGEST_LOOK),
        pickup.AUTH: (PAUSES_UNTIL_PROBE * first, LONGEST_BACK_OFF),
    }.get(kind, (PAUSES_UNTIL_TRIAL * first, pickup.LONGEST))


def let_others_pass(times: int, first: float = FIRST_BACK_OFF) -> float:
    """Seconds for which a task is left to others on which the agent's program did not begin, ``times`` before.

    Longer than this machine's own pauses: if it was the task's fault after all, the next one must get its turn.
    """
    return min(LONGEST_LET_PASS, PAUSES_LET_PASS * first * (times + 1))
