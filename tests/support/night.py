"""A night of agents: events, records and questions as runners leave them, the same for the same seed."""

from __future__ import annotations

import random
import time
from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hpm_tools.events.store import EventStore, Stored
from hpm_tools.meter import BOUNDS
from hpm_tools.state.paths import StateDir
from hpm_tools.state.persistence import TaskPersistence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOARD = "localhost-6969"
TITLES = (
    "Add a --version flag",
    "Retry uploads that the proxy cut off",
    "Show the total of a filtered invoice list",
    "Refuse passwords that were leaked",
    "Move the session store to Redis",
    "Explain why an import was skipped",
    "Sort search results by date when the query is empty",
    "Cache thumbnails by content hash",
    "Replace the home-made CSV reader",
    "Let admins export the audit log",
    "Fix the time zone in weekly reports",
    "Check the webhook signature before parsing",
)
DOINGS = (
    "Edit src/invoices/filter.py",
    "Bash: npm test -- --run invoices",
    "Read docs/api.md",
    "Bash: git diff --stat",
    "Grep: parse_header",
    "thinks about the failing test",
)
WHY_PARKED = (
    "blocked: the staging key that the tests need is not in this environment",
    "budget: the task has cost $10.04 of its $10.00",
    "denied: Bash(terraform plan) is not allowed",
)
FINISHED = ("done",) * 14 + ("rejected",) * 3 + ("parked",) * 2 + ("given_back",)
MODELS = ("sonnet", "sonnet", "opus")


