"""Many runners on one host, many tasks, and a hand that kills runners, agents and the board at random.

`python -m tests.campaign.soak --minutes 10`; the seed that it prints repeats its choices.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpm_tools.board.server import Settings, start
from hpm_tools.state.guard import held
from tests.campaign.bench import Bench, make_template
from tests.campaign.engine import isolate
from tests.campaign.invariants import CONTROL, Story, leftovers, no_process, nothing_lost, unreadable_records
from tests.campaign.scenario import BLOCKED, WORK, task
from tests.campaign.scenarios import RUNNING
from tests.support.board_process import KEY, BoardUnderTest
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.runners import Running

RUNNERS = 12
QA_EVERY = 4
TASKS = 200
IN_STOCK = 8
SETTLING = 600.0
MOST_FDS = 64
TOLD = re.compile(
    r"pending created(?: under_work created)*"
    r"(?: under_work pending| under_work dev_done(?: under_work dev_done)*(?: under_work qa_done| under_work pending)?)?"
)
FINAL = ("dev_done", "qa_done", "pending")


class Board:
    """A board that can be killed and comes back at the same port with the same database."""

    def __init__(self, directory: Path, *, upstream: bool) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.settings = Settings(
            db=str(directory / "board.db"),
            keys=(KEY,),
            port=port,
            upstream=upstream,
            clock_offset_file=str(directory / "clock"),
        )
        self.log = directory / "board.log"
        self.begin()

    def begin(self) -> None:
        self.process = start(self.settings, log=str(self.log))
        self.under_test = BoardUnderTest(self.process, self.settings, self.log)

    def kill(self) -> None:
        self.process.kill()

    def end(self) -> None:
        self.process.stop(within=2.0)


class Soak:
    """``events`` counts what was done to whom; ``problems`` is what is untrue in the end."""

    def __init__(self, directory: Path, seed: int, *, runners: int, tasks: int, upstream: bool) -> None:
        self.random = random.Random(seed)
        self.board = Board(directory, upstream=upstream)
        place = directory / "host"
        place.mkdir()
        self.bench = Bench(place, self.board.under_test, make_template(directory / "template"))
        self.bench.real = True
        self.tasks = tasks
        self.made: list[int] = []
        self.events: Counter[str] = Counter()
        self.most_fds = 0
        roles = ["qa" if number % QA_EVERY == QA_EVERY - 1 else "backend_dev" for number in range(runners)]
        self.agents = {f"{role.partition('_')[0]}_{number:03}": role for number, role in enumerate(roles)}
        self.running: dict[str, Running] = {}
        self.ended: list[Running] = []
        self.feature = self.board.under_test.feature()

    def disturb_for(self, seconds: float) -> None:
        """Keep tasks in stock and kill at random until the time is over, or all tasks are made and done."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not (len(self.made) >= self.tasks and self.all_final()):
            self.keep_running()
            self.stock()
            time.sleep(self.random.uniform(0.1, 0.6))
            self.random.choices((self.kill_runner, self.kill_agent, self.kill_board), weights=(6, 6, 1))[0]()

    def settle(self) -> None:
        """Disturb no more, and wait until all that was begun is over."""
        until = time.monotonic() + SETTLING
        while not (self.all_final() and self.idle()):
            self.keep_running()
            if time.monotonic() > until:
                raise AssertionError(f"not settled: {self.open_tasks()}, {list(self.records())}")
            time.sleep(0.5)
        self.most_fds = max(self.fds())
        for runner in self.running.values():
            runner.signal(signal.SIGTERM)
        for runner in self.running.values():
            wait_until(lambda: runner.process.poll() is not None, 60, "an idle runner's end")  # noqa: B023
        self.ended += self.running.values()

    def keep_running(self) -> None:
        for agent, role in self.agents.items():
            runner = self.running.get(agent)
            if runner is None or runner.process.poll() is not None:
                if runner is not None:
                    self.ended.append(runner)
                self.running[agent] = self.bench.start("run", "--role", role, "--agent-id", agent)

    def stock(self) -> None:
        """New tasks, of all kinds, while few are waiting."""
        missing = IN_STOCK - len(self.open_tasks())
        for _ in range(min(missing, self.tasks - len(self.made))):
            kind = self.random.random()
            runs = [[*WORK, {"wait": round(self.random.uniform(0, 1), 2)}]]
            if kind < 0.15:
                runs = [[*WORK, {"kill": 9}], *runs]
            made = task(
                self.bench,
                *runs,
                outcomes=[BLOCKED] if kind > 0.9 else [],
                complexity=self.random.choice(("major", "major", "minor")),
                feature_id=self.feature,
            )
            self.made.append(made)

    def kill_runner(self) -> None:
        self.kill("runner", [runner.pid for runner in self.running.values() if runner.process.poll() is None])

    def kill_agent(self) -> None:
        self.kill("agent", [run[0] for run in self.bench.runs()[-30:] if living(run[0], run[1])])

    def kill_board(self) -> None:
        self.events["board"] += 1
        self.board.kill()
        time.sleep(self.random.uniform(0, 1))
        self.board.begin()
        self.bench.board = self.board.under_test

    def kill(self, what: str, pids: Sequence[int]) -> None:
        if pids:
            with suppress(ProcessLookupError):
                os.kill(self.random.choice(pids), signal.SIGKILL)
                self.events[what] += 1

    def rows(self) -> list[dict[str, Any]]:
        return [row for row in self.bench.board.ok("GET", "/tasks") if row["id"] in self.made]

    def open_tasks(self) -> list[tuple[int, str]]:
        return [(row["id"], row["status"]) for row in self.rows() if not self.is_final(row)]

    def is_final(self, row: dict[str, Any]) -> bool:
        wanted = ("qa_done", "pending") if "qa" in self.agents.values() else FINAL
        return row["status"] in wanted and row["locked_by"] is None

    def all_final(self) -> bool:
        return not self.open_tasks()

    def records(self) -> Iterator[Path]:
        yield from (self.bench.state / "locks").glob("*.lock")

    def idle(self) -> bool:
        return not any(self.records())

    def fds(self) -> Iterator[int]:
        for runner in self.running.values():
            with suppress(OSError):
                yield len(os.listdir(f"/proc/{runner.pid}/fd"))

    def problems(self) -> Iterator[str]:
        story = Story(self.bench, RUNNING["maker major"], 0, None)
        bench = self.bench
        yield from (f"I1: two agents at once: {line}" for line in bench.log("overlaps"))
        yield from (f"I2: {said}" for said in nothing_lost(story))
        yield from (f"I3: {said}" for said in no_process(story))
        for row in self.rows():
            yield from (f"I4: task {row['id']}: {said}" for said in self.untrue(row))
        for runner in self.ended:
            said = runner.output()
            if "Traceback" in said or "unexpected" in said:
                yield f"I9: {said[-1500:]}"
            if KEY in said:
                yield "I5: a runner printed the board's key"
            if found := CONTROL.search(said):
                yield f"I6: a runner printed {found[0]!r}"
        yield from (f"I8: {said}" for said in unreadable_records(bench))
        yield from (f"I8: a record is left: {path.name}" for path in self.records())
        yield from (f"I8: left over: {path}" for path in leftovers(bench))
        yield from (
            f"I8: a guard is held: {path}" for path in bench.state.rglob("*.guard") if held(str(path))
        )
        yield from self.odd_repository()
        if self.most_fds > MOST_FDS:
            yield f"a runner has {self.most_fds} open files"

    def untrue(self, row: dict[str, Any]) -> Iterator[str]:
        changes = [c for c in self.bench.board.ok("GET", "/changelog", limit=-1) if c["task_id"] == row["id"]]
        told = " ".join(change["new_status"] for change in reversed(changes))
        if not TOLD.fullmatch(told):
            yield f"the changelog says {told!r}"
        done = [c for c in changes if c["new_status"] == "dev_done" and c["changed_by"].startswith("backend")]
        if len(done) > 1:
            yield f"reported {len(done)} times: {told!r}"
        if row["locked_by"] is not None:
            yield f"still locked by {row['locked_by']}"
        commit = re.search(r"^commit: ([0-9a-f]{40})$", row["notes"] or "", re.MULTILINE)
        if row["status"] in ("dev_done", "qa_done"):
            if commit is None:
                yield f"{row['status']} without a commit: {row['notes']!r}"
            elif not self.bench.git("branch", "--contains", commit[1]):
                yield f"{row['status']} with a commit that no branch reaches"
            elif not any(n == row["id"] for *_, n, _ in self.bench.runs()):
                yield f"{row['status']}, and no agent ever ran"

    def odd_repository(self) -> Iterator[str]:
        bench = self.bench
        listed = bench.git("worktree", "list", "--porcelain").split("\n\n")
        if len(listed) > 1:
            yield f"I8: worktrees are left: {listed[1:]}"
        expected = {"main", *(f"feature/task-{number}" for number in self.made)}
        branches = set(bench.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").split())
        if branches - expected:
            yield f"I8: branches are left over: {sorted(branches - expected)}"
        if bench.git("status", "--porcelain") or bench.git("branch", "--show-current") != "main":
            yield f"I8: the checkout is not as it was: {bench.git('status', '--short', '--branch')}"

    def end(self) -> None:
        for runner in self.running.values():
            runner.__exit__()
        self.bench.end()
        self.board.end()


def living(pid: int, start_time: str) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] not in "ZX" and fields[19] == start_time


