"""Probes every scenario for the failpoints that it reaches, plans the cases, plays them, and reports."""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from hpm_tools.failpoints import FAULTS
from tests.campaign.bench import Fault, make_template
from tests.campaign.cases import Case, Outcome, play
from tests.campaign.catalogue import SCENARIOS
from tests.campaign.mutants import MUTANTS, Mutant, make
from tests.campaign.points import all_points
from tests.campaign.report import report, show
from tests.support.board_process import BoardUnderTest, running_board

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MODES = ("exact", "upstream")


class Campaign:
    """A place for boards and cases; ``outcomes`` are what has been played in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.outcomes: list[Outcome] = []
        self._boards: dict[str, BoardUnderTest] = {}
        self._open = ExitStack()
        self._template = make_template(directory / "template")
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def board(self, mode: str) -> BoardUnderTest:
        board = self._boards.get(mode)
        if board is None or not board.alive:
            place = self.directory / f"board-{mode}-{len(self._boards)}"
            place.mkdir()
            board = self._open.enter_context(running_board(place, upstream=mode == "upstream"))
            self._boards[mode] = board
        board.wipe()
        return board

    def play(self, case: Case, package: Path | None = None) -> Outcome:
        self._number += 1
        place = self.directory / f"case-{self._number}"
        outcome = play(case, self.board(case.mode), place, self._template, package)
        self.outcomes.append(outcome)
        return outcome


Reached = Mapping[str, Sequence[Sequence[str]]]
"""By scenario: the points that each of its commands reaches, in order."""


def short_plan(reached: Reached, seed: int) -> list[Case]:
    """A kill at every failpoint, and one seeded other fault each, at one of the times that it is reached."""
    chance = random.Random(seed)
    places: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for scenario, command, point, nth in times(reached):
        places[point].append((scenario, command, nth))
    cases = []
    for point, where in sorted(places.items()):
        for kind in ("kill", chance.choice(FAULTS[1:])):
            scenario, command, nth = chance.choice(where)
            cases.append(Case(scenario, Fault(point, kind, nth, command), chance.choice(MODES)))
    return cases


def full_plan(reached: Reached) -> list[Case]:
    """Every fault at every time that every scenario reaches every failpoint."""
    return [
        Case(scenario, Fault(point, kind, nth, command), MODES[(index + number) % len(MODES)])
        for index, (scenario, command, point, nth) in enumerate(times(reached))
        for number, kind in enumerate(FAULTS)
    ]


def drawn(cases: Sequence[Case], count: int, seed: int) -> list[Case]:
    """``count`` of the cases by chance, each fault at each failpoint once before any comes a second time."""
    seen: Counter[tuple[str, str]] = Counter()
    ranked = []
    for case in random.Random(seed).sample(cases, len(cases)):
        assert case.fault is not None
        kind = (case.fault.point, case.fault.kind)
        ranked.append((seen[kind], case))
        seen[kind] += 1
    return [case for _, case in sorted(ranked, key=lambda pair: pair[0])][:count]


def times(reached: Reached) -> Iterator[tuple[str, int, str, int]]:
    """(scenario, command, point, n) for every n-th time that a scenario's command reaches a point."""
    for scenario, commands in sorted(reached.items()):
        for command, points in enumerate(commands):
            for point, count in sorted(Counter(points).items()):
                for nth in range(1, count + 1):
                    yield scenario, command, point, nth


def unreached(reached: Reached) -> dict[str, str]:
    """The failpoints of the source that no scenario comes to; each fails the campaign."""
    seen = {point for _, _, point, _ in times(reached)}
    return {point: ", ".join(where) for point, where in all_points().items() if point not in seen}


def catch(mutants: Iterable[Mutant], directory: Path) -> dict[str, str]:
    """Each mutant's name → what caught it; "" for one that lived."""
    caught = {}
    directory.mkdir()
    with Campaign(directory) as campaign:
        for number, mutant in enumerate(mutants):
            package = make(mutant, directory / f"mutant-{number}")
            outcome = campaign.play(mutant.case, package)
            said = [problem for problem in outcome.problems if problem.startswith(mutant.invariant)]
            caught[mutant.name] = f"{mutant.case}: {said[0]}" if said else ""
            print(f"{'caught' if said else 'LIVES '} {mutant.name}: {caught[mutant.name][:200]}", flush=True)
    return caught


