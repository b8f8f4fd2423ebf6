"""Plays one world: builds its host, lets runners, agents, a person and faults loose, restarts, and judges.

1. The repository and the host are made, the tasks are added, and what happens ``before`` happens.
2. All runners start at once, each for one task, or, in a world that is ``lasting``, until nothing is left to do.
   Whoever stands still for an event (an agent at ``meet``, a runner at a failpoint) goes on when the event is over. The
   phase ends when all runners have ended.
3. What happens ``between`` happens; then every agent id is started again, undisturbed, until nothing is open. What
   the board says then is judged, and a person takes away what is still offered.
4. Each agent id gets a plain task more: a probe, which it must take and do.
"""

from __future__ import annotations

import os
import re
import signal
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from tests.campaign.paused import let_time_pass
from tests.support import disks
from tests.worlds import repair
from tests.worlds.declared import Unavailable
from tests.worlds.faults import FAULTS
from tests.worlds.host import HOST
from tests.worlds.invariants import judge
from tests.worlds.person import PERSON
from tests.worlds.repository import REPOSITORY
from tests.worlds.site import Runner, Site
from tests.worlds.snapshot import Snapshot
from tests.worlds.world import Choice, Event, Run, Task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.campaign.soak import Board
    from tests.worlds.world import World

ARMED = {"disk_full": "enospc", "bug": "raise"}
"""Faults that the failpoint itself makes: no other process does anything."""

LONGEST = 240.0
"""Seconds in which the runners of a phase must have ended; a world takes a few."""

QUIET = 4.0
"""Seconds without any progress after which runners that only wait are told to end; no verdict hangs on it."""

AWAITED = "start that agent's runner again"
"""What a runner says that waits for what one left in the checkout that was killed."""

BEGINNINGS = re.compile(r"^.* task \d+: (?:works in|starting the agent in) .*$", re.MULTILINE)
"""What a runner says as it begins: that names no place in which something was left."""

OFFERED = ("created", "approved")
"""The statuses in which the board offers a task to its makers."""

LOOKS = frozenset({"health", "locks", "worktree.list", "events", "report"})
"""Commands that list what there is, to whoever asks: nobody was told by them."""

MOST_REPAIRS = 3
"""So often a person mends what is told before a probe: one thing may be seen only once another is mended."""

ROUNDS = 5
PAUSE = 0.01


class Stuck(AssertionError):
    """A phase did not end in its time."""


@dataclass
class Story:
    """One world as it went; ``happened`` counts what was really done, behind its kind."""

    world: World
    site: Site
    agents: dict[str, str] = field(default_factory=dict)
    """Agent id → role."""

    happened: Counter[str] = field(default_factory=Counter)
    probes: list[tuple[str, int, Runner]] = field(default_factory=list)
    """(agent id, task, the last run that should have done it)."""

    health: list[str] = field(default_factory=list)
    """What `hpm health` said, at the end of phase 3."""

    looks: list[tuple[int, list[str]]] = field(default_factory=list)
    """What it said whenever somebody asked, each with the number of runners that had been started until then."""

    repaired: list[str] = field(default_factory=list)
    """What a person had to mend before runners took work again."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    """The board's tasks at the end of phase 3; ``said`` is what notes and comments hold."""

    before: Snapshot | None = None
    """The host before any runner came."""

    probed: list[dict[str, Any]] = field(default_factory=list)
    """The board's rows of the probes at the end."""

    words: str = ""
    """All that runners and a person's own commands printed, the board was told and health said."""

    events: list[tuple[str, int, int]] = field(default_factory=list)
    """(what, begun, ended) of events, in nanoseconds of the monotonic clock."""


@dataclass
class Outcome:
    """What became of a world: ``problems`` is what the invariants object, each with the invariant's name before it."""

    world: World
    problems: list[str] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    codes: list[int | None] = field(default_factory=list)
    seconds: float = 0.0
    told: str = ""

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def kinds(self) -> set[str]:
        """The names of the invariants that object."""
        return {problem.partition(":")[0] for problem in self.problems}


