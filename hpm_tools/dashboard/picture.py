"""All that is shown, kept up to date: events are taken as they come, everything else is looked at now and then."""

from __future__ import annotations

import os
import threading
import time
from functools import cached_property
from typing import TYPE_CHECKING

from hpm_tools.dashboard import board_view, forge, now, trend
from hpm_tools.dashboard.looks import Look
from hpm_tools.dashboard.trend import Trend
from hpm_tools.errors import HpmError, NothingToDo
from hpm_tools.events.store import EventStore
from hpm_tools.runner import checkup, orphans
from hpm_tools.state import prompts
from hpm_tools.state.views import all_records
from hpm_tools.worktree import restore

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hpm_tools.board.client import Board
    from hpm_tools.board.models import Task
    from hpm_tools.dashboard.now import AgentNow
    from hpm_tools.dashboard.outcomes import Outcome
    from hpm_tools.dashboard.trend import Window
    from hpm_tools.events.store import Stored
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.prompts import Prompt
    from hpm_tools.state.views import RecordView
    from hpm_tools.worktree.restore import Salvaged

NOW_BACK = 3600.0
"""Seconds of events that say what agents do now; older ones say nothing of it."""
LEAD = 6 * 3600.0
"""Seconds before a period from which events are read too: what ends in it may have been said there."""
BOARD_EVERY = 2.0
DAY = 86400.0
LONGEST = 92 * DAY
"""Seconds of ended tasks that a dashboard that is never closed keeps in memory."""
GIT_EVERY = 20.0
HEALTH_EVERY = 60.0
FORGE_EVERY = 3600.0
LIFE_EVERY = 1.0
"""Seconds between two looks whether holders live: they can die without leaving a trace in a file."""
BOARD_PATIENCE = 5.0


