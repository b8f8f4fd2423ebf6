"""What `health` looks at: every part that a runner needs, each failing line with what mends it."""

from __future__ import annotations

import os
import shutil
import stat
import time
from typing import TYPE_CHECKING

from hpm_tools.board.unheld import retry_command, unheld
from hpm_tools.config import files
from hpm_tools.config.checks import EMBEDDED
from hpm_tools.errors import BoardUnreachable, HpmError, Refused
from hpm_tools.events import damage
from hpm_tools.events.store import EventStore
from hpm_tools.hook import hints
from hpm_tools.hook.finding import mistake
from hpm_tools.local_time import at, when
from hpm_tools.notify import courier
from hpm_tools.runner import daily, orphans, pickup_gate, repository_health
from hpm_tools.runner.health_line import Line
from hpm_tools.runner.overview import figures_here
from hpm_tools.runner.writable import unwritable
from hpm_tools.state import guard, prompts
from hpm_tools.state.holder import in_words
from hpm_tools.state.limits import Limits
from hpm_tools.state.mounts import network_file_system
from hpm_tools.state.outbox import Outbox
from hpm_tools.state.paths import GUARD_SUFFIX
from hpm_tools.state.persistence import all_records
from hpm_tools.state.record import HAND
from hpm_tools.state.spending import Spending, day_of, next_day
from hpm_tools.text import age, counted, duration, one_line, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hpm_tools.runner.toolbox import Toolbox

LEAST_DISK = 1 << 30
LEAST_MEMORY = 512 << 20
OLD_LOCK = 6 * 3600.0
EVENTS_OF = 7 * 86400.0
"""Seconds of the past whose hooks and tasks are counted."""
AS_DEFAULT = "; what follows is seen with its default"
CHECK_DISK = "look at the free space, and at who keeps the file locked"


def examine(tools: Toolbox, problems: Sequence[str] = ()) -> list[Line]:
    """Every check in turn; one that raises becomes a failing line, never the end of the others.

    ``problems`` are those of the configuration, whose settings have their defaults in ``tools``.
    """
    lines: list[Line] = []
    checks: tuple[tuple[str, Callable[[], Iterator[Line]]], ...] = (
        ("config", lambda: _config(tools, problems)),
        ("board", lambda: _board(tools, sure=not problems)),
        ("agent", lambda: _agent(tools)),
        ("git", repository_health.git),
        ("repository", lambda: repository_health.repository(tools)),
        ("partial clone", lambda: repository_health.missing_objects(tools)),
        ("submodules", lambda: repository_health.submodules(tools)),
        ("writing", lambda: _writing(tools)),
        ("disk", lambda: _disk(tools)),
        ("memory", _memory),
        ("locks", lambda: _locks(tools)),
        ("guards", lambda: _guards(tools)),
        ("unheld tasks", lambda: _unheld(tools)),
        ("prompts", lambda: _prompts(tools)),
        ("limits", lambda: _limits(tools)),
        ("pick-up", lambda: _pickup(tools)),
        ("budget", lambda: _budget(tools)),
        ("notifications", lambda: _notifications(tools)),
        ("worktrees", lambda: repository_health.worktrees(tools)),
        ("hooks", lambda: _hooks(tools)),
        ("events", lambda: _events(tools)),
    )
    for name, check in checks:
        try:
            lines.extend(check())
        except HpmError as error:
            if not any(_is_known(line, error) for line in lines):
                lines.append(Line(name, False, error.message, error.hint))
    return lines


def _is_known(line: Line, error: HpmError) -> bool:
    """Whether a check failed before for the same reason: no repository, or no board, is one finding and not four."""
    # Of these the message names the request that failed.
    unreachable = isinstance(error, BoardUnreachable | Refused) and line.name == "board"
    return line.ok is False and line.hint == error.hint and (unreachable or line.text == error.message)


def _config(tools: Toolbox, problems: Sequence[str] = ()) -> Iterator[Line]:
    for problem in problems:
        yield Line("config", False, problem, f"correct it: no other command works until then{AS_DEFAULT}")
    if not problems:
        yield Line("config", True, f"state in {tools.state.home}")
    network = network_file_system(tools.state.home)
    if network:
        yield Line(
            "state directory",
            None,
            f"{tools.state.home} is on {network}: its locks hold on this host only",
            "set HEADLESS_PM_HOME to a local directory",
        )
    for warning in tools.config.warnings:
        yield Line("config", None, warning)
    shown = tools.config.redacted().values()
    for file in sorted({one["source"] for one in shown if one["value"] == "***"}):
        if file.startswith("/") and files.others_may(file, stat.S_IROTH):
            yield Line("config", None, f"{file} holds a secret and others can read it", f"chmod go-r {file}")