def play(
    world: World,
    board: Board,
    directory: Path,
    template: Path,
    package: Path | None = None,
    *,
    keep: bool = False,
) -> Outcome:
    """Play ``world`` in ``directory``, which is removed unless the world does not hold or ``keep`` says so.

    ``package``: a directory that holds another hpm_tools to run instead of this one.
    """
    began = time.monotonic()
    directory.mkdir(parents=True)
    board.under_test.wipe()
    site = Site(directory, board, template)
    site.package = package
    outcome = Outcome(world)
    story = Story(world, site)
    try:
        build(story)
        disturb(story)
        restart(story)
        probe(story)
        hear(story)
        outcome.problems += judge(story)
    except Stuck as error:
        outcome.problems.append(f"in time: {error}")
    except Exception:  # a world that cannot even be judged has failed, and the others go on
        outcome.problems.append(f"harness: {traceback.format_exc(limit=-4)}")
    finally:
        site.end()
    for name in site.log("acts"):
        story.happened[f"act {name}"] += 1
    for name in site.log("outcomes"):
        story.happened[f"outcome {name}"] += 1
    outcome.happened = story.happened
    outcome.codes = [runner.code for runner in site.launched]
    if outcome.problems:
        outcome.told = "\n".join(map(str, site.launched))
    outcome.seconds = time.monotonic() - began
    if outcome.ok and not keep:
        disks.remove_tree(directory)
    return outcome


def build(story: Story) -> None:
    """Phase 1: the place as it is before any runner comes."""
    world, site = story.world, story.site
    for kind, register, choices in (
        ("repository", REPOSITORY, world.repository),
        ("host", HOST, world.host),
    ):
        for choice in sorted(choices, key=lambda choice: register[choice.name].stage):
            does = partial(register[choice.name].does, site, **choice.facts)
            if attempt(story, f"{kind} {choice.name}", does):
                story.happened[f"{kind} {choice.name}"] += 1
    for register, listed in ((PERSON, world.person), (FAULTS, world.faults)):
        for event in listed:
            name = event.what.name
            attempt(story, f"{register.kind} {name}", partial(register[name].prepare, site))
    site.configure()
    repair.back_up(site)
    for task in world.tasks:
        site.add_task(msgspec.json.encode(task).decode(), task.kind, branch=task.branch)
        story.happened[f"task {task.kind}"] += 1
    # A reviewer where there is something to review: in the order of the tasks, then from the start again.
    kinds = [task.kind for task in world.tasks] or ["major"]
    for number in range(world.runners):
        role = "qa" if kinds[number % len(kinds)] == "review" else "backend_dev"
        story.agents[f"{'qa' if role == 'qa' else 'dev'}_{number + 1:03}"] = role
    if world.runners > 1:
        story.happened[f"runners {world.runners}"] += 1
    site.agents = story.agents
    story.before = Snapshot(site)
    perform_all(story, "before", None)


def attempt(
    story: Story,
    what: str,
    does: Callable[[], None],
    left_out: type[Exception] | tuple[type[Exception], ...] = Unavailable,
) -> bool:
    """Do a part of the world; whether it could be had. If not, it is counted as left out, with the reason."""
    try:
        does()
    except left_out as error:
        reason = str(error).partition("\n")[0].replace(f"{story.site.directory}/", "")
        story.happened[f"left out: {what}: {reason}"] += 1
        return False
    return True


def events(story: Story, when: str) -> list[tuple[str, Event]]:
    """The person's acts and the faults that happen ``when``; the person comes first."""
    world = story.world
    return [
        (kind, event)
        for kind, listed in (("person", world.person), ("fault", world.faults))
        for event in listed
        if event.when == when
    ]


def perform_all(story: Story, when: str, runner: Runner | None) -> None:
    for kind, event in events(story, when):
        perform(story, kind, event, runner)


def perform(story: Story, kind: str, event: Event, runner: Runner | None) -> None:
    """Let one event happen; a fault is told which runner it is about, None before there is any."""
    site, choice, began = story.site, event.what, time.monotonic_ns()
    if kind == "person":
        does = partial(PERSON[choice.name].does, site, **choice.facts)
    else:
        does = partial(FAULTS[choice.name].does, site, runner or the_runner(story, event), **choice.facts)
    # An agent or another event may have filled the disk, or left a directory where a file is to be written.
    what = f"{kind} {choice.name}"
    if attempt(story, what, does, (Unavailable, OSError)):
        story.happened[what] += 1
    story.events.append((choice.name, began, time.monotonic_ns()))


def the_runner(story: Story, event: Event) -> Runner | None:
    """The last life of the runner that the event is about."""
    agents = list(story.agents)
    agent = agents[event.runner % len(agents)]
    return next((runner for runner in reversed(story.site.launched) if runner.agent == agent), None)


