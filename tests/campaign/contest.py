"""Many runners, each with its own state directory and clone, that want one task at the same moment."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.campaign.bench import Bench, single
from tests.campaign.scenario import WORK, task
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

CONTENDERS = 16
GATE = """#!/bin/sh
# health_check runs before the first look: nobody looks before all are there.
touch '{ready}'
until [ -e '{gate}' ]; do sleep 0.05; done
"""
LONGEST = 900.0


@dataclass(frozen=True, slots=True)
class Contest:
    """What became of it: ``codes`` are the runners' exit codes, ``runs`` the agents that were started."""

    codes: list[int]
    runs: list[tuple[int, str, str, int, int]]
    statuses: list[str]
    holder: str | None
    output: str

    def problems(self) -> Iterator[str]:
        if len(self.runs) != 1:
            yield f"I1: {len(self.runs)} agents were started for one task"
        if " ".join(self.statuses) != "pending created under_work dev_done":
            yield f"I4: the changelog says {self.statuses}"
        if self.holder is not None:
            yield f"I4: the lock is still held by {self.holder}"
        if sorted(self.codes) != [0, *[3] * (len(self.codes) - 1)]:
            yield f"I9: exit codes {sorted(self.codes)}"


def contest(
    directory: Path,
    board: BoardUnderTest,
    template: Path,
    contenders: int = CONTENDERS,
    package: Path | None = None,
) -> Contest:
    """Let ``contenders`` runners go for one task of ``board`` at once, and wait until all have ended."""
    benches = []
    logs = directory / "logs"
    gate = directory / "gate"
    for number in range(contenders):
        place = directory / f"host-{number}"
        place.mkdir(parents=True)
        bench = Bench(place, board, template)
        bench.package = package
        bench.logs = logs
        hooks = place / "hooks"
        hooks.mkdir(mode=0o700)
        hook = hooks / "health_check.sh"
        hook.write_text(GATE.format(ready=place / "ready", gate=gate), encoding="utf-8")
        hook.chmod(0o700)
        bench.configure(hooks_dir=str(hooks), hook_timeout=LONGEST)
        benches.append(bench)
    logs.mkdir()
    number = task(benches[0], [*WORK, {"wait": 2}])
    with ExitStack() as open_:
        runners = [
            open_.enter_context(bench.start(*single("backend_dev", f"dev_{index:03}")))
            for index, bench in enumerate(benches)
        ]
        ready = [bench.directory / "ready" for bench in benches]
        wait_until(lambda: all(path.exists() for path in ready), LONGEST, "all contenders at the gate")
        gate.touch()
        codes = [runner.wait(LONGEST) for runner in runners]
        output = "\n".join(runner.output() for runner in runners)
    row = board.task(number)
    return Contest(codes, benches[0].runs(), board.statuses(number), row["locked_by"], output)