class Picture:
    """``changed`` brings it up to date; all else only reads it. ``tools`` reach the board, git and the state."""

    def __init__(self, tools: Toolbox) -> None:
        self.tools = tools
        self._events_problem = ""
        self._records_problem = ""
        self._trend = Trend()
        self._windows: dict[float, Window] = {}
        self.queue = Look(lambda: board_view.look(self._board), BOARD_EVERY)
        self.health = Look(lambda: checkup.examine(tools), HEALTH_EVERY)
        self.salvage = Look(self._salvages, GIT_EVERY)
        self.forge = Look(lambda: forge.look(tools.repository.git), FORGE_EVERY)
        self._looks = (self.queue, self.health, self.salvage, self.forge)
        self._store = EventStore(tools.state.events)
        self._now = now.Now()
        self._lock = threading.RLock()
        self._newest = -1
        self._seen: tuple[object, ...] = ()
        self._agents: list[AgentNow] = []
        self._views: list[RecordView] = []
        self._idle: list[str] = []
        self._records_seen: tuple[object, ...] = ()
        self._questions: list[Prompt] = []
        self._reach = 0.0

    @property
    def agents(self) -> Sequence[AgentNow]:
        return self._agents

    @property
    def questions(self) -> Sequence[Prompt]:
        return self._questions

    @property
    def where(self) -> str:
        """The board and the repository that are looked at."""
        config, home = self.tools.config, os.path.expanduser("~")
        repo = config.repo or ""
        if repo.startswith(home + os.sep):
            repo = "~" + repo[len(home) :]
        return " · ".join(filter(None, [config.api_url, repo]))

    @property
    def problem(self) -> str:
        """Why events or records cannot be read; "" if they can."""
        return "; ".join(filter(None, [self._events_problem, self._records_problem]))

    def changed(self) -> bool:
        """Take in what is new; whether anything is."""
        with self._lock:
            for look in self._looks:
                look.again()
            fresh = self._take_events()
            self._look_at_records()
            asking = {prompt.agent_id for prompt in self._questions}
            self._agents = self._now.rows(self._views, self._idle, asking)
            seen = (
                *((look.found, look.problem) for look in self._looks),
                self.problem,
                self._agents,
                [prompt.id for prompt in self._questions],
                time.time() // trend.MOVES,
            )
            changed = fresh or seen != self._seen
            self._seen = seen
            return changed

    def look_once(self) -> None:
        """Look at everything, and wait for it: for a report, which nobody brings up to date."""
        for look in self._looks:
            look.now()
        self.changed()

    def window(self, seconds: float) -> Window:
        """What happened in the last ``seconds``; the same one as before while nothing has."""
        now = time.time()
        with self._lock:
            if not self._reach or now - seconds < self._reach - trend.MOVES:
                self._load_trend(now - seconds)
            known = self._windows.get(seconds)
            if known is None or known.until < now - trend.MOVES:
                self._trend.forget(now - LONGEST)
                known = self._windows[seconds] = self._trend.window(seconds, now)
            return known

    @property
    def ended(self) -> Sequence[Outcome]:
        """All ends that are known here, those before the period that is looked at included."""
        return self._trend.ended

    def events_of(self, run: str) -> list[Stored]:
        """The events of one run, oldest first."""
        return list(self._store.read(run=run))

    def unrecorded(self, tasks: Iterable[Task]) -> list[Task]:
        """Those of ``tasks`` that no record on this host has."""
        return [task for task in tasks if orphans.recorded_here(self.tools, task) is None]

    def branch_url(self, branch: str) -> str:
        """Where the branch can be looked at on the repository's forge; "" if that is not known."""
        found = self.forge.found
        return found.url(branch) if found is not None and branch else ""

    def prometheus(self) -> str:
        """The figures of the last day for Prometheus."""
        from hpm_tools.events.prometheus import exposition
        from hpm_tools.runner.overview import figures_here

        now = time.time()
        return exposition(figures_here(self.tools.state, now=now, since=now - DAY, by="agent"))

    def answer(self, agent: str, prompt: str, choice: str) -> str:
        """Answer an agent's question; what came of it, as one of the page's words for that."""
        try:
            prompts.answer(self.tools.state, agent, choice, prompt_id=prompt, by="the dashboard")
        except NothingToDo:
            return "gone"
        except HpmError:
            return "refused"
        return "answered"

    def _take_events(self) -> bool:
        """Take the events that came since the last time; whether there were any."""
        fresh = False
        try:
            newest = self._store.newest_id()
            if newest < self._newest or self._newest < 0:
                self._begin(newest)
                fresh = True
            for event in self._store.read(after=self._newest):
                self._newest, fresh = event.id, True
                self._now.take(event)
                if self._reach and event.event in trend.NAMES:
                    self._trend.take(event)
                    self._windows.clear()
            self._events_problem = ""
        except HpmError as error:
            self._events_problem = error.message
        return fresh

    def _begin(self, newest: int) -> None:
        """Begin with a file of events, or again with a new one in its place."""
        self._newest, self._reach, self._now = newest, 0.0, now.Now()
        for event in self._store.read(since=time.time() - NOW_BACK):
            if event.id <= newest:
                self._now.take(event)

    def _load_trend(self, start: float) -> None:
        """Read the trend anew from ``start`` on; what comes after the newest event is taken as it comes."""
        found = Trend()
        try:
            for event in self._store.read(since=start - LEAD, names=trend.NAMES):
                if event.id <= self._newest:
                    found.take(event)
        except HpmError as error:
            self._events_problem = error.message
        self._trend, self._reach = found, start
        self._windows.clear()

    def _look_at_records(self) -> None:
        """Who holds what and who asks what, where a file says that it changed, or time has gone by."""
        state = self.tools.state
        seen = _changed_at(state.locks), time.monotonic() // LIFE_EVERY
        if seen == self._records_seen:
            return
        try:
            self._views = all_records(state)
            self._questions = prompts.all_waiting(state)
            self._records_problem = ""
        except HpmError as error:
            self._records_problem = error.message
        self._idle = now.guarded(state, {view.agent_id for view in self._views})
        self._records_seen = seen

    def _salvages(self) -> list[Salvaged]:
        git = self.tools.repository.git
        return [found for found in restore.salvages(git) if not found.merged]

    @cached_property
    def _board(self) -> Board:
        """Asked again every few seconds anyway, so that no look at it may last long."""
        return self.tools.board.impatient(retries=0, patience=BOARD_PATIENCE)


def _changed_at(directory: str) -> int:
    try:
        return os.stat(directory).st_mtime_ns
    except OSError:
        return 0
