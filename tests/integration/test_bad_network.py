"""The whole runner through a network that loses requests and answers, under logged seeds."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.campaign.bench import Bench, make_template, single
from tests.campaign.catalogue import SCENARIOS
from tests.campaign.invariants import Story, violations
from tests.support.fault_proxy import FAULTS, SLOW, FaultProxy, LosingProxy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

FIRST = int(os.environ.get("HPM_NETWORK_SEED", "1"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("HPM_NETWORK_SEEDS", "2")))
STARTS = 8
SCENARIOS_PLAYED = ("maker major", "parked minor", "qa", "given back")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template") / "repo")


class Far(Bench):
    """A bench whose commands reach the board through ``proxy`` only."""

    proxy: FaultProxy | LosingProxy | None = None

    @property
    def environment(self) -> dict[str, str]:
        url = {"HEADLESS_PM_API_URL": self.proxy.url} if self.proxy else {}
        return {**super().environment, **url}


def play(place: Path, board: BoardUnderTest, template: Path, proxy: FaultProxy, name: str) -> None:
    """Start the runner until it says that nothing is left; then all invariants must hold."""
    place.mkdir()
    bench = Far(place, board, template)
    scenario = SCENARIOS[name]
    story = Story(bench, scenario, scenario.prepare(bench), None)
    bench.proxy = proxy
    try:
        with proxy:
            while len(story.disturbed) < STARTS and not settled(story):
                story.disturbed.append(bench.command(*single(scenario.role, scenario.agent)))
            proxy.calm()
            if not settled(story):
                story.restarted.append(bench.command(*single(scenario.role, scenario.agent)))
        problems = violations(story)
        assert problems == [], "\n".join(
            [f"seed {proxy.seed}", *problems, *proxy.told, *map(str, story.commands)]
        )
        assert proxy.stranger.requests == []
    finally:
        bench.end()


def settled(story: Story) -> bool:
    told = " ".join(story.bench.board.statuses(story.task))
    over = re.fullmatch(story.scenario.changelog, told) is not None
    return over and story.bench.record(story.scenario.agent) is None


@pytest.mark.fault("board-down")
@pytest.mark.parametrize("name", SCENARIOS_PLAYED)
@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=() if seed == FIRST else pytest.mark.extended) for seed in SEEDS]
)
def test_a_bad_network_costs_time_and_nothing_else(
    tmp_path: Path, board: BoardUnderTest, template: Path, seed: int, name: str
) -> None:
    play(tmp_path / "far", board, template, FaultProxy(board.url, seed), name)


LONG = ("gzip bomb", "endless")
"""What costs most to answer and to read: tests/unit/test_board_transport.py shows where it is cut off."""


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.extended if kind in LONG else ())
        for kind in FAULTS
        if kind not in SLOW
    ],
)
def test_any_one_fault_often(
    tmp_path: Path, upstream_board: BoardUnderTest, template: Path, kind: str
) -> None:
    proxy = FaultProxy(upstream_board.url, FIRST, share=0.4, kinds=[kind])
    play(tmp_path / "far", upstream_board, template, proxy, "maker major")


@pytest.mark.parametrize("kind", SLOW)
def test_answers_that_never_end_are_not_waited_for(
    tmp_path: Path, exact_board: BoardUnderTest, template: Path, kind: str
) -> None:
    proxy = FaultProxy(exact_board.url, FIRST, share=0.3, kinds=[kind, "429"], slow=1)
    play(tmp_path / "far", exact_board, template, proxy, "maker major")
    assert any(told.endswith(kind) for told in proxy.told)


WRITES = {
    "maker major": {"register", "lock", "status under_work", "status dev_done"},
    "parked minor": {"register", "lock", "status under_work", "status pending", "comment"},
    "given back": {"register", "lock", "status under_work", "status created"},
    "pm.add": {"register", "epics", "features", "create", "status created"},
}
"""All that is written to the board, by who writes it; a new kind of write fails the test until it is here."""


def once_through(place: Path, board: BoardUnderTest, template: Path, name: str, lost: str) -> LosingProxy:
    """Play the scenario once, the first answer to ``lost`` never coming; nothing else may differ."""
    place.mkdir()
    board.wipe()
    bench = Far(place, board, template)
    scenario = SCENARIOS[name]
    story = Story(bench, scenario, scenario.prepare(bench), None)
    with LosingProxy(board.url, lost) as proxy:
        bench.proxy = proxy
        story.disturbed = scenario.run(bench, story.task, None)
    try:
        problems = violations(story)
        assert problems == [], "\n".join([f"lost: {lost}", *problems, *map(str, story.commands)])
        assert story.disturbed[-1].code in scenario.codes, story.disturbed[-1]
    finally:
        bench.end()
    return proxy


LOST = {write: name for name, writes in reversed(WRITES.items()) for write in writes}
"""Each kind of write, and the first scenario that makes it."""


@pytest.mark.parametrize("write", sorted(LOST))
def test_the_answer_to_each_write_may_be_lost(
    tmp_path: Path, request: pytest.FixtureRequest, template: Path, write: str
) -> None:
    name = LOST[write]
    mode = ("exact_board", "upstream_board")[sorted(LOST).index(write) % 2]
    proxy = once_through(tmp_path / "far", request.getfixturevalue(mode), template, name, write)
    assert set(proxy.writes) == WRITES[name]
