"""Faults of processes: runners, agents and the board are killed, signalled or stand still, and a run has a bug."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.support.waiting import wait_until
from tests.worlds.declared import Register, Unavailable

if TYPE_CHECKING:
    from random import Random

    from tests.worlds.site import Runner, Site

PROCESSES: Register[..., None] = Register("fault")
AT_WORK = ("meet", "point")
"""The moments at which runners run."""

HALF_AN_HOUR = 31 * 60.0
"""Seconds after which the board frees the tasks of an agent that it did not hear from, and a minute."""

OTHER = "other_001"
"""An agent of another host; it lives, and what it has taken is its own."""


def at_work(runner: Runner | None) -> Runner:
    """The runner, if it runs."""
    if runner is None or runner.code is not None:
        raise Unavailable("no runner is at work")
    return runner


@PROCESSES.declare(rows=("A1",), weight=3.0, moments=AT_WORK)
def kill_runner(site: Site, runner: Runner | None) -> None:
    """The runner is killed with -9."""
    at_work(runner).kill()


@PROCESSES.declare(moments=AT_WORK)
def kill_agents(site: Site, runner: Runner | None) -> None:
    """All agents at work are killed with -9."""
    end_agents(site)


@PROCESSES.declare(rows=("A1",), moments=AT_WORK)
def kill_runner_and_agents(site: Site, runner: Runner | None) -> None:
    """The runner and all agents at work are killed with -9."""
    at_work(runner).kill()
    end_agents(site)


@PROCESSES.declare(moments=AT_WORK)
def power_cut(site: Site, runner: Runner | None) -> None:
    """Everything is killed with -9: the runners, what they have started, and the board, which comes back."""
    for other in site.launched:
        if other.code is None:
            other.kill()
    end_all(site)
    kill_board(site)


def end_agents(site: Site) -> None:
    for pid, _, _ in list(site.living_agents()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def end_all(site: Site) -> None:
    """Kill whatever of this host lives; its runners are dead."""
    for found in list(site.processes()):
        with suppress(ProcessLookupError):
            os.kill(int(found.partition(":")[0]), signal.SIGKILL)
    wait_until(lambda: not list(site.processes()), 60, "the end of all processes")


def kill_board(site: Site) -> None:
    site.boards.kill()
    site.boards.begin()
    site.board = site.boards.under_test


@PROCESSES.declare()
def board_killed(site: Site, runner: Runner | None) -> None:
    """The board is killed and comes back."""
    kill_board(site)


def signals(chance: Random) -> dict[str, Any]:
    return {"name": chance.choice(("SIGTERM", "SIGINT", "SIGHUP")), "twice": chance.random() < 0.4}


@PROCESSES.declare(draw=signals, rows=("D12",), weight=2.0, moments=AT_WORK)
def told_to_end(site: Site, runner: Runner | None, name: str, twice: bool) -> None:
    """The runner gets a signal, or two."""
    runner = at_work(runner)
    runner.told_to_end = True
    number, stands = getattr(signal, name), runner.is_stopped()
    runner.signal(number)
    if twice:
        if stands:  # a second one of the same kind would be one with the first
            number = signal.SIGTERM if number == signal.SIGINT else signal.SIGINT
        else:
            time.sleep(0.1)
        runner.signal(number)


def lapses(chance: Random) -> dict[str, Any]:
    return {"taker": chance.choice(("nobody", "nobody", "gives back", "finishes"))}


@PROCESSES.declare(draw=lapses, rows=("A2",), weight=2.0, moments=AT_WORK)
def suspend(site: Site, runner: Runner | None, taker: str) -> None:
    """All runners and agents stand still until their locks have lapsed; meanwhile nobody or another agent takes one."""
    standing = site.stand_still()
    site.board.register(OTHER)  # heard from, unlike those that stand still
    site.board.shift_clock(HALF_AN_HOUR)
    let_lapse(site, taker)
    site.go_on(standing)


@PROCESSES.declare(draw=lapses, rows=("A2", "A3"), weight=2.0)
def lapse(site: Site, runner: Runner | None, taker: str) -> None:
    """The board's locks lapse beside living runners; nobody or another agent takes such a task."""
    site.board.sql("UPDATE tasks SET locked_by = NULL, locked_at = NULL")
    let_lapse(site, taker)


def let_lapse(site: Site, taker: str) -> None:
    """The board frees what has lapsed, as it does when somebody asks for work; ``taker`` is what becomes of it."""
    site.board.register(OTHER)
    site.board.call("GET", "/tasks/next", role="architect", level="junior", simulate="true")
    if taker == "nobody":
        return
    lapsed = site.board.sql("SELECT id FROM tasks WHERE status = 'under_work' AND locked_by IS NULL")
    for (number,) in lapsed[:1]:
        site.board.lock(number, OTHER)
        site.board.put(number, OTHER, "under_work")
        if taker == "finishes":
            commit = site.plain_git("rev-parse", "main").stdout.strip()
            site.board.put(number, OTHER, "dev_done", f"branch: main\ncommit: {commit}")
        else:
            site.board.put(number, OTHER, "created")
        site.board.sql("UPDATE tasks SET locked_by = NULL, locked_at = NULL WHERE id = ?", number)


@PROCESSES.declare(moments=("point",), rows=("D11",))
def disk_full(site: Site, runner: Runner | None) -> None:
    """The disk is full for one act of the runner: the failpoint itself says so."""


@PROCESSES.declare(moments=("point",))
def bug(site: Site, runner: Runner | None) -> None:
    """The runner has a bug: the failpoint itself raises what nobody foresaw."""
