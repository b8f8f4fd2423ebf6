"""The continuous runner: start up, recover, then look, take and work until told to stop."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from hpm_tools import local_time, trace
from hpm_tools.board import lease, twins, wire
from hpm_tools.errors import (
    BOARD_UNREACHABLE,
    FAILED,
    MISCONFIGURED,
    NOTHING_TO_DO,
    REFUSED,
    TRY_LATER,
    UNEXPECTED,
    BadData,
    BoardUnreachable,
    Held,
    HpmError,
    Interrupted,
    Misconfigured,
    NothingToDo,
    TryLater,
)
from hpm_tools.hook import hints
from hpm_tools.hook.finding import mistake
from hpm_tools.process import subreaper
from hpm_tools.runner import alone, daily, limit, orphans, recovery, taking
from hpm_tools.runner.agents import role_text
from hpm_tools.runner.held_up import add_whereabouts, left_behind, run_again, stopped_by
from hpm_tools.runner.machine import Finished, work_through
from hpm_tools.runner.pickup_gate import Gate
from hpm_tools.runner.policy import back_off
from hpm_tools.runner.sandbox_leftovers import remove_of_dead
from hpm_tools.runner.soundness import Soundness
from hpm_tools.runner.telling import note_board_calls, run_hook
from hpm_tools.state import pickup, prompts
from hpm_tools.state.guard import agent_guard
from hpm_tools.state.tidy import tidy
from hpm_tools.text import duration
from hpm_tools.worktree.git import GitError
from hpm_tools.worktree.specials import Unsound

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpm_tools.board.models import Task
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record

T = TypeVar("T")

SHORTEST_PAUSE = 1.0
BRISK_FOR = 120.0
GROWTH = 1.5
LONG_POLL = 25
MISSED_PAUSE = 0.2
LONGEST_MISS = 30.0
STOPS_ONE = {pickup.AWAY: MISCONFIGURED, pickup.AUTH: REFUSED}
"""What a runner that lasts waits out, by the kind of the pause, and a single task ends with."""
EXPECTED_OF_ONE = (FAILED, NOTHING_TO_DO, BOARD_UNREACHABLE, TRY_LATER)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to go on: one task, so many tasks, or until a signal. ``take_over``: start although the
    agent may be at work elsewhere."""

    single_task: bool = False
    max_tasks: int | None = None
    take_over: bool = False

    @property
    def most(self) -> int | None:
        return 1 if self.single_task else self.max_tasks


class Pauses:
    """When to look again: briskly for two minutes after a task, then ever less, never all at once."""

    def __init__(self, longest: float) -> None:
        self._longest = max(SHORTEST_PAUSE, longest)
        self._random = random.Random()  # noqa: S311  # spreads the looks of many runners
        self.task_seen()

    def task_seen(self) -> None:
        self._brisk_until = time.monotonic() + BRISK_FOR
        self._pause = SHORTEST_PAUSE

    def next(self) -> float:
        if time.monotonic() >= self._brisk_until:
            self._pause = min(self._longest, self._pause * GROWTH)
        return self._pause * self._random.uniform(0.8, 1.2)


