"""Several runners of one host with minor tasks in one checkout, and a hand that kills the runners at random.

`python -m tests.campaign.shared_checkout --kills 12 --seed 1 --seeds 20`: no commit may hold another task's file.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.campaign.engine import isolate
from tests.campaign.scenario import task
from tests.campaign.soak import Soak

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RUNNERS = 3
KILLS = 12
SPARE_TASKS = 2
PATIENCE = 10.0
"""Seconds within which an agent should start before the next kill; none does where all of them wait."""

FILE = re.compile(r"of-(\d+)/[\w.]+")


class SharedCheckout(Soak):
    """Every task writes files of its own below ``of-<number>``, and leaves or commits them."""

    def __init__(self, directory: Path, seed: int, *, runners: int, kills: int) -> None:
        super().__init__(directory, seed, runners=runners, tasks=kills + SPARE_TASKS, upstream=False)
        self.kills = kills
        self.agents = {f"backend_{number:03}": "backend_dev" for number in range(runners)}
        self.back_at: dict[str, float] = {}

    def disturb(self) -> None:
        """Kill so many runners at random times, whatever they do then; the killed come back after a while."""
        while self.events["runner"] < self.kills:
            before, until = len(self.bench.runs()), time.monotonic() + PATIENCE
            while len(self.bench.runs()) == before and time.monotonic() < until:
                self.keep_running()
                self.stock()
                time.sleep(0.1)
            time.sleep(self.random.uniform(0, 1.5))
            self.kill_runner()
        self.back_at.clear()

    def kill_runner(self) -> None:
        """Mostly one that has a task, so that its agent, and what it wrote, outlive it."""
        alive = {name: runner.pid for name, runner in self.running.items() if runner.process.poll() is None}
        busy = {path.stem.removeprefix("agent-") for path in self.records()}
        wanted = [pid for name, pid in alive.items() if name in busy]
        self.kill("runner", wanted if wanted and self.random.random() < 0.7 else list(alive.values()))

    def keep_running(self) -> None:
        """As in the soak, but a killed runner stays away for some time: the others come to its checkout first."""
        now = time.monotonic()
        absent = set()
        for agent in self.agents:
            runner = self.running.get(agent)
            if runner is not None and runner.process.poll() is not None:
                until = self.back_at.setdefault(agent, now + self.random.uniform(0, 3))
                if until > now:
                    absent.add(agent)
                else:
                    del self.back_at[agent]
        everyone = self.agents
        self.agents = {agent: role for agent, role in everyone.items() if agent not in absent}
        try:
            super().keep_running()
        finally:
            self.agents = everyone

    def stock(self) -> None:
        """A task for every runner and one more, as long as there are kills to come."""
        missing = len(self.agents) + 1 - len(self.open_tasks())
        for _ in range(min(missing, self.tasks - len(self.made))):
            mine = f"of-{len(self.made)}"
            acts: list[dict[str, object]] = [
                {"write": f"{mine}/first"},
                {"wait": round(self.random.uniform(0, 1), 2)},
                {"write": f"{mine}/second"},
            ]
            if self.random.random() < 0.5:
                acts.insert(self.random.choice((1, 3)), {"commit": mine})
            self.made.append(task(self.bench, acts, complexity="minor", feature_id=self.feature))

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        for row in self.rows():
            if row["status"] != "dev_done":
                yield f"task {row['id']} ended as {row['status']}: {row['notes']!r}"
        commits = self.bench.git("log", "--all", "--format=%x00%H", "--name-only").split("\0")
        for commit, *files in (part.split() for part in commits if part.strip()):
            owners = {found[1] for name in files if (found := FILE.fullmatch(name))}
            if len(owners) > 1:
                yield f"commit {commit} holds the files of several tasks: {files}"
        branches = self.bench.git("branch", "--format=%(refname:short)").split()
        if branches != ["main"]:
            yield f"tasks were worked outside of the checkout: {branches}"


def shared_checkout(
    directory: Path, seed: int, *, kills: int = KILLS, runners: int = RUNNERS
) -> tuple[list[str], str]:
    """What is untrue after so many kills, and a line about what happened."""
    began = time.monotonic()
    run = SharedCheckout(directory, seed, runners=runners, kills=kills)
    try:
        run.disturb()
        run.settle()
        problems = list(run.problems())
        agents = len(run.bench.runs())
    finally:
        run.end()
    return problems, (
        f"seed {seed}: {len(run.made)} tasks by {runners} runners in one checkout, {agents} agent runs,"
        f" {run.events['runner']} runners killed, {len(problems)} problems; {time.monotonic() - began:.0f} s"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="shared_checkout", description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--runners", type=int, default=RUNNERS)
    parser.add_argument("--seed", type=int, default=None, help="the first of them")
    parser.add_argument("--seeds", type=int, default=1, help="so many, one after another")
    given = parser.parse_args(argv)
    first = random.SystemRandom().randrange(1 << 32) if given.seed is None else given.seed
    place = Path(tempfile.mkdtemp(prefix="hpm-shared-"))
    isolate(place)
    failed = 0
    for seed in range(first, first + given.seeds):
        directory = place / str(seed)
        directory.mkdir()
        problems, summary = shared_checkout(directory, seed, kills=given.kills, runners=given.runners)
        print("\n".join([*problems, summary]), flush=True)
        if problems:
            failed += 1
            print(f"everything is kept in {directory}", flush=True)
        else:
            shutil.rmtree(directory)
    if not failed:
        shutil.rmtree(place)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
