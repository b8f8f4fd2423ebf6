"""The short form of the fault campaign: a kill at every failpoint, and one other fault each, most of it by turns.

`./inv campaign` plays every fault at every time that any scenario reaches a failpoint.
"""

from __future__ import annotations

import json
import os
import random
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.failpoints import FAULTS
from tests.campaign.bench import Fault
from tests.campaign.cases import Case
from tests.campaign.catalogue import SCENARIOS
from tests.campaign.commands import COMMANDS
from tests.campaign.engine import MODES, Campaign, times, unreached
from tests.campaign.mutants import MUTANTS, make
from tests.campaign.points import all_points
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from _pytest.mark import ParameterSet

    from tests.campaign.cases import Outcome
    from tests.campaign.engine import Reached
    from tests.campaign.mutants import Mutant

SEED = int(os.environ.get("HPM_CAMPAIGN_SEED", "3"))
PROBE_LIMIT = 1800.0
TURNS = 10
"""One kill in so many is played each time."""

pytestmark = pytest.mark.timeout(2 * PROBE_LIMIT)
"""The first case of each worker waits for all probes."""


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    with Campaign(tmp_path_factory.mktemp("campaign")) as campaign:
        yield campaign


@pytest.fixture
def reached(
    campaign: Campaign, isolated: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Reached:
    """What every scenario reaches undisturbed; the workers of one test run find it out together."""
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "probes"
    shared.mkdir(exist_ok=True)
    found = {name: probed(campaign, shared, name) for name in SCENARIOS}
    broken = {name: facts()["problems"] for name, facts in found.items() if facts()["problems"]}
    assert not broken, broken
    return {name: facts()["reached"] for name, facts in found.items()}


def probed(campaign: Campaign, shared: Path, name: str) -> Callable[[], dict[str, Any]]:
    """Play ``name`` undisturbed unless another worker has begun to; what gives the result, once it is there."""
    path = shared / f"{name}.json"
    try:
        (shared / f"{name}.claimed").touch(exist_ok=False)
    except FileExistsError:
        pass
    else:
        probe = json.dumps(campaign.play(Case(name)).to_json())
        path.with_suffix(".new").write_text(probe, encoding="utf-8")
        path.with_suffix(".new").rename(path)

    @cache
    def result() -> dict[str, Any]:
        wait_until(path.exists, PROBE_LIMIT, f"the other worker's probe of {name}")
        return dict(json.loads(path.read_text(encoding="utf-8")))

    return result


def explained(outcome: Outcome) -> str:
    return "\n".join([str(outcome.case), *outcome.problems, outcome.told])


@pytest.mark.fault("P9")
def test_every_failpoint_is_reached(reached: Reached) -> None:
    assert unreached(reached) == {}


def cases() -> list[ParameterSet]:
    """A kill and another fault at each failpoint; all but some of the kills are extended.

    One kill in ten, chosen by the point's name, is played each time; the others have their turn in five commits, as
    what is extended has. Kills at failpoints are among what worlds are made of, too (test_worlds.py).
    """
    return [
        pytest.param(
            point,
            kind,
            id=f"{point}-{kind}",
            marks=[]
            if kind == "kill" and zlib.crc32(point.encode()) % TURNS == 0
            else [pytest.mark.extended],
        )
        for point in sorted(all_points())
        for kind in ("kill", "other")
    ]


@pytest.mark.fault("P9")
@pytest.mark.parametrize(("point", "kind"), cases())
def test_nothing_is_lost_after(campaign: Campaign, reached: Reached, point: str, kind: str) -> None:
    chance = random.Random(f"{SEED} {point} {kind}")
    places = [(name, command, nth) for name, command, found, nth in times(reached) if found == point]
    # The quickest ones, for most of a case's time is what leads up to the fault.
    single = [place for place in places if place[0] in COMMANDS]
    name, command, nth = chance.choice(single or places)
    fault = Fault(point, "kill" if kind == "kill" else chance.choice(FAULTS[1:]), nth, command)
    outcome = campaign.play(Case(name, fault, chance.choice(MODES)))
    assert outcome.ok, explained(outcome)


REGRESSIONS = {
    "the registration of a worktree renamed away is removed": (
        "qa rejects",
        Fault("removal.renamed", "kill"),
    ),
    "the trash of a removal is swept by the next start": ("maker major", Fault("removal.forgotten", "kill")),
    "a lock taken again after it expired is one's own": (
        "expired lock",
        Fault("recovery.locked_again", "kill"),
    ),
    "a checkout that was switched is switched back": ("no worktree", Fault("checkout.switched", "kill")),
    "what is staged nowhere makes no salvage": ("crashing agent", Fault("removal.renamed", "kill")),
    "half a restored file is in nobody's way": ("worktree.restore", Fault("place.before", "kill")),
    "half an approval is swept by the next one": ("trust", Fault("file.written", "kill")),
    "half a tasks.py is nowhere to be seen": ("init", Fault("project.after", "kill")),
    "an archive whose salvage was deleted is deleted with the next": (
        "worktree.prune",
        Fault("prune.before", "kill"),
    ),
    "the trash that a full disk left is swept by a start that finds no task": (
        "lost lock",
        Fault("removal.before", "enospc", 4),
    ),
    "what a run cost is in the day's account though its directory met a full disk": (
        "day's budget",
        Fault("state.before", "enospc", 4),
    ),
    "a rename that was done but reported as failed is gone on from": (
        "lost lock",
        Fault("removal.after", "enospc"),
    ),
    "a worktree that cannot be archived stays, and health says so": (
        "ignored files",
        Fault("archive.stored", "enospc"),
    ),
    "a task that a full disk leaves in the checkout is worked there": (
        "broken pointer",
        Fault("exclude.before", "enospc"),
    ),
}


@pytest.mark.parametrize("promise", REGRESSIONS)
def test_found_by_the_campaign(campaign: Campaign, promise: str) -> None:
    outcome = campaign.play(Case(*REGRESSIONS[promise]))
    assert outcome.ok, explained(outcome)


@pytest.mark.parametrize("mutant", MUTANTS[:3], ids=lambda mutant: mutant.name)
def test_the_campaign_notices_that(campaign: Campaign, tmp_path: Path, mutant: Mutant) -> None:
    outcome = campaign.play(mutant.case, make(mutant, tmp_path / "package"))
    assert any(problem.startswith(mutant.invariant) for problem in outcome.problems), explained(outcome)