class Worker:
    """One agent's runner; ``run()`` returns what was done, or raises what stopped it."""

    def __init__(self, tools: Toolbox, plan: Plan | None = None) -> None:
        self.tools = tools
        self.plan = plan or Plan()
        self.finished: list[Finished] = []
        self._pauses = Pauses(tools.config.task_check_interval)
        self._soundness = Soundness(tools)
        self._gate = Gate(tools, may_wait=not self.plan.single_task)
        self._fit = True
        self._unfit_in_a_row = 0
        self._missed = 0
        self._health_due = 0.0
        self._cheap_wait = False
        self._limit_told = 0.0
        self._limit_since: float | None = None

    def run(self) -> list[Finished]:
        """Work until the plan is fulfilled.

        Raises Held (75) if the agent id is in use here, NothingToDo (3) if a single task was asked for and
        none is offered, Interrupted on a signal, and Refused or Misconfigured when no agent can work.
        """
        tools = self.tools
        guard = agent_guard(tools.state, tools.agent_id)
        if not guard.acquire(wait=0.0):
            raise Held(
                f"agent {tools.agent_id} is already running on this host", "hpm locks shows who holds it"
            )
        try:
            prompts.withdraw(tools.state, tools.agent_id)
            orphans.end_own(tools)
            self._start_up()
            self._resume()
            # A task that is held here is settled first: it goes back, or parks with what it left.
            self._soundness.refuse_unsound()
            tidy(tools.state)
            remove_of_dead(tools)
            orphans.end_of_finished(tools)
            orphans.remove_forgotten_scratch(tools)
            tools.worktrees.sweep()
            while not self._fulfilled():
                self._one_more()
            return self.finished
        except Interrupted as signalled:
            self._tell_stopped(signalled)
            signalled.message, signalled.hint = left_behind(tools)
            raise
        except BaseException as error:
            self._tell_stopped(error)
            add_whereabouts(tools, error, run_again(tools, single_task=self.plan.single_task))
            raise
        finally:
            tools.close()
            guard.release()
            if tools.notifier is not None:
                tools.notifier.close()

    def _tell_stopped(self, error: BaseException) -> None:
        """Keep that the runner stops before its plan is fulfilled; that a single task could not be had is no news."""
        code = error.exit_code if isinstance(error, HpmError) else UNEXPECTED
        if self.plan.single_task and code in EXPECTED_OF_ONE:
            return
        why = error.message if isinstance(error, HpmError) else type(error).__name__
        self.tools.note_event("stopped", f"{self.tools.agent_id} stopped: {why}", exit_code=code)

    def _start_up(self) -> None:
        tools = self.tools
        if tools.notifier is not None:
            tools.notifier.resume()
        shell = str(getattr(tools.executor, "shell", ""))
        if shell:
            tools.ui.note(shell)
        for line in tools.executor.check():
            if line.ok is False:
                raise Misconfigured(f"{line.name}: {line.text}", line.hint)
            if line.ok is None:
                tools.ui.warn(f"{line.name}: {line.text}" + (f" ({line.hint})" if line.hint else ""))
        for path, meant in tools.hooks.mistyped():
            tools.ui.warn(mistake(path, meant))
        root = tools.repository.root
        role_text(tools, tools.role, tools.level)
        if not self.plan.take_over:
            self._once_reachable(lambda: alone.wait_for_twin(tools, self._sleep))
        registration = self._once_reachable(
            lambda: tools.board.register(tools.agent_id, tools.board_role, tools.level)
        )
        if registration.differs:
            tools.ui.warn(registration.differs)
        self._cheap_wait = self._once_reachable(tools.board.health).cheap_wait
        tools.tell(
            "started",
            agent=tools.agent_id,
            role=tools.role,
            level=tools.level,
            shell=shell,
            text=f"{tools.agent_id} works as {tools.role} ({tools.level}) for {tools.board.url} in {root}",
        )

    def _once_reachable(self, call: Callable[[], T], *, holds: bool = False) -> T:
        """Wait for the board; a single task is not worth waiting for.

        A call that ``holds`` something is not broken off by a signal.
        """
        outages = 0
        while True:
            try:
                if holds:
                    return call()
                stop = self.tools.stop
                with wire.breakable(stop.descriptor, stop.asked):
                    stop.check()
                    return call()
            except wire.BrokenOff:
                self.tools.stop.check()
            except BoardUnreachable as error:
                if self.plan.single_task:
                    raise
                self._sit_out(error, outages)
                outages += 1

    def _sit_out(self, error: HpmError, outages: int) -> None:
        pause = back_off(outages, self.tools.config.retry_pause)
        self._show("waiting for the board")
        self.tools.tell(
            "board_unreachable",
            seconds=round(pause),
            text=f"{error.message}; trying again in {pause:.0f} s",
        )
        self._sleep(pause)

    def _show(self, doing: str) -> None:
        self.tools.ui.progress(f"{self.tools.agent_id} · {doing}")

    def _sleep(self, seconds: float) -> None:
        trace.tell(f"waiting {duration(seconds)}")
        self.tools.stop.wait(seconds)
        self.tools.stop.check()

    def _resume(self) -> None:
        tools = self.tools
        record = self._once_reachable(lambda: recovery.take_over(tools, holder="runner"), holds=True)
        if record is None:
            recovery.warn_of_lost_records(tools)
            return
        tools.tell(
            "resumed",
            record=record,
            step=record.step,
            text=f"task {record.task_id} is resumed at the step {record.step}",
        )
        self._work(record)
        recovery.warn_of_lost_records(tools)  # the record may have named another task than the board does

    def _fulfilled(self) -> bool:
        self.tools.stop.check()
        return self.plan.most is not None and len(self.finished) >= self.plan.most

    def _one_more(self) -> None:
        """One turn: check health when due, look, take, work; or pause."""
        subreaper.reap_as_init()
        if not self._healthy():
            self._show("waiting until health_check passes")
            self._sleep(back_off(self._unfit_in_a_row, self.tools.config.retry_pause))
            return
        if pause := self._soundness.pause():
            self._sleep(pause)
            return
        if pause := self._once_reachable(self._gate.pause):
            self._show("waiting to try a task")
            self._sleep(pause)
            return
        closed = limit.all_closed_until(self.tools)
        if closed is not None:
            self._show("waiting for the usage limit")
            self._sit_out_limit(closed)
            return
        self._limit_over()
        note_board_calls(self.tools)
        cap = daily.spent_cap(self.tools)
        if cap is not None:
            self._show("waiting for the next day's budget")
            self._sleep(daily.sit_out(self.tools, cap, may_wait=not self.plan.single_task))
            return
        self._show("waiting for a task")
        began = time.monotonic()
        timeout = LONG_POLL if self._may_long_poll() else 0
        task = self._look(timeout)
        if task is None:
            if self.plan.single_task:
                left = taking.left_alone(self.tools)
                other = "no other task" if left else "no task"
                raise NothingToDo(
                    "; ".join([*left, f"{other} is offered to {self.tools.role} ({self.tools.level})"]),
                    "hpm pm.tasks lists all tasks",
                )
            if time.monotonic() - began < timeout / 2 or not timeout:
                self._sleep(self._pauses.next())
            return
        self._pauses.task_seen()
        if not self._gate.enter():
            return
        try:
            orphans.end_of_finished(self.tools)
            record = self._take(task)
            if record is not None:
                self._work(record)
        finally:
            self._gate.leave()

    def _sit_out_limit(self, until: float) -> None:
        """Take nothing while no agent could start: a task that waits for us might be worked elsewhere."""
        account, when = self.tools.config.account, local_time.when(until)
        if self.plan.single_task:
            raise TryLater(f"the usage limit of the account {account} holds until {when}", "try again then")
        if self._limit_since is None:
            self._limit_since = time.monotonic()
        if self._limit_told != until:
            self._limit_told = until
            self.tools.tell(
                "limit_wait", until=until, text=f"the usage limit holds until {when}; no task is taken"
            )
        self._sleep(limit.pause(self.tools, until))

    def _limit_over(self) -> None:
        if self._limit_since is not None:
            limit.tell_over(self.tools, time.monotonic() - self._limit_since)
            self._limit_since = None

    def _may_long_poll(self) -> bool:
        return self._cheap_wait and not self.plan.single_task and len(self.tools.polled_roles) == 1

    def _look(self, timeout: int) -> Task | None:
        def call() -> Task | None:
            try:
                return taking.look(self.tools, timeout)
            except BadData as error:
                self.tools.ui.warn(f"{error.message}; looking again later")
                return None

        return self._once_reachable(call)

    def _take(self, task: Task) -> Record | None:
        tools = self.tools
        self._once_reachable(lambda: alone.refuse_twin(tools))
        try:
            record = taking.begin(tools, task, holder="runner")
            record = taking.take_first_lock(tools, record)
        except lease.NOT_TAKEN as error:
            tools.close()
            tools.tell("missed", task=task.id, text=f"task {task.id}: {error.message}")
            self._missed += 1
            longest = min(LONGEST_MISS, MISSED_PAUSE * 2.0 ** min(self._missed, 10))
            self._sleep(longest * random.uniform(0.5, 1))  # noqa: S311  # spreads contenders
            return None
        except (Unsound, GitError) as error:
            # Of the checkout, before anything was recorded or locked.
            if self.plan.single_task:
                raise
            tools.close()
            self._sleep(self._soundness.refused(error))
            return None
        self._missed = 0
        taking.tell_taken(tools, record, task)
        return record

    def _work(self, record: Record) -> None:
        tools = self.tools
        finished = work_through(tools, record)
        tools.close()
        self.finished.append(finished)
        self._pauses.task_seen()
        tools.tell(
            "task_finished",
            record=record,
            ending=str(finished.ending.kind),
            status=finished.ending.status,
            branch=finished.branch,
            commit=finished.commit,
            no_change=finished.no_change,
            seconds=round(finished.seconds, 1),
            text=f"task {finished.task_id}: {finished.words} after {duration(finished.seconds)}"
            + (f"; {finished.where}" if finished.where else ""),
        )
        if finished.unfit:
            self._unfit_in_a_row += 1
            self._fit, self._health_due = False, 0.0
            if not self._fulfilled():
                self._sleep(back_off(self._unfit_in_a_row - 1, tools.config.retry_pause))
        else:
            self._unfit_in_a_row = 0
        refusal = self._once_reachable(self._gate.after)
        if self.plan.single_task and finished.ending.pauses in STOPS_ONE:
            stopping = replace(finished.ending, exit_code=STOPS_ONE[finished.ending.pauses])
            raise stopped_by(replace(finished, ending=stopping))
        if finished.ending.exit_code >= 0:
            raise stopped_by(finished)
        if self.plan.single_task and isinstance(refusal, Misconfigured):
            raise refusal
        if not self._fulfilled():
            self._once_reachable(lambda: twins.settle(tools.board, tools.agent_id))

    def _healthy(self) -> bool:
        """Run health_check when it is due; while it fails nothing is taken."""
        if time.monotonic() < self._health_due and self._fit:
            return True
        tools = self.tools
        outcome = run_hook(tools, "health_check", {"agent_id": tools.agent_id, "role": tools.role})
        self._health_due = time.monotonic() + tools.config.health_check_interval
        if not outcome.ok:
            hint = hints.mend(tools.config, outcome)
            tools.tell(
                "health_failed",
                text=f"health_check failed, no task is taken until it passes: {outcome.reason} ({hint})",
            )
            if self.plan.single_task:
                raise HpmError(f"health_check failed: {outcome.reason}", hint)
        elif not self._fit:
            tools.tell("health_restored", text="health_check passes again")
        self._fit = outcome.ok
        return outcome.ok
