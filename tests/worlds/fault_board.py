"""Faults of the board and of the network before it: lost, refused and broken answers, and what others do to a task."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from tests.support import fault_proxy
from tests.support.fault_proxy import FaultProxy
from tests.support.fault_server import KEEP, answer
from tests.worlds.declared import Register, Unavailable
from tests.worlds.fault_processes import AT_WORK
from tests.worlds.world import Choice, Run, Task

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from tests.support.fault_server import Act, Request
    from tests.worlds.site import Runner, Site

BOARD: Register[..., None] = Register("fault")

BROKEN = ("cut short", "no JSON", "mistyped", "login page", "redirect")
REFUSED = ("503", "500 after", "429", "429 by date", "429 absurd")
FAR = "far_001"
LOST = ("reset before", "reset after")


@dataclass
class Rule:
    """The next ``count`` requests meet ``fault``, after ``skip`` of them; ``writes``: those that change something."""

    fault: str
    count: int
    skip: int = 0
    writes: bool = False


class Network(FaultProxy):
    """Between this host and the board, whatever becomes of that; faithful but for its ``rules``."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.board.url, 0, share=0.0)
        self.rules: list[Rule] = []
        self._turn = threading.Lock()

    def _behave(self, request: Request) -> Iterable[bytes | float | Act]:
        fault = self._next_fault(request)
        if fault == "401":
            return [answer({"detail": "Invalid API key"}, status=401), KEEP]
        if fault:
            return fault_proxy.FAULTS[fault](self, request)
        return [request.forward(self.board), KEEP]

    def _next_fault(self, request: Request) -> str:
        """The fault of the first rule that the request falls under; "" if there is none."""
        with self._turn:
            for rule in self.rules:
                if rule.count > 0 and not (rule.writes and request.method == "GET"):
                    if rule.skip > 0:
                        rule.skip -= 1
                        continue
                    rule.count -= 1
                    return rule.fault
        return ""


def behind_network(site: Site) -> None:
    """Let every command of this host reach the board through a Network."""
    if site.network is None:
        site.network = Network(site)
        site.network.__enter__()
        site.undo.append(lambda: site.network.__exit__() if site.network else None)
        site.more["HEADLESS_PM_API_URL"] = site.network.url


def disturb(site: Site, rule: Rule) -> None:
    assert site.network is not None
    site.network.rules.append(rule)
    site.passing.append(site.network.rules.clear)


def some(*faults: str, most: int) -> Any:
    """Draws one of the faults and how many requests meet it."""

    def draw(chance: Random) -> dict[str, Any]:
        return {"fault": chance.choice(faults), "count": chance.randint(1, most)}

    return draw


@BOARD.declare(draw=some(*LOST, most=6), prepare=behind_network, weight=2.0)
def outage(site: Site, runner: Runner | None, fault: str, count: int) -> None:
    """The board cannot be reached for a number of requests; some were carried out all the same."""
    disturb(site, Rule(fault, count))


@BOARD.declare(draw=some(*REFUSED, most=3), prepare=behind_network)
def board_refuses(site: Site, runner: Runner | None, fault: str, count: int) -> None:
    """The board refuses a number of requests: 503, 500, 429."""
    disturb(site, Rule(fault, count))


@BOARD.declare(draw=some(*BROKEN, most=3), prepare=behind_network)
def broken_answers(site: Site, runner: Runner | None, fault: str, count: int) -> None:
    """A number of answers are cut short, or are something else."""
    disturb(site, Rule(fault, count))


@BOARD.declare(draw=some("401", most=4), prepare=behind_network)
def key_refused(site: Site, runner: Runner | None, fault: str, count: int) -> None:
    """The board refuses its key for a moment, and takes it again."""
    disturb(site, Rule(fault, count))


def a_write(chance: Random) -> dict[str, Any]:
    return {"nth": chance.randint(1, 5)}


@BOARD.declare(draw=a_write, prepare=behind_network, weight=2.0)
def lost_answer(site: Site, runner: Runner | None, nth: int) -> None:
    """The answer to the n-th write from now on never comes."""
    disturb(site, Rule("reset after", 1, skip=nth - 1, writes=True))


def task_of(site: Site, runner: Runner | None) -> int:
    """The task that the runner holds by the board, or the first there is."""
    agent = runner.agent if runner else ""
    held = site.board.sql("SELECT id FROM tasks WHERE locked_by = ?", agent)
    found = held or site.board.sql("SELECT id FROM tasks ORDER BY id")
    if not found:
        raise Unavailable("no task is left")
    return int(found[0][0])


@BOARD.declare(moments=AT_WORK)
def task_deleted(site: Site, runner: Runner | None) -> None:
    """Somebody deletes the task while it is worked."""
    site.board.sql("DELETE FROM tasks WHERE id = ?", task_of(site, runner))


def a_status(chance: Random) -> dict[str, Any]:
    return {"status": chance.choice(("created", "qa_done", "pending", "approved", "dev_done"))}


@BOARD.declare(draw=a_status, moments=AT_WORK, weight=2.0)
def status_set(site: Site, runner: Runner | None, status: str) -> None:
    """The project manager sets the status of the task while it is worked."""
    commit = site.plain_git("rev-parse", "main").stdout.strip()
    notes = f"parked by the project manager\nbranch: main\ncommit: {commit}"
    site.board.put(task_of(site, runner), site.board.pm(), status, notes)


@BOARD.declare()
def task_edited(site: Site, runner: Runner | None) -> None:
    """Somebody edits the task's title and complexity."""
    change = (
        "title = title || ' again', complexity = CASE complexity WHEN 'major' THEN 'minor' ELSE 'major' END"
    )
    site.board.sql(f"UPDATE tasks SET {change} WHERE id = ?", task_of(site, runner))


def a_branch(chance: Random) -> dict[str, Any]:
    return {"branch": chance.choice(("main", "feature/other", "no/such branch", "refs/heads/main", "HEAD"))}


@BOARD.declare(draw=a_branch, rows=("F3",))
def branch_changed(site: Site, runner: Runner | None, branch: str) -> None:
    """Somebody changes the task's branch."""
    site.board.sql("UPDATE tasks SET branch = ? WHERE id = ?", branch, task_of(site, runner))


def a_step(chance: Random) -> dict[str, Any]:
    return {"minutes": chance.choice((-600, -5, 5, 29))}


@BOARD.declare(draw=a_step)
def board_clock_set(site: Site, runner: Runner | None, minutes: int) -> None:
    """The board's clock is set forth or back, by less than a lock lasts if forth."""
    site.board.shift_clock(minutes * 60.0)


@BOARD.declare(rows=("A4",), moments=AT_WORK)
def twin_registers(site: Site, runner: Runner | None) -> None:
    """A runner of another host registers under the same agent id."""
    if runner is None:
        raise Unavailable("no runner is at work")
    site.board.register(runner.agent, runner.role)


@BOARD.declare(rows=("A3",), moments=("before", "meet", "point"))
def host_died(site: Site, runner: Runner | None) -> None:
    """Another host died with a task that it had taken: it is under work, and held by nobody."""
    plain = Task(runs=(Run(acts=(Choice("edit", {"path": "far.txt"}),)),))
    number = site.add_task(msgspec.json.encode(plain).decode(), "major")
    site.board.register(FAR)
    site.board.lock(number, FAR)
    site.board.put(number, FAR, "under_work")
    site.board.sql("UPDATE tasks SET locked_by = NULL, locked_at = NULL WHERE id = ?", number)