def _board(tools: Toolbox, *, sure: bool = True) -> Iterator[Line]:
    if not sure and not tools.config.api_key and tools.config.api_url != EMBEDDED:
        text = "not asked: what is wrong in the configuration leaves no address that the key may go to"
        yield Line("board", False, text, "correct the configuration first")
        return
    began = time.monotonic()
    health = tools.board.health()
    seconds = time.monotonic() - began
    facts = {"seconds": round(seconds, 4), "exact_lock": health.exact_lock, "cheap_wait": health.cheap_wait}
    lock = "exact locks" if health.exact_lock else "racy locks, read back after each"
    yield Line("board", True, f"{tools.board.url} answers in {seconds * 1000:.0f} ms, {lock}", "", facts)
    agents = tools.board.agents()
    yield Line("board key", True, f"accepted; {counted(len(agents), 'agent')} registered")


def _agent(tools: Toolbox) -> Iterator[Line]:
    for line in tools.executor.check():
        yield Line(line.name, line.ok, line.text, line.hint)


def _writing(tools: Toolbox) -> Iterator[Line]:
    found = unwritable(tools)
    for it in found:
        yield Line(it.what, False, f"{it.path} cannot be written: {it.why}", it.hint, {"path": it.path})
    if not found:
        yield Line("writing", True, "every place that a runner writes to can be written")


def _disk(tools: Toolbox) -> Iterator[Line]:
    free = shutil.disk_usage(tools.repository.root).free
    ok = free >= LEAST_DISK
    yield Line(
        "disk", ok, f"{size(free)} free", "" if ok else f"free at least {size(LEAST_DISK)}", {"free": free}
    )


def _memory() -> Iterator[Line]:
    import psutil

    free = psutil.virtual_memory().available
    ok = None if free < LEAST_MEMORY else True
    yield Line(
        "memory", ok, f"{size(free)} available", "" if ok else "run fewer agents here", {"available": free}
    )


def _locks(tools: Toolbox) -> Iterator[Line]:
    for view in all_records(tools.state):
        record = view.record
        if record is None:
            yield Line(
                f"lock {view.agent_id}",
                False,
                str(view.problem),
                f"hpm recover --agent-id {view.agent_id} rebuilds it",
            )
            continue
        life, age = view.liveness, record.age() or 0.0
        text = f"task {record.task_id} at {record.step}, {duration(age)} old, {in_words(record.holder, life)}"
        facts = {"task_id": record.task_id, "step": record.step, "age_seconds": round(age), "alive": life}
        if life == "alive" and age < OLD_LOCK:
            yield Line(f"lock {view.agent_id}", True, text, "", facts)
        else:
            way_on = (
                "if nobody is at it any more,"
                if record.holder == HAND
                else "start its runner again to resume it, or"
            )
            hint = f"{way_on} give it back: hpm unlock --agent-id {view.agent_id}"
            yield Line(f"lock {view.agent_id}", None, text, hint, facts)


def _guards(tools: Toolbox) -> Iterator[Line]:
    """What stands in the place of an agent's or a task's guard and keeps runners from taking it."""
    for directory in (tools.state.locks, tools.state.tasks):
        try:
            names = sorted(name for name in os.listdir(directory) if name.endswith(GUARD_SUFFIX))
        except OSError:  # not made yet; where it cannot be read, another line says so
            continue
        for name in names:
            try:
                guard.refuse_unusable(os.path.join(directory, name))
            except HpmError as error:
                yield Line("guard", False, error.message, error.hint)


def _unheld(tools: Toolbox) -> Iterator[Line]:
    """Tasks that nobody works on and nobody is offered; those of a record here are shown with that."""
    for task in unheld(tools.board):
        if orphans.recorded_here(tools, task) is None:
            yield Line(
                f"task {task.id}",
                None,
                f"under_work since {at(task.updated_at)} at the latest, but held by nobody: {one_line(task.title, 60)}",
                f"{retry_command(task.id)} puts it back to where it was taken from",
                {"task_id": task.id, "updated_at": task.updated_at},
            )
    # An agent of this host keeps such a lock alive by every sign of life, so that it never lapses.
    for task in orphans.held_without_record(tools):
        agent = task.locked_by
        yield Line(
            f"task {task.id}",
            None,
            f"under_work and locked by {agent}, but no record on this host has it: {one_line(task.title, 60)}",
            f"if no other machine runs {agent}: hpm recover --agent-id {agent} --adopt takes it over, then "
            f"hpm unlock --agent-id {agent} gives it back",
            {"task_id": task.id, "updated_at": task.updated_at},
        )


def _prompts(tools: Toolbox) -> Iterator[Line]:
    for prompt in prompts.all_waiting(tools.state):
        yield Line(
            f"prompt {prompt.agent_id}",
            None,
            f"waits for an answer since {age(prompt.opened_at)}: {prompt.question}",
            prompt.how_to_answer,
            {"prompt": prompt.id, "task_id": prompt.task_id, "opened_at": prompt.opened_at},
        )


