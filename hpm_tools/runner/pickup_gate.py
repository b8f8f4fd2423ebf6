"""Pausing pick-up while failures look like this host's fault, and trying single tasks until one shows otherwise.

What is known lies in state/pickup.py; policy.py decides which failure begins a pause.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from dataclasses import asdict
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from hpm_tools.board import lease, repeats, unheld
from hpm_tools.board.offering import OFFERED
from hpm_tools.errors import BadData, HpmError, Misconfigured, NotFound, Refused, TryLater
from hpm_tools.executor.verdict import RETRYABLE, VerdictKind
from hpm_tools.local_time import when
from hpm_tools.runner import policy, reports
from hpm_tools.state import guard, pickup
from hpm_tools.state.pickup import Failed, Pause, PickUp
from hpm_tools.text import counted, one_line

if TYPE_CHECKING:
    from hpm_tools.executor.verdict import Verdict
    from hpm_tools.runner.ending import Ending
    from hpm_tools.runner.policy import Decision
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record

LOOK_EVERY = 2.0
"""Seconds between looks in a pause: another runner's task may end it."""
LONGEST_REASON = 500
SETTINGS = (
    "executor",
    "executor_command",
    "executor_exit_code_is_outcome",
    "claude_path",
    "account",
    "models",
)
SCRIPTS = (".sh", ".bash", ".zsh", ".py", ".pyz", ".js", ".mjs", ".cjs", ".ts", ".rb", ".pl", ".php", ".lua")
"""The names' ends of what an interpreter is given to run, which need not be executable."""
KEYS = ("ANTHROPIC_", "CLAUDE_CODE_OAUTH")
WORKS = policy.SILENT | {
    VerdictKind.DONE,
    VerdictKind.REJECTED,
    VerdictKind.BLOCKED,
    VerdictKind.DENIED,
}
"""What an agent whose service works may end with. All others say nothing about it, or are waited out elsewhere."""

HINTS = {
    pickup.NONSTART: "hpm claude.check says whether the program can run",
    pickup.NO_OUTCOME: "set executor_exit_code_is_outcome: true if 0 means done, false if it says nothing; "
    "or have the program write HPM_OUTCOME_FILE",
    pickup.SETUP: "run worktree.setup by hand in a new worktree, or change that setting",
    pickup.AWAY: "tasks are taken again once the program is there",
    pickup.AUTH: "hpm claude.check says how the agent logs in",
    pickup.REFUSED: "see what the agents printed, in {runs}; look at the key, the account and the service",
}


def of(tools: Toolbox) -> PickUp:
    """What this host knows of the executor as it is configured now."""
    return PickUp(tools.state, tools.config.executor, _configured(tools))


def of_setup(tools: Toolbox) -> PickUp:
    """What this host knows of the set-up of worktrees in this repository, as it is configured now."""
    setup = tools.config.worktree.setup
    facts = [str(tools.repository.common_dir), *setup, *map(_as_it_lies, setup)]
    return PickUp(tools.state, pickup.SETUP, _digest(facts))


def _all(tools: Toolbox) -> list[PickUp]:
    return [of(tools), *([of_setup(tools)] if tools.config.worktree.setup else [])]


def pauses(tools: Toolbox) -> list[Pause]:
    """The pauses that are on, the longest first."""
    found = [pause for known in _all(tools) if (pause := known.pause()) is not None]
    return sorted(found, key=Pause.seconds_left, reverse=True)


def setup_failed(tools: Toolbox, reason: str) -> None:
    """Remember that the set-up of a worktree failed; the second time in a row begins a pause."""
    known = of_setup(tools)
    if known.begins_nothing(""):
        first, longest = policy.trial_pauses(pickup.SETUP, tools.config.retry_pause)
        known.hold(pickup.SETUP, one_line(tools.clean(reason), LONGEST_REASON), first, longest)
    else:
        known.note_nonstart("set-up")


def _configured(tools: Toolbox) -> str:
    """A digest of the program, as it lies on the disk, and of the settings and keys that it runs with."""
    config = tools.config
    programs = config.executor_command if config.executor == "command" else filter(None, [config.claude_path])
    environ = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(KEYS) or name in config.claude.env
    }
    facts = [
        *(repr(getattr(config, name)) for name in SETTINGS),
        repr(config.claude),
        json.dumps(sorted(environ.items())),
        *map(_as_it_lies, programs),
    ]
    return _digest(facts)


