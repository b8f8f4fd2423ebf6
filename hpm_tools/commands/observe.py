"""`events` and `metrics`: what happened on this host, and what it amounts to."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from hpm_tools import names
from hpm_tools.registry import Arg, Result, command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hpm_tools.commands.results import Figures
    from hpm_tools.events.store import EventStore, Stored
    from hpm_tools.ui import TerminalUI

LOOK_EVERY = 0.25
GROUPS = ("role", "agent", "model", "difficulty", "verdict")
SINCE = Arg("from when on: a span (90m, 24h, 7d), today, yesterday, or a local time", metavar="WHEN")


def _kind(text: str) -> str:
    """A kind of event that is kept; UsageError for a word that no event is called."""
    from hpm_tools.commands.events import kept_kinds
    from hpm_tools.config.files import did_you_mean
    from hpm_tools.errors import UsageError

    known = kept_kinds()
    if text not in known:
        near = did_you_mean(text, known)
        raise UsageError(
            f"--event {names.shown(text)} is no kind of event{near}", f"kinds: {', '.join(sorted(known))}"
        )
    return text


@command(
    "events",
    example="hpm events --since 1h --follow",
    streams=True,
    reads=True,
    args={
        "follow": Arg("go on with what happens from now on, until interrupted"),
        "since": SINCE,
        "agent_id": Arg("only this agent's", metavar="A", check=names.agent_id),
        "task_id": Arg("only this task's", metavar="N", check=names.task_id),
        "event": Arg("only this kind, e.g. parked; may be repeated", metavar="KIND", check=_kind),
    },
)
def events(
    ui: TerminalUI,
    *,
    follow: bool = False,
    since: str = "24h",
    agent_id: str | None = None,
    task_id: int | None = None,
    event: list[str] | None = None,
) -> None:
    """Print what happened here, oldest first.

    Shows every step of every run, by the runner or by single commands. The events are kept in the state
    directory for all boards and agents of this host. With --json one object per line, each with the fields of
    its kind.
    """
    from hpm_tools.commands.common import config
    from hpm_tools.events.moments import moment
    from hpm_tools.events.recorder import take_in
    from hpm_tools.events.store import EventStore
    from hpm_tools.state.paths import StateDir

    begin = moment(since, time.time())
    with EventStore(StateDir(config().home).events) as store:
        take_in(store)
        read = partial(store.read, agent=agent_id, task=task_id, names=tuple(event or ()))
        _print(ui, _followed(store, read, begin) if follow else read(since=begin))


def _followed(store: EventStore, read: Callable[..., Iterator[Stored]], begin: float) -> Iterator[Stored]:
    from hpm_tools.events.recorder import take_in

    last = store.newest_id()
    found = read(since=begin)
    while True:
        for event in found:
            last = max(last, event.id)
            yield event
        time.sleep(LOOK_EVERY)
        take_in(store)
        newest = store.newest_id()
        # A file that was moved away begins again.
        found, last = read(after=last if newest >= last else 0), newest


def _print(ui: TerminalUI, found: Iterable[Stored]) -> None:
    from hpm_tools.ui import one_line, to_json

    for event in found:
        if ui.json:
            ui.line(to_json(as_line(event)))
        else:
            clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.at))
            said = one_line(sentence(event)).removeprefix(f"{event.agent} ")
            ui.line(f"{clock} {event.agent} {said}")


def as_line(event: Stored) -> dict[str, Any]:
    """The event as `events --json` prints it: the kind's own fields beside those of every event."""
    return {
        "event": event.event,
        "time": _iso(event.at),
        "text": "",
        **event.data,
        **({} if event.task is None else {"task": event.task}),
        "id": event.id,
        "at": event.at,
        "v": event.v,
        "agent": event.agent,
        "role": event.role,
        "board": event.board,
        "run": event.run,
        "host": event.host,
    }


def sentence(event: Stored) -> str:
    """The event in words. What programs alone count with, like the histogram of board calls, is in --json."""
    of_task = [] if event.task is None else [f"task {event.task}"]
    told = ((name, value) for name, value in event.data.items() if name != "text")
    fields = (f"{name}={value}" for name, value in told if value is not None and not isinstance(value, list))
    return event.data.get("text") or " ".join([*of_task, event.event, *fields])


def _iso(at: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(at).astimezone().isoformat(timespec="milliseconds")


@command(
    "metrics",
    example="hpm metrics --since 24h --by model",
    reads=True,
    args={
        "since": SINCE,
        "by": Arg("break the figures down by this field", choices=GROUPS),
        "prometheus": Arg("in Prometheus' text format (extra: metrics)"),
    },
)
def metrics(
    ui: TerminalUI, *, since: str = "24h", by: str | None = None, prometheus: bool = False
) -> Result[Figures]:
    """Print figures: endings, durations, turns, cost.

    What the work of this host's agents came to, with tokens, hooks and calls of the board.

    A task is counted each time an agent takes it, so one that a maker finishes and qa accepts counts twice; it
    is finished when its result was reported. Success is finished among finished and parked. Dollars per
    finished task are all that was spent, divided by the finished ones.
    """
    from hpm_tools.commands.common import config
    from hpm_tools.events.moments import moment
    from hpm_tools.runner.overview import figures_here
    from hpm_tools.state.paths import StateDir

    now = time.time()
    found = figures_here(StateDir(config().home), now=now, since=moment(since, now), by=by)
    if prometheus:
        from hpm_tools.events.prometheus import exposition

        return Result(found, exposition(found).rstrip("\n"))
    from hpm_tools.commands.figures_text import text

    return Result(found, text(found))