class Night:
    """Writes below ``state``. Times are Unix seconds before ``now``."""

    def __init__(self, state: Path, *, seed: int = 7, now: float | None = None) -> None:
        self.state = StateDir(str(state))
        self.state.prepare()
        self.store = EventStore(self.state.events)
        self.random = random.Random(seed)
        self.now = time.time() if now is None else now
        self.tasks = 100

    def event(self, name: str, at: float, agent: str, **more: Any) -> Stored:
        known = {key: more.pop(key) for key in ("task", "run", "role", "board") if key in more}
        return Stored(at=at, event=name, agent=agent, host="builder", data=more, **{"board": BOARD, **known})

    def write(self, events: list[Stored]) -> None:
        self.store.append(events)

    def fill(self, agents: int, hours: float, most: int | None = None) -> int:
        """The past of ``agents`` over the last ``hours``, up to ``most`` events; how many were written."""
        written = 0
        events: list[Stored] = []
        for number in range(1, agents + 1):
            agent, role = (
                (f"qa_{number:03}", "qa") if number % 4 == 0 else (f"dev_{number:03}", "backend_dev")
            )
            events += self._past(agent, role, hours)
        events.sort(key=lambda event: event.at)
        for start in range(0, len(events[-most:] if most else events), 5000):
            page = (events[-most:] if most else events)[start : start + 5000]
            self.write(page)
            written += len(page)
        return written

    def _past(self, agent: str, role: str, hours: float) -> Iterator[Stored]:
        at = self.now - hours * 3600 + self.random.uniform(0, 600)
        yield self.event("started", at, agent, role=role, level="principal", text=f"{agent} begins")
        while True:
            took = self.random.lognormvariate(6.4, 0.6)
            if at + took > self.now - 60:
                return
            yield from self.task(agent, role, at, took, self.random.choice(FINISHED))
            at += took + self.random.expovariate(1 / 240)

    def task(self, agent: str, role: str, at: float, took: float, how: str) -> Iterator[Stored]:
        """One task from being taken to its end, ``how`` being the result."""
        self.tasks += 1
        run = f"{self.random.getrandbits(128):032x}"
        known: dict[str, Any] = {"role": role, "task": self.tasks, "run": run}
        title = self.random.choice(TITLES)
        model = self.random.choice(MODELS)
        cost = round(self.random.lognormvariate(-0.9, 0.7) * (3 if model == "opus" else 1), 4)
        turns = self.random.randint(4, 40)
        branch = f"feature/task-{self.tasks}"
        sort = {"model": model, "difficulty": "principal" if model == "opus" else "senior"}
        yield self.event(
            "task_taken", at, agent, title=title, difficulty=sort["difficulty"], complexity="major", **known
        )
        yield self.event(
            "workspace", at + 2, agent, path=f"/srv/agents/task-{self.tasks}", branch=branch, **known
        )
        yield self.event(
            "agent_started", at + 3, agent, attempt=1, executor="claude", resumed=False, **sort, **known
        )
        for part in range(1, 6):
            yield self.event(
                "agent_progress",
                at + took * part / 6,
                agent,
                turns=turns * part // 6,
                cost_usd=round(cost * part / 6, 4),
                doing=self.random.choice(DOINGS),
                seconds=round(took * part / 6, 1),
                **known,
            )
        yield self.event("board_calls", at + took / 2, agent, **self._calls(), **known)
        reason = self._reason(how, title)
        verdict = {"parked": "blocked", "given_back": "crashed"}.get(how, how)
        yield self.event(
            "agent_ended",
            at + took - 5,
            agent,
            verdict=verdict,
            seconds=round(took - 8, 1),
            turns=turns,
            cost_usd=cost,
            task_cost_usd=cost,
            model_id=None,
            input_tokens=turns * 900,
            output_tokens=turns * 350,
            cache_read_tokens=turns * 21_000,
            cache_write_tokens=turns * 1_800,
            text=f"task {self.tasks}: {verdict}: {reason}",
            **sort,
            **known,
        )
        what: dict[str, Any] = {
            "title": title,
            "verdict": verdict,
            "runs": 1,
            "cost_usd": cost,
            **sort,
            **known,
        }
        what["seconds"] = round(took, 1)
        if how in ("parked", "given_back"):
            yield self.event(how, at + took, agent, reason=reason, status="created", **what)
            return
        status = {"done": "qa_done" if role == "qa" else "dev_done", "rejected": "created"}[how]
        commit = f"{self.random.getrandbits(160):040x}"
        yield self.event("reported", at + took, agent, status=status, branch=branch, commit=commit, **what)

    def _calls(self) -> dict[str, Any]:
        """A minute of board calls: most of them quick."""
        each = [self.random.lognormvariate(-4.2, 0.8) for _ in range(self.random.randint(4, 20))]
        within = [0] * (len(BOUNDS) + 1)
        for seconds in each:
            within[bisect_left(BOUNDS, seconds)] += 1
        failed = int(self.random.random() < 0.05)
        return {
            "count": len(each),
            "failed": failed,
            "seconds": round(sum(each), 4),
            "slowest": round(max(each), 4),
            "within": within,
        }

    def _reason(self, how: str, title: str) -> str:
        if how == "parked":
            return self.random.choice(WHY_PARKED)
        if how == "rejected":
            return "two tests fail on an empty list; the README still names the old flag"
        if how == "given_back":
            return "the pre_task hook failed: npm ci found no lock file"
        return f"{title.lower()}: with tests, all of which pass"

    def works(self, agent: str, owner: int, **fields: Any) -> str:
        """``agent`` holds a task now, its holder being the process ``owner``; the run's id."""
        self.tasks += 1
        ago = fields.pop("ago", self.random.uniform(60, 2400))
        title = fields.pop("title", None) or self.random.choice(TITLES)
        task = {"id": self.tasks, "title": title, "created_at": "2026-01-02T03:04:05", "status": "under_work"}
        persistence = TaskPersistence(agent, self.state.home)
        role = "qa" if agent.startswith("qa") else "backend_dev"
        record = persistence.lock_task(
            task,
            holder="process",
            owner_pid=owner,
            branch_name=f"feature/task-{self.tasks}",
            step=fields.pop("step", "working"),
            role=role,
        )
        record = persistence.update(taken_at=self.now - ago, **fields)
        known: dict[str, Any] = {"task": self.tasks, "run": record.run_id, "role": role}
        taken = self.event("task_taken", self.now - ago, agent, title=title, **known)
        progress = self.event(
            "agent_progress",
            self.now - 3,
            agent,
            turns=self.random.randint(2, 60),
            cost_usd=round(self.random.uniform(0.05, 4), 3),
            doing=self.random.choice(DOINGS),
            **known,
        )
        self.write([taken, progress])
        return record.run_id

    def progress(self, agent: str, run: str, **data: Any) -> None:
        """A new act of ``agent``, now."""
        self.write([replace(self.event("agent_progress", time.time(), agent, **data), run=run)])