def soak(
    directory: Path,
    seconds: float,
    seed: int,
    *,
    runners: int = RUNNERS,
    tasks: int = TASKS,
    upstream: bool = False,
) -> tuple[list[str], str]:
    """What is untrue after ``seconds`` of disturbance, and a line about what happened."""
    began = time.monotonic()
    run = Soak(directory, seed, runners=runners, tasks=tasks, upstream=upstream)
    try:
        run.disturb_for(seconds)
        run.settle()
        problems = list(run.problems())
        killed = ", ".join(f"{what} {count} times" for what, count in sorted(run.events.items()))
        statuses = Counter(row["status"] for row in run.rows())
        agents = len(run.bench.runs())
    finally:
        run.end()
    return problems, (
        f"seed {seed}: {len(run.made)} tasks, {dict(statuses)}, {agents} agent runs; killed {killed};"
        f" {time.monotonic() - began:.0f} s"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--runners", type=int, default=RUNNERS)
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--upstream", action="store_true", help="on a board with the real one's faults")
    given = parser.parse_args(argv)
    seed = random.SystemRandom().randrange(1 << 32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    place = Path(tempfile.mkdtemp(prefix="hpm-soak-"))
    isolate(place)
    problems, summary = soak(
        place,
        given.minutes * 60,
        seed,
        runners=given.runners,
        tasks=given.tasks,
        upstream=given.upstream,
    )
    print("\n".join([*problems, summary, *([f"everything is kept in {place}"] if problems else [])]))
    if not problems:
        import shutil

        shutil.rmtree(place)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