def at_work(story: Story, task: int) -> Runner | None:
    """The runner that has the task: which of several took it is nobody's choice."""
    holder = story.site.board.task(task)["locked_by"]
    return next((runner for runner in reversed(story.site.launched) if runner.agent == holder), None)


def disturb(story: Story) -> None:
    """Phase 2: all runners at once, and the events for which somebody stands still."""
    site, world = story.site, story.world
    for number, (agent, role) in enumerate(story.agents.items()):
        point, kind = armed(story, number)
        site.launch(agent, role, point=point, kind=kind, lasting=world.lasting)
    deadline = time.monotonic() + LONGEST
    met: set[str] = set()
    last, since = (), time.monotonic()
    while any(runner.code is None for runner in site.launched):
        if time.monotonic() > deadline:
            raise Stuck(f"the runners did not end: {[str(r) for r in site.launched if r.code is None]}")
        hold_meetings(story, met)
        waiting = [runner for runner in site.launched if is_waiting(story, runner)]
        if waiting and (now := progress(story)) != last:
            last, since = now, time.monotonic()
        elif waiting and time.monotonic() - since > QUIET * crowding():
            end_all(waiting)
        for runner in site.launched:
            if runner.point and runner.is_stopped() and runner.point not in runner.stopped_at:
                runner.stopped_at.append(runner.point)
                perform_all(story, f"point {runner.point}", runner)
                runner.signal(signal.SIGCONT)
        time.sleep(PAUSE)
    for runner in site.launched:
        name, _, nth = runner.point.partition("#")
        if runner.point and runner.reached.count(name) >= int(nth):
            story.happened.update(
                f"fault {event.what.name}"
                for _, event in events(story, f"point {runner.point}")
                if event.what.name in ARMED
            )


def crowding() -> float:
    """How many times longer than alone things may take on this machine now."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def progress(story: Story) -> tuple[Any, ...]:
    """Changes whenever a runner, an agent or the board gets on."""
    site = story.site
    return (
        *site.board.sql("SELECT id, status, locked_by FROM tasks"),
        len(site.log("starts")),
        len(site.log("acts")),
    )


def is_waiting(story: Story, runner: Runner) -> bool:
    """Whether it goes on for ever, looking for work, or until the runner is started again that was killed before it."""
    if runner.code is not None:
        return False
    killed = any(other.code == -signal.SIGKILL for other in story.site.launched)
    return runner.lasting or (killed and AWAITED in runner.output.rpartition("\n")[0].rpartition("\n")[2])


def end_all(runners: list[Runner]) -> None:
    """Nobody gets on any more: runners that only wait are told to end, as an operator does."""
    for runner in runners:
        if not runner.told_to_end:
            runner.told_to_end = True
            runner.signal(signal.SIGTERM)


def armed(story: Story, number: int) -> tuple[str, str]:
    """The failpoint of the runner of that number, and what it does there."""
    world = story.world
    for event in (*world.person, *world.faults):
        if event.when.startswith("point ") and event.runner % world.runners == number:
            return event.when.removeprefix("point "), ARMED.get(event.what.name, "stop")
    return "", ""


def hold_meetings(story: Story, met: set[str]) -> None:
    """Let what waits at a ``meet`` go on, after what was to happen meanwhile; each happens once."""
    for flag in sorted(story.site.logs.glob("meet-*")):
        name = flag.name.removeprefix("meet-")
        if name not in met:
            met.add(name)
            perform_all(story, f"meet {name}", at_work(story, int(flag.read_text(encoding="ascii"))))
            (story.site.logs / f"go-{name}").touch()


def restart(story: Story) -> None:
    """Phase 3: the undisturbed restart, until nothing is open."""
    site = story.site
    perform_all(story, "between", None)
    site.calm()
    settle(story, at_least=any(runner.code == -signal.SIGKILL for runner in site.launched))
    if is_open(story):
        story.looks.append((len(site.launched), health(site)))
        if mended := repair.repair(site):
            story.repaired += mended
            settle(story)
    story.health = health(site)
    story.looks.append((len(site.launched), story.health))
    story.rows = rows(site)
    for row in story.rows:
        if row["status"] in (*OFFERED, "dev_done") and row["locked_by"] is None:
            site.board.sql("UPDATE tasks SET status = 'pending' WHERE id = ?", row["id"])


def settle(story: Story, *, at_least: bool = False) -> None:
    """Start every agent id again until nothing is open, or nobody gets on; once ``at_least``."""
    before: tuple[Any, ...] = ()
    for number in range(ROUNDS):
        if not is_open(story) and not (number == 0 and at_least):
            break
        if number > 1 and progress(story) == before:
            break
        before = progress(story)
        for agent, role in story.agents.items():
            let_time_pass(story.site)
            run_once(story, agent, role)


def rows(site: Site) -> list[dict[str, Any]]:
    """The board's tasks as they are: ``said`` is all that was said of them, ``by`` is who set the status."""
    columns = ("id", "status", "locked_by", "notes", "said", "by")
    said = "coalesce(notes, '') || char(10) || coalesce(comments, '')"
    by = "SELECT changed_by FROM changelog WHERE task_id = tasks.id AND new_status = tasks.status ORDER BY id DESC LIMIT 1"
    words = f"SELECT id, status, locked_by, coalesce(notes, ''), {said}, ({by}) FROM tasks ORDER BY id"
    return [dict(zip(columns, row, strict=True)) for row in site.board.sql(words)]