def _digest(facts: list[str]) -> str:
    return sha256("\0".join(facts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _as_it_lies(argument: str) -> str:
    """What changes when the program or script ``argument`` is replaced; "" for any other argument.

    A log or a directory that the agent writes to would make each run another program's, and no pause would hold.
    """
    path = shutil.which(argument) or argument
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return ""
    executable = found.st_mode & 0o111 or os.path.splitext(path)[1] in SCRIPTS
    if not (os.path.isabs(path) and stat.S_ISREG(found.st_mode) and executable):
        return ""
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"


def failed(tools: Toolbox, record: Record) -> Failed:
    """The recorded task, as one that failed."""
    return Failed(
        board=tools.board_key,
        task_id=int(record.task_id),
        created_at=record.created_at or "",
        before=record.board_status_before or lease.DEFAULT_BEFORE,
        agent=tools.agent_id,
    )


def heed(tools: Toolbox, record: Record, verdict: Verdict, decision: Decision) -> None:
    """Remember what ``decision`` says of the executor. May be repeated for the same run of an agent."""
    known = of(tools)
    if decision.pauses:
        first, longest = policy.trial_pauses(decision.pauses, tools.config.retry_pause)
        reason = one_line(tools.clean(decision.reason), LONGEST_REASON)
        known.hold(decision.pauses, reason, first, longest)
    elif verdict.kind not in WORKS:
        return
    elif not verdict.fruitless:
        known.worked()
    elif decision.action is policy.Action.PARK and verdict.began:
        known.note_failed(failed(tools, record))
    elif decision.action is policy.Action.PARK and verdict.kind in RETRYABLE:
        known.note_nonstart(tools.log_of(record).path)


def settle(tools: Toolbox) -> None:
    """Offer the tasks again that were parked before it was clear that they were not at fault."""
    known = of(tools)
    for one in known.to_put_back():
        if one.board != tools.board_key:
            continue
        try:
            settled = _put_back(tools, one)
        except (BadData, NotFound) as error:
            # A board that knows no such status has the task where it was taken from already.
            tools.ui.warn(f"task {one.task_id} stays as it is: {error.message}")
            settled = True
        if settled:
            known.put_back(one)


def _put_back(tools: Toolbox, one: Failed) -> bool:
    """Whether nothing is left to be done; False while the agent that will park the task has not yet."""
    task = tools.board.find_task(one.task_id, status=lease.PARKED)
    if task is None or task.created_at != one.created_at:
        return True
    if task.status == lease.UNDER_WORK and task.locked_by == one.agent:
        return False
    # The board's own word first: the file may be garbled, or an agent's.
    before = unheld.status_when_taken(tools.board, task) or one.before
    if before not in OFFERED:
        tools.ui.warn(
            f"task {task.id} stays parked: it was {before} when it was taken, which is offered to nobody"
        )
        return True
    why = "what parked it looks like the fault of that agent's host"
    status = unheld.undo_parking(
        tools.board, task, before, parked_by=one.agent, agent_id=tools.agent_id, why=why
    )
    if status is not None:
        text = f"task {task.id} is offered again ({status}): what parked it looks like this host's fault"
        tools.tell("put_back", task=task.id, status=status, text=text)
    return True


def comment_on(tools: Toolbox, record: Record, ending: Ending) -> None:
    """Say on the board why the task was given back, and where its work is; once."""
    text = reports.given_back_comment(tools.agent_id, record, ending, tools.secrets)
    task = tools.board.find_task(int(record.task_id))
    if task is not None and not repeats.has_comment(task, tools.agent_id, text):
        tools.board.comment(task.id, tools.agent_id, text)


def sentence(pause: Pause) -> str:
    """The pause in words: why, since when, and what is next."""
    tried = f", {counted(pause.tries, 'task')} tried in vain" if pause.tries else ""
    if pause.kind == pickup.AWAY:
        following = "it is looked for again and again"
    elif pause.trying is not None and not pause.seconds_left():
        following = f"{pause.trying} tries a task"
    else:
        following = (
            f"the next task is tried at {when(pause.until)}"
            if pause.seconds_left()
            else "the next task is tried"
        )
    return f"no task is taken since {when(pause.since)}{tried}: {pause.reason}; {following}"


def hint(tools: Toolbox, pause: Pause) -> str:
    """What a person can do about the pause."""
    return HINTS.get(pause.kind, "").format(runs=tools.state.runs)


def facts(pause: Pause) -> dict[str, Any]:
    """The pause for programs."""
    known = asdict(pause)
    return {name: known[name] for name in ("kind", "reason", "since", "until", "tries")}


def _told_as(pause: Pause) -> tuple[float, float]:
    """What makes a pause another one to tell of: one that may be over in a moment is told once, however often prolonged."""
    return pause.since, 0.0 if pause.kind in policy.MOMENTARY else pause.until


class Gate:
    """What a runner passes before it takes a task. Without ``may_wait`` a pause ends it.

    A single task is a try of its own where the login was refused: whoever mended that need not wait.
    """

    def __init__(self, tools: Toolbox, *, may_wait: bool) -> None:
        self._tools = tools
        self._may_wait = may_wait
        self._told: set[tuple[float, float]] = set()
        self._looks = 0
        self._refused_at: float | None = None

    def pause(self) -> float:
        """Seconds until the next look, while nothing may be taken; else 0.

        Raises Misconfigured (78) or TryLater (75) instead of waiting, and Refused (77) once a login was refused for
        so long as `auth_patience` says.
        """
        settle(self._tools)
        self._look_for_program()
        found = self._look()
        self._heed_patience(found)
        held = [pause for pause in found if not self._may_try(pause)]
        if not held:
            self._looks = 0
            return 0.0
        known = held[0]
        if not self._may_wait:
            raise self.refusal(known)
        if known.kind == pickup.AWAY:
            self._looks += 1
            return min(policy.LONGEST_LOOK, policy.SHORTEST_LOOK * 2.0 ** min(self._looks - 1, 10))
        return min(LOOK_EVERY, known.seconds_left() or LOOK_EVERY)

    def _look_for_program(self) -> None:
        """Begin a pause where the agent's program is not there, before a task is taken for it, and end it once it is."""
        known, away = of(self._tools), self._tools.executor.away()
        paused = known.pause()
        if away is not None and paused is None:
            known.hold(pickup.AWAY, away.message, *policy.trial_pauses(pickup.AWAY, 0.0))
        elif away is None and paused is not None and paused.kind == pickup.AWAY:
            known.begun()

    def _heed_patience(self, found: list[Pause]) -> None:
        refused = next((pause for pause in found if pause.kind == pickup.AUTH), None)
        if refused is None or not self._may_wait:
            self._refused_at = None
            return
        # By this runner's own clock: one that a service manager starts again has its own patience.
        now = time.monotonic()
        self._refused_at = self._refused_at or now
        if now - self._refused_at >= self._tools.config.auth_patience:
            raise self.refusal(refused)

    def _may_try(self, pause: Pause) -> bool:
        if pause.kind == pickup.AWAY:
            return False
        own = pause.kind == pickup.AUTH and not self._may_wait
        return own or pickup.may_try(pause, self._tools.agent_id, self._alive)

    def enter(self) -> bool:
        """Whether a task may be taken now; in a pause by one runner of the host at a time."""
        agent = self._tools.agent_id
        may = all(self._may_enter(known, agent) for known in _all(self._tools))
        if not may:
            self.leave()
        return may

    def _may_enter(self, known: PickUp, agent: str) -> bool:
        paused = known.pause()
        if paused is None or (paused.kind == pickup.AUTH and not self._may_wait):
            return True
        return known.try_one(agent, self._alive)

    def leave(self) -> None:
        """The task is over, or was not to be had."""
        for known in _all(self._tools):
            known.tried(self._tools.agent_id)

    def after(self) -> HpmError | None:
        """See what the task that is over means for the next ones; why none is taken, if so."""
        self.leave()
        settle(self._tools)
        known = self._look()
        return self.refusal(known[0]) if known else None

    def refusal(self, known: Pause) -> HpmError:
        kinds = {pickup.NO_OUTCOME: Misconfigured, pickup.AWAY: Misconfigured, pickup.AUTH: Refused}
        return kinds.get(known.kind, TryLater)(sentence(known), hint(self._tools, known))

    def _look(self) -> list[Pause]:
        """The pauses that are on; each is told when it begins or is prolonged, and once when all are over."""
        tools, found = self._tools, pauses(self._tools)
        if not found and self._told:
            tools.tell("pickup_resumed", text="tasks are taken again")
        for known in found:
            if _told_as(known) not in self._told:
                way_out = hint(tools, known)
                tools.tell("pickup_paused", **facts(known), text=f"{sentence(known)} ({way_out})")
        self._told = {_told_as(known) for known in found}
        return found

    def _alive(self, agent: str) -> bool:
        return guard.held_by_other(self._tools.state.guard_file(agent))
