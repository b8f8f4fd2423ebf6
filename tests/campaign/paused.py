"""Pick-up is paused: a run that begins the pause, one that meets it, and the try that ends it, each killed anywhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.campaign.bench import Bench, Done, Fault, single
from tests.campaign.scenario import GIVEN, MADE, OWN_BRANCH, WORK, Scenario, task

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.campaign.invariants import Story

MOST_TRIES = 8
REFUSED = 78


def silent_at_first(bench: Bench) -> int:
    """The agent's first run ends with 0 and says nothing, the next one works."""
    return task(bench, [{"mute": 0}], WORK)


def let_time_pass(bench: Bench) -> None:
    """The pause is over, and the task that was given back may be taken again."""
    for path, facts in state_files(bench, "limits/*.pickup"):
        if facts.get("pause"):
            facts["pause"] |= {"until": facts["pause"]["since"], "due": 0.0}
            path.write_text(json.dumps(facts), encoding="utf-8")
    for path, facts in state_files(bench, "tasks/*.json"):
        if facts.get("skip"):
            path.write_text(json.dumps({**facts, "skip": None}), encoding="utf-8")


def state_files(bench: Bench, pattern: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The files of the state directory that hold what they should; damaged ones are left to the runners."""
    for path in bench.state.glob(pattern):
        try:
            facts = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(facts, dict):
            yield path, facts


def pausing(bench: Bench, scenario: Scenario, number: int, fault: Fault | None) -> list[Done]:
    done: list[Done] = []
    # Which agent shall outlive its runner: that of the run that is struck. A runner waits for any other.
    lingering = bench.flag.exists()
    for command in range(3):
        if command == 2:
            let_time_pass(bench)
        struck = fault is not None and fault.command == command
        if lingering:
            bench.flag.unlink(missing_ok=True)
        if lingering and struck:
            bench.flag.touch()
        done.append(bench.command(*single(scenario.role, scenario.agent), fault=fault if struck else None))
        if struck:
            break
    return done


def until_done(bench: Bench, scenario: Scenario, number: int) -> list[Done]:
    """Start again, each time after the pause, until the task is done and nothing is left of it."""
    done: list[Done] = []
    while len(done) < MOST_TRIES:
        let_time_pass(bench)
        over = bench.board.task(number)["status"] == "dev_done"
        done.append(bench.command(*single(scenario.role, scenario.agent)))
        if over or done[-1].code == 0:
            break
    return done


def nothing_started_in_the_pause(story: Story) -> Iterator[str]:
    """No agent is started in the pause but by the try, and the try ends it."""
    if len(story.disturbed) > 1:
        met = story.disturbed[1]
        if "agent.starting" in met.reached:
            yield "an agent was started in the pause"
        if story.fault is None and met.code != REFUSED:
            yield f"the run in the pause ended with {met.code}"
    for path in (story.bench.state / "limits").glob("*.pickup"):
        if json.loads(path.read_bytes()).get("pause"):
            yield "the pause is still on"


PAUSED: dict[str, Scenario] = {
    "pick-up paused": Scenario(
        "pick-up paused",
        silent_at_first,
        rf"{MADE}{GIVEN}* under_work dev_done",
        branches=OWN_BRANCH,
        # A pause of five minutes, which ends when it is said to.
        settings={"retry_pause": 10},
        play=pausing,
        again=until_done,
        check=nothing_started_in_the_pause,
    )
}
