"""Whether a host should take tasks with an executor: what failed with it last, and the pause that follows.

A failure is a task's fault or the host's: a broken update of the agent's program, a refused key, a setting. The
next tasks tell. While it looks like the host's, nothing is taken but one task after each pause, to try; parking
every task of a night would be wrong. There is one file per executor *as it is configured*, for all runners of the
host: of another program, or with other settings, nothing is known yet.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hpm_tools.errors import HpmError
from hpm_tools.process.identity import boot_id
from hpm_tools.state import files, quarantine, quickjson
from hpm_tools.state.paths import file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hpm_tools.state.paths import StateDir

NONSTART = "nonstart"
NO_OUTCOME = "no_outcome"
REFUSED = "refused"
SETUP = "setup"
AWAY = "away"
AUTH = "auth"
"""The kinds of pauses: the program does not begin; it ends with 0 and no outcome; task after task fails in silence; the
set-up of worktrees fails; the program is not there; its login is refused."""

KINDS = (NONSTART, NO_OUTCOME, REFUSED, SETUP, AWAY, AUTH)
SUFFIX = ".pickup"
LONGEST = 3600.0
"""Seconds between two tries at most."""
MOST_DOUBLINGS = 12
_MOST_FAILED = 20
_LARGEST = 1e11
"""Beyond any Unix time that is written here: the year 5138."""
_READ_LIMIT = 256 << 10


@dataclass(frozen=True, slots=True)
class Failed:
    """A task that failed in silence, and was parked. ``before`` is the status that it was taken from.

    ``agent`` parked it. Board, id and time of creation name the task: the board gives ids again after a delete.
    """

    board: str
    task_id: int
    created_at: str
    before: str
    agent: str

    @property
    def task(self) -> tuple[str, int, str]:
        return self.board, self.task_id, self.created_at


@dataclass(frozen=True, slots=True)
class Pause:
    """Why nothing is taken. ``since`` and ``until`` are Unix time; ``tries`` of single tasks have failed since.

    ``trying`` is the agent that tries a task now, if one does. ``due`` is ``until`` by the clock of the boot ``boot``,
    which nobody sets (clock_gettime(2), CLOCK_BOOTTIME); ``seconds`` is how long the wait until then is in all.
    """

    kind: str
    reason: str
    since: float
    until: float
    tries: int = 0
    trying: str | None = None
    boot: str = ""
    due: float = 0.0
    seconds: float = LONGEST

    def seconds_left(self) -> float:
        """Seconds until a task may be tried; 0 if one may now.

        A wall clock that is set moves this only across a reboot, and one that was set back makes nobody wait longer.
        """
        left = self.due - _since_boot() if self.boot and self.boot == boot_id() else self.until - time.time()
        return left if 0.0 < left <= self.seconds else 0.0


class PickUp:
    """What this host knows of an executor; ``configured`` stands for its program and settings."""

    def __init__(self, state: StateDir, executor: str, configured: str = "") -> None:
        self._state = state
        self._path = os.path.join(state.limits, file_name(f"{executor}-{configured}") + SUFFIX)

    def begins_nothing(self, task: str) -> bool:
        """Whether the program failed to begin for another task than this one, and has not begun since."""
        return self._read().get("nonstart") not in (None, task)

    def pause(self) -> Pause | None:
        """The pause that is on."""
        return _pause(self._read())

    def failed_before(self, failed: Failed) -> int:
        """How many other tasks failed in silence just before this one."""
        return sum(one.task != failed.task for one in _tasks(self._read(), "failed"))

    def to_put_back(self) -> Sequence[Failed]:
        """The tasks that were parked before the pause began, and are to be offered again."""
        return _tasks(self._read(), "put_back")

    def note_nonstart(self, task: str) -> None:
        """The program began in none of the attempts at ``task``."""
        self._change(lambda facts: {**facts, "nonstart": task})

    def note_failed(self, failed: Failed) -> None:
        """The task was parked: it failed, and neither a word of its agent nor a change came of it."""

        def add(facts: dict[str, Any]) -> dict[str, Any]:
            known = [one for one in _tasks(facts, "failed") if one.task != failed.task]
            return {**facts, "failed": [asdict(one) for one in [*known, failed][-_MOST_FAILED:]]}

        self._change(add)

    def hold(self, kind: str, reason: str, first: float, longest: float = LONGEST) -> None:
        """Begin a pause of ``first`` seconds, or double the one after which a try failed, up to ``longest``.

        One that is not over stays as it is: it may be said twice, by a runner that was killed in between or by
        several at once. The tasks that failed before are to be put back.
        """

        def change(facts: dict[str, Any]) -> dict[str, Any]:
            now, known = time.time(), _pause(facts)
            tries = 0 if known is None else known.tries + 1
            if known is None or not known.seconds_left():
                seconds = min(longest, LONGEST, first * 2.0 ** min(tries, MOST_DOUBLINGS))
                since = now if known is None else known.since
                due = _since_boot() + seconds
                known = Pause(kind, reason, since, now + seconds, tries, None, boot_id(), due, seconds)
            back = [*_tasks(facts, "put_back"), *_tasks(facts, "failed")]
            back = list(dict.fromkeys(back))
            return {
                **facts,
                "failed": [],
                "put_back": [asdict(one) for one in back],
                "pause": asdict(known),
            }

        self._change(change)

    def try_one(self, agent: str, alive: Callable[[str], bool]) -> bool:
        """Whether ``agent`` may take a task, to try: the pause is over, and no other agent that lives is trying one."""
        mine = False

        def change(facts: dict[str, Any]) -> dict[str, Any]:
            nonlocal mine
            known = _pause(facts)
            mine = known is None or may_try(known, agent, alive)
            if known is None or not mine:
                return facts
            return {**facts, "pause": {**asdict(known), "trying": agent}}

        self._change(change)
        return mine

    def tried(self, agent: str) -> None:
        """``agent`` tries no task any more, however it ended."""
        known = self.pause()
        if known is not None and known.trying == agent:
            self._change(
                lambda facts: (
                    {**facts, "pause": {**facts["pause"], "trying": None}}
                    if (_pause(facts) or known).trying == agent
                    else facts
                )
            )

    def begun(self) -> Pause | None:
        """The program has begun; returns the pause that ends with this."""
        if not self._read():
            return None
        known = self.pause()
        ended = known if known is not None and known.kind in (NONSTART, SETUP, AWAY) else None
        self._change(lambda facts: {**facts, "nonstart": None, **({"pause": None} if ended else {})})
        return ended

    def worked(self) -> Pause | None:
        """An agent did something or said how it went; returns the pause that ends with this."""
        if not self._read():
            return None
        ended = self.pause()
        self._change(lambda facts: {"put_back": facts.get("put_back", [])})
        return ended

    def put_back(self, failed: Failed) -> None:
        """The task is offered again, or need not be."""

        def remove(facts: dict[str, Any]) -> dict[str, Any]:
            left = [asdict(one) for one in _tasks(facts, "put_back") if one != failed]
            return {**facts, "put_back": left}

        self._change(remove)

    def _read(self) -> dict[str, Any]:
        try:
            return _parse(files.read_capped(self._path, _READ_LIMIT) or b"")
        except HpmError:
            return {}

    def _change(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._state.prepare(self._state.limits)
        try:
            self._change_file(change)
        except files.NotARegularFile:
            quarantine.set_aside(self._path)
            self._change_file(change)

    def _change_file(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        with files.Exclusive(self._path, create=True) as file:
            try:
                facts = _parse(file.read(_READ_LIMIT))
            except files.TooLarge:
                facts = {}
            changed = {name: value for name, value in change(facts).items() if value}
            if changed:
                files.atomic_write(self._path, quickjson.dumps(changed))
            else:
                files.remove(self._path)


def prune(state: StateDir, days: float) -> list[str]:
    """Remove what has been known for ``days`` of executors as they were configured once; returns the paths."""
    return files.remove_older(state.limits, days, lambda name: name.endswith(SUFFIX))


def may_try(pause: Pause, agent: str, alive: Callable[[str], bool]) -> bool:
    """Whether ``agent`` may try a task now, as far as ``pause`` says."""
    if pause.seconds_left():
        return False
    return pause.trying in (None, agent) or not alive(pause.trying)


def _parse(data: bytes) -> dict[str, Any]:
    """The facts. A damaged file holds nobody back: the next failures will tell again."""
    try:
        found = quickjson.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _pause(facts: Mapping[str, Any]) -> Pause | None:
    known = facts.get("pause")
    if not isinstance(known, dict):
        return None
    try:
        pause = Pause(**known)
    except TypeError:
        return None
    texts = all(isinstance(text, str) for text in (pause.reason, pause.trying or "", pause.boot))
    times = all(_is_number(value, _LARGEST) for value in (pause.since, pause.until, pause.due))
    lengths = _is_number(pause.seconds, LONGEST) and _is_number(pause.tries, _LARGEST)
    return pause if pause.kind in KINDS and texts and times and lengths else None


def _is_number(value: object, largest: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= largest


def _since_boot() -> float:
    """Seconds since the boot, a suspend counted."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _tasks(facts: Mapping[str, Any], name: str) -> list[Failed]:
    rows = facts.get(name)
    return [one for row in rows if (one := _task(row))] if isinstance(rows, list) else []


def _task(row: object) -> Failed | None:
    try:
        found = Failed(**row) if isinstance(row, dict) else None
    except TypeError:
        return None
    if found is None or type(found.task_id) is not int or found.task_id < 1:
        return None
    texts = (found.board, found.created_at, found.before, found.agent)
    return found if all(isinstance(text, str) for text in texts) else None
