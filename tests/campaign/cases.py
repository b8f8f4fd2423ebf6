"""One case: prepare, disturb, restart, check."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tests.campaign.bench import Bench, Fault, single
from tests.campaign.catalogue import SCENARIOS
from tests.campaign.invariants import INVARIANTS, Story, unreadable_records, violations

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario in which ``fault`` happens; None: nothing does, and the points that it reaches are found."""

    scenario: str
    fault: Fault | None = None
    mode: str = "exact"

    def __str__(self) -> str:
        return f"{self.scenario} / {self.fault or 'undisturbed'} / {self.mode}"


@dataclass
class Outcome:
    """What became of a case: ``reached`` are the points that each command reached, in order, ``problems`` what the invariants object."""

    case: Case
    reached: list[tuple[str, ...]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    seconds: float = 0.0
    told: str = ""
    checked: list[str] = field(default_factory=list)
    """The invariants that were judged: none where the case could not be."""

    @property
    def ok(self) -> bool:
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        fault = asdict(self.case.fault) if self.case.fault else None
        return {
            "scenario": self.case.scenario,
            "fault": fault,
            "board": self.case.mode,
            "checked": self.checked,
            "reached": self.reached,
            "problems": self.problems,
            "codes": self.codes,
            "seconds": round(self.seconds, 2),
        }


def play(
    case: Case, board: BoardUnderTest, directory: Path, template: Path, package: Path | None = None
) -> Outcome:
    """Run ``case`` on a freshly wiped ``board`` in ``directory``, which is removed unless the case failed.

    ``package``: a directory that holds another hpm_tools to run instead of this one.
    """
    began = time.monotonic()
    scenario = SCENARIOS[case.scenario]
    directory.mkdir(parents=True)
    bench = Bench(directory, board, template)
    bench.package = package
    bench.configure(**scenario.settings)
    outcome = Outcome(case)
    story = Story(bench, scenario, scenario.prepare(bench), case.fault)
    try:
        if scenario.lingering or lingers(case.fault):
            bench.flag.touch()
        if scenario.prelude is not None:
            role = single(scenario.role, scenario.agent, *scenario.arguments)
            story.earlier.append(bench.command(*role, fault=scenario.prelude))
            bench.await_lingering()
        if scenario.between is not None:
            scenario.between(bench, story.task)
        story.disturbed = scenario.run(bench, story.task, case.fault)
        if lingers(case.fault):
            bench.await_lingering()
        outcome.reached = [done.reached for done in story.disturbed]
        if case.fault is not None:
            if not struck(case.fault, outcome.reached):
                outcome.problems.append(f"the point {case.fault} was not reached")
            outcome.problems += [f"I8: right after the fault: {said}" for said in unreadable_records(bench)]
        if case.fault is not None or scenario.again is not None:
            story.restarted = scenario.restart(bench, story.task)
        elif story.disturbed[-1].code not in scenario.codes:
            outcome.problems.append(f"undisturbed it ended with {story.disturbed[-1].code}")
        outcome.problems += violations(story)
        outcome.checked = [*INVARIANTS, *([scenario.name] if scenario.check else [])]
    except Exception as error:  # a case that cannot even be judged has failed, and the others go on
        outcome.problems.append(f"{type(error).__name__}: {error}")
    finally:
        bench.end()
    outcome.codes = [done.code for done in story.commands]
    if outcome.problems:
        outcome.told = "\n".join(map(str, story.commands))
    outcome.seconds = time.monotonic() - began
    if outcome.ok:
        shutil.rmtree(directory)
    return outcome


def struck(fault: Fault, reached: list[tuple[str, ...]]) -> bool:
    return fault.command < len(reached) and reached[fault.command].count(fault.point) >= fault.nth


def lingers(fault: Fault | None) -> bool:
    """Whether the agent shall still be at work when its runner is struck."""
    return fault is not None and fault.point in ("agent.spawned", "agent.journalled")