def _limits(tools: Toolbox) -> Iterator[Line]:
    until = Limits(tools.state).until(tools.config.account)
    if until is not None and until > time.time():
        yield Line("usage limit", None, f"reached; runners wait until {when(until)}", "", {"until": until})


def _pickup(tools: Toolbox) -> Iterator[Line]:
    for pause in pickup_gate.pauses(tools):
        yield Line(
            "pick-up",
            False,
            pickup_gate.sentence(pause),
            pickup_gate.hint(tools, pause),
            pickup_gate.facts(pause),
        )


def _budget(tools: Toolbox) -> Iterator[Line]:
    """What the day has cost so far, by agent, against its budgets."""
    settings, spending, now = tools.config.budget, Spending(tools.state), time.time()
    day = day_of(now)
    by_agent = spending.by_agent(day)
    host = sum(by_agent.values())
    facts = {
        "day": day,
        "until": next_day(now),
        "host_usd": round(host, 4),
        "agents_usd": {name: round(cost, 4) for name, cost in by_agent.items()},
    }
    of = f" of {settings.host_daily_usd:.2f}" if settings.host_daily_usd else ""
    caps = [(host, settings.host_daily_usd), *((c, settings.agent_daily_usd) for c in by_agent.values())]
    spent = any(limit and limit - cost < daily.LEAST for cost, limit in caps)
    each = "; ".join(f"{name} {cost:.2f}" for name, cost in by_agent.items())
    if host or settings.host_daily_usd or settings.agent_daily_usd:
        text = f"{host:.2f}{of} USD on {day} (local day)" + (f": {each}" if each else "")
        hint = f"then: {settings.then}; what may be spent is set by budget.agent_daily_usd and budget.host_daily_usd"
        yield Line("budget", None if spent else True, text, hint if spent else "", facts)
    for path in spending.damaged():
        yield Line(
            "spending",
            None,
            f"{path} was damaged and set aside: what it said counts no more",
            "look at it, then delete it",
        )


def _notifications(tools: Toolbox) -> Iterator[Line]:
    """Whether people are told; nothing is sent by looking."""
    settings = tools.config.notify
    if not settings.urls:
        return
    courier.require_extra()
    facts = {"services": len(settings.urls), "on": list(settings.on)}
    failed = Outbox(tools.state, window=settings.window, hourly=settings.hourly).problem()
    if failed is None:
        yield Line(
            "notifications", True, f"events are sent to {counted(len(settings.urls), 'service')}", "", facts
        )
    else:
        text = f"the last message failed at {when(failed[0])}: {tools.clean(failed[1])}"
        yield Line("notifications", None, text, "hpm notify.test tries each service", facts)


def _hooks(tools: Toolbox) -> Iterator[Line]:
    for path, meant in tools.hooks.mistyped():
        facts = {"path": str(path), "meant": meant}
        yield Line(
            "hook file",
            None,
            mistake(path, meant),
            f"rename it; {hints.listing(tools.config)} shows what runs",
            facts,
        )


def _events(tools: Toolbox) -> Iterator[Line]:
    """Whether what happens is kept; then how hooks and tasks fared."""
    if not tools.config.events.enabled:
        yield Line("events", None, "what happens is not kept", "set events.enabled to true")
        return
    for path in damage.kept(tools.state.events):
        yield Line(
            "damaged events",
            None,
            f"{path} was damaged and set aside: what it holds is in no figure",
            f"sqlite3 {path} .recover shows what is left in it; then delete it, with its -wal and -shm",
            {"path": path},
        )
    try:
        found = figures_here(tools.state, now=time.time(), since=time.time() - EVENTS_OF)
        with EventStore(tools.state.events) as store:
            facts = {"count": store.count(), "lost": found.events_lost}
    except HpmError as error:
        # Runners work all the same.
        yield Line("events", None, error.message, error.hint)
        return
    kept = f"{facts['count']} kept"
    if found.events_lost:
        yield Line(
            "events", None, f"{kept}; {found.events_lost} could not be written down", CHECK_DISK, facts
        )
    else:
        yield Line("events", True, kept, "", facts)
    for name, hook in found.hooks.items():
        yield Line(
            f"hook {name}",
            None if hook.failed else True,
            f"{hook.ok} of {hook.ok + hook.failed} runs succeeded",
            f"see what it says: {hints.run_file(tools.config, name, hook.failed_file)}"
            if hook.failed
            else "",
            {"succeeded": hook.ok, "failed": hook.failed},
        )
    work = found.work
    if work.ended:
        half = f", half of them within {duration(work.seconds.median)}" if work.seconds.median else ""
        times = {"count": work.ended, "median_seconds": work.seconds.median}
        yield Line("tasks", True, f"{work.ended} worked here within 7 days{half}", "", times)
