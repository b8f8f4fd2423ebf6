"""Drive one recorded task through its steps to the end, whatever step it stands at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from hpm_tools import failpoints, trace
from hpm_tools.board import lease
from hpm_tools.board.errors import InUse
from hpm_tools.errors import Held, HpmError, Misconfigured, NotFound, Refused
from hpm_tools.runner import operator, places, policy, report_lines, taking, whereabouts, working
from hpm_tools.runner.ending import Ending, EndingKind, StepProblem, is_no_change
from hpm_tools.runner.held_up import is_ours, of_lost, vanished, way_back
from hpm_tools.runner.noted import TAMPERING
from hpm_tools.runner.patience import patiently, sit_out
from hpm_tools.runner.reports import seconds_since_taken
from hpm_tools.runner.steps import STEPS
from hpm_tools.runner.telling import timed
from hpm_tools.worktree.displaced import git_replaced, put_back
from hpm_tools.worktree.evidence import Snapshot
from hpm_tools.worktree.git import GitError
from hpm_tools.worktree.specials import Unsound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record

BEFORE_REPORT = (
    "locking",
    "pre_hook",
    "workspace",
    "starting",
    "working",
    "committing",
    "detaching",
    "reporting",
)
HELD = BEFORE_REPORT[1:]
BEFORE_END = BEFORE_REPORT[1:5]
"""Where a machine that cannot work is found out: the task goes back as it came."""
BEFORE_AGENT = HELD[:3]
TALKS_TO_BOARD = (*BEFORE_AGENT, "working", "reporting")
NEEDS_PLACE = ("starting", "working")
RETRY_PAUSE = 30.0
USES_REPOSITORY = ("workspace", "committing", "detaching", "cleaning")


@dataclass(frozen=True, slots=True)
class Finished:
    """One task's end, as `run` prints it. ``unfit``: this machine must pass health_check first.

    ``where``: what is left of a task that was lost, "" for others.
    """

    task_id: int
    title: str
    ending: Ending
    branch: str
    commit: str
    seconds: float
    unfit: bool = False
    no_change: bool = False
    where: str = ""

    @property
    def words(self) -> str:
        """How it ended, for people: "reported", "no change"…"""
        return report_lines.NO_CHANGE if self.no_change else str(self.ending.kind).replace("_", " ")


def summary(finished: Sequence[Finished]) -> str:
    """ "3 tasks: 1 reported, 1 no change, 1 parked"."""
    if not finished:
        return "no task was worked on"
    kinds = Counter(task.words for task in finished)
    noun = "task" if len(finished) == 1 else "tasks"
    return f"{len(finished)} {noun}: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def work_through(tools: Toolbox, record: Record) -> Finished:
    """Do every step that is left. Raises Interrupted on a signal, with the record kept for the next start."""
    unfit = False
    while True:
        record = _made_again(tools, record)
        step = record.step
        if step in HELD and step != "reporting":
            tools.begin_heartbeat(record)
        if record.in_place and step in HELD:
            record = places.hold_checkout(tools, record)
            step = record.step
        if step in BEFORE_AGENT:
            tools.stop.check()
        tools.ui.progress(f"task {record.task_id} · {step}")
        trace.tell(f"task {record.task_id}: {step}")
        failpoints.reach(f"{step}.before")
        try:
            if step == "working":
                with timed(tools, step, record):
                    record = _work_or_ask(tools, record)
                failpoints.reach("working.after")
                continue
            with timed(tools, step, record):
                record = patiently(tools, partial(STEPS[step], tools, record))
            failpoints.reach(f"{step}.after")
        except StepProblem as problem:
            unfit = problem.unfit
            record = _on_problem(tools, record, problem)
            continue
        except (lease.LockLost, lease.TaskMoved, NotFound) as error:
            if step not in TALKS_TO_BOARD:
                raise
            record = _lost(tools, record, error.message)
            continue
        except InUse as error:
            record = _left_to_twin(tools, error.message)
            continue
        except Held as error:
            if step not in USES_REPOSITORY:
                raise
            sit_out(tools, error, policy.back_off(0, tools.config.retry_pause))
            continue
        except (Unsound, GitError) as error:
            if step not in BEFORE_END or "No space left" in error.message:
                raise
            record = end_with(tools, _unsound(record, error))
            continue
        except (Misconfigured, Refused) as error:
            if step not in BEFORE_END:
                raise
            record = end_with(tools, Ending(EndingKind.GIVEN_BACK, _told(error), exit_code=error.exit_code))
            continue
        if step == "unlocking":
            return _finished(tools, record, unfit=unfit)


def _made_again(tools: Toolbox, record: Record) -> Record:
    """Have a worktree made again that somebody removed before its task was over."""
    why = vanished(record) if record.step in NEEDS_PLACE and working.undecided(record) is None else None
    if why is None:
        return record
    snapshot = Snapshot.from_json(record.snapshot) if record.snapshot else None
    if snapshot is not None and git_replaced(snapshot) is not None:
        return record  # the step itself says so; no place is made in another repository
    back = put_back(snapshot) if snapshot is not None else None
    if back is not None:
        return TAMPERING.note(tools, record, [back])
    if not is_ours(tools, record):
        reason = f"{why}; to make it again: {way_back(tools, record)}"
        return end_with(tools, Ending(EndingKind.GIVEN_BACK, reason))
    tools.ui.warn(f"{why}; it is made again from there, without what was not committed")
    return tools.persistence.update(
        step="workspace", checkout=None, snapshot=None, entries=None, verdict=None
    )


def _lost(tools: Toolbox, record: Record, reason: str) -> Record:
    """Go on with a task whose lock had merely expired and is ours again; let go of any other."""
    twin = tools.heartbeat.twin if tools.heartbeat is not None else None
    if twin is not None:
        return _left_to_twin(tools, twin)
    again = taking.regain_or_none(tools, record, reason)
    if again is not None:
        return again
    return end_with(tools, Ending(EndingKind.LOST, reason))


def _left_to_twin(tools: Toolbox, reason: str) -> Record:
    """Let go without taking the lock again: the other one may be at work on this very task."""
    tools.end_heartbeat()
    return end_with(tools, Ending(EndingKind.LOST, reason, exit_code=InUse.exit_code))


def _unsound(record: Record, error: HpmError) -> Ending:
    """How a task ends whose place git cannot be asked about: an agent that worked there is to be looked after."""
    if record.snapshot is None:
        return Ending(EndingKind.GIVEN_BACK, _told(error), unfit=True)
    return Ending(EndingKind.PARKED, _told(error))


def _told(error: HpmError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message


def end_with(tools: Toolbox, ending: Ending) -> Record:
    """Journal how the task ends; what the agent left is put into git next."""
    ending = replace(ending, reason=tools.clean(ending.reason))
    return tools.persistence.update(ending=ending.to_json(), step="committing")


def _work_or_ask(tools: Toolbox, record: Record) -> Record:
    """Have the task worked and journal how it ends; a task about to be parked is a question first."""
    while True:
        record, ending = working.work(tools, record)
        if ending.kind is EndingKind.LOST:
            return _lost(tools, record, ending.reason)
        if ending.kind is not EndingKind.PARKED or operator.policy(tools) != operator.ASK:
            return end_with(tools, ending)
        question = f"task {record.task_id} is about to be parked: {ending.reason}"
        choices = (*operator.CHOICES, operator.PARK)
        with operator.answered(tools, record, question, choices, operator.PARK) as choice:
            chosen = ending if choice == operator.PARK else operator.consequence(choice, ending.reason)
            if chosen is not None:
                return end_with(tools, chosen)
            log = tools.log_of(record)
            log.update(failures=int(log.failures) + 1)
            record = working.follow(tools, record)


def _on_problem(tools: Toolbox, record: Record, problem: StepProblem) -> Record:
    tools.ui.warn(problem.message + (f" ({problem.hint})" if problem.hint else ""))
    if problem.not_here:
        return end_with(tools, Ending(EndingKind.GIVEN_BACK, problem.message, elsewhere=True))
    way = operator.policy(tools)
    if way == operator.ASK:
        return _ask_about(tools, record, problem)
    ending = operator.consequence(way, problem.message)
    if ending is not None:
        return end_with(tools, ending)
    tools.stop.wait(RETRY_PAUSE)
    tools.stop.check()
    return record


def _ask_about(tools: Toolbox, record: Record, problem: StepProblem) -> Record:
    try:
        with operator.answered(tools, record, problem.message, operator.CHOICES, operator.RELEASE) as choice:
            ending = operator.consequence(choice, problem.message)
            return record if ending is None else end_with(tools, ending)
    except lease.LockLost as error:
        return _lost(tools, record, error.message)


def _finished(tools: Toolbox, record: Record, *, unfit: bool) -> Finished:
    ending = Ending.from_json(record.ending)
    branch, commit = whereabouts.named(record)
    return Finished(
        task_id=int(record.task_id),
        title=record.task_title or "",
        ending=ending,
        branch=branch or "",
        commit=commit or "",
        seconds=seconds_since_taken(record),
        unfit=unfit or ending.unfit,
        no_change=is_no_change(record),
        where=of_lost(record, tools.repository.root) if ending.kind is EndingKind.LOST else "",
    )