def hear(story: Story) -> None:
    """Keep all that anybody was told."""
    probes = {number for _, number, _ in story.probes}
    found = rows(story.site)
    story.probed = [row for row in found if row["id"] in probes]
    outputs = [runner.output for runner in story.site.launched]
    outputs += [f"{done.stdout}\n{done.stderr}" for done in story.site.commands if done.argv[0] not in LOOKS]
    said = "\n".join([*outputs, *(row["said"] for row in found), *story.health])
    story.words = BEGINNINGS.sub("", said)


def is_open(story: Story) -> bool:
    """Whether some task waits for a runner of this world, or some record is left."""
    roles = set(story.agents.values())
    offered = {*OFFERED, *(["dev_done"] if "qa" in roles else [])}
    rows = story.site.board.sql("SELECT status, locked_by FROM tasks")
    return any(
        status in offered or (status == "under_work" and holder in story.agents) for status, holder in rows
    ) or any((story.site.state / "locks").glob("*.lock"))


def run_once(story: Story, agent: str, role: str) -> Runner:
    """One undisturbed life of a runner, to its end; agents that wait for an event go on at once."""
    runner = story.site.launch(agent, role)
    deadline = time.monotonic() + LONGEST
    met: set[str] = set()
    while runner.code is None:
        if time.monotonic() > deadline:
            raise Stuck(f"a restart did not end: {runner}")
        for flag in story.site.logs.glob("meet-*"):
            name = flag.name.removeprefix("meet-")
            if name not in met:
                met.add(name)
                (story.site.logs / f"go-{name}").touch()
        time.sleep(PAUSE)
    return runner


def health(site: Site) -> list[str]:
    """The failing and warning lines of `hpm health`."""
    facts = site.facts("health")
    checks = facts.get("checks", []) if isinstance(facts, dict) else []
    return [str(check) for check in checks if check.get("ok") is not True]


def probe(story: Story) -> None:
    """Phase 4: each agent id does one plain task more; where something is told to be broken, after its repair."""
    for repaired in range(MOST_REPAIRS + 1):
        before = {agent: number for agent, number, _ in story.probes if not took(story, number)}
        story.probes.clear()
        for agent, role in story.agents.items():
            kind = "review" if role == "qa" else "major"
            number = before.get(agent, 0)
            if not is_offered(story, number):  # else it would be taken first, and the next one be left
                number = story.site.add_task(msgspec.json.encode(probe_task(kind)).decode(), kind)
            for _ in range(2):
                let_time_pass(story.site)
                runner = run_once(story, agent, role)
                if runner.code == 0 and took(story, number):
                    break
            story.probes.append((agent, number, runner))
        if all(took(story, number) for _, number, _ in story.probes) or repaired == MOST_REPAIRS:
            return
        mended = repair.repair(story.site)
        if not mended:
            return
        story.repaired += mended


def probe_task(kind: str) -> Task:
    acts = (Choice("edit", {"path": "probe.txt"}),)
    return Task(kind=kind, runs=(Run(acts=acts),))


def is_offered(story: Story, number: int) -> bool:
    """Whether the probe waits for a runner still."""
    words = "SELECT 1 FROM tasks WHERE id = ? AND status IN ('created', 'dev_done') AND locked_by IS NULL"
    return bool(story.site.board.sql(words, number))


def took(story: Story, number: int) -> bool:
    """Whether the probe was done."""
    return str(story.site.board.task(number)["status"]) in ("dev_done", "qa_done")