def play_all(cases: Iterable[Case], directory: Path, jobs: int) -> list[Outcome]:
    """Play the cases on ``jobs`` threads, each with boards of its own."""
    waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
    for case in cases:
        waiting.put(case)
    outcomes: list[Outcome] = []

    def work(number: int) -> None:
        place = directory / f"worker-{number}-{time.monotonic_ns()}"
        place.mkdir()
        with Campaign(place) as campaign:
            while True:
                try:
                    case = waiting.get_nowait()
                except queue.Empty:
                    return
                outcome = campaign.play(case)
                outcomes.append(outcome)
                tell(outcome)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return outcomes


def tell(outcome: Outcome) -> None:
    print(f"{'ok  ' if outcome.ok else 'FAIL'} {outcome.seconds:5.1f} s  {outcome.case}", flush=True)
    for problem in outcome.problems:
        print(f"      {problem}", flush=True)
    if outcome.told:
        print(
            "      | "
            + "\n      | ".join(outcome.told.encode("ascii", "backslashreplace").decode().split("\n"))
        )


def probe(outcomes: Iterable[Outcome]) -> dict[str, list[tuple[str, ...]]]:
    return {outcome.case.scenario: outcome.reached for outcome in outcomes}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__)
    parser.add_argument(
        "--short", action="store_true", help="a kill and one seeded other fault per failpoint"
    )
    parser.add_argument("--cases", type=int, help="only so many of all cases, drawn by the seed")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--scenario", action="append", help="only this one; may be repeated")
    parser.add_argument("--point", action="append", help="only this failpoint; may be repeated")
    parser.add_argument("--fault", action="append", choices=FAULTS, help="only this fault; may be repeated")
    parser.add_argument("--report", default="campaign.json", help="where the report goes, as JSON")
    parser.add_argument(
        "--mutants", action="store_true", help="only break promises, and see that it is noticed"
    )
    parser.add_argument("--probe", action="store_true", help="only play the scenarios undisturbed")
    given = parser.parse_args(argv)
    seed = random.SystemRandom().randrange(1 << 32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hpm-campaign-", ignore_cleanup_errors=True) as place:
        isolate(Path(place))
        if given.mutants:
            return 0 if all(catch(MUTANTS, Path(place) / "mutants").values()) else 1
        wanted = [name for name in SCENARIOS if not given.scenario or name in given.scenario]
        outcomes = play_all([Case(name) for name in wanted], Path(place), given.jobs)
        reached = probe(outcomes)
        missing = {} if given.scenario else unreached(reached)
        possible = full_plan(reached)
        cases = [
            case
            for case in (short_plan(reached, seed) if given.short else possible)
            if case.fault is not None
            and (not given.point or case.fault.point in given.point)
            and (not given.fault or case.fault.kind in given.fault)
        ]
        if given.cases is not None:
            cases = drawn(cases, given.cases, seed)
        print(f"{len(cases)} cases", flush=True)
        if not given.probe:
            outcomes += play_all(cases, Path(place), given.jobs)
    facts = report(outcomes, possible, missing, seed=seed, seconds=time.monotonic() - began)
    Path(given.report).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    print(show(facts))
    return 1 if missing or not all(outcome.ok for outcome in outcomes) else 0


def isolate(place: Path) -> None:
    """No case sees the person's HOME, keys or git configuration."""
    for name in list(os.environ):
        if name.startswith(("HEADLESS_PM_", "API_KEY", "ANTHROPIC_", "CLAUDE", "GIT_", "HPM_")):
            del os.environ[name]
    for name in ("home", "tmp"):
        (place / name).mkdir(mode=0o700)
    os.environ |= {
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "tmp"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


if __name__ == "__main__":
    sys.exit(main())
