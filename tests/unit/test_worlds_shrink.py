"""Making a failing world small: the cause stays, all else goes, and what fails in another way is not taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worlds.draw import draw
from tests.worlds.shrink import Shrinking, put, size
from tests.worlds.world import Choice, Event, Run, Task, World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NUMBERS = st.integers(min_value=0, max_value=2000)


def shrink(world: World, fails: Callable[[World], bool], at_once: int = 1) -> tuple[World, int]:
    """The smallest world, and how many were played."""
    played: list[World] = []

    def first_failing(worlds: Sequence[World]) -> World | None:
        assert 1 <= len(worlds) <= at_once
        played.extend(worlds)
        return next((world for world in worlds if fails(world)), None)

    small = Shrinking(world, first_failing, at_once=at_once).run()
    texts = [world.to_json() for world in played]
    assert len(set(texts)) == len(texts), "none is played twice"
    return small, len(played)


@given(NUMBERS, st.sampled_from([1, 2, 3]))
def test_a_planted_cause_is_all_that_stays(number: int, at_once: int) -> None:
    cause = (Choice("cause"), Choice("other cause"))
    world = draw(5, number)
    run = world.tasks[-1].runs[-1]
    acts = (*run.acts[:1], cause[0], *run.acts[1:], cause[1])
    path: list[str | int] = ["tasks", len(world.tasks) - 1, "runs", len(world.tasks[-1].runs) - 1, "acts"]
    planted = put(put(world, path, acts), ["repository"], (*world.repository, Choice("dirty")))

    def fails(world: World) -> bool:
        runs = [run for task in world.tasks for run in task.runs]
        both = any(cause[0] in run.acts and cause[1] in run.acts for run in runs)
        return both and Choice("dirty") in world.repository

    small, _ = shrink(planted, fails, at_once)
    assert small == World(
        name=world.name,
        repository=(Choice("dirty"),),
        tasks=(Task(runs=(Run(acts=small.tasks[0].runs[0].acts),)),),
    )
    assert sorted(act.name for act in small.tasks[0].runs[0].acts) == ["cause", "other cause"]


def test_a_large_world_takes_few_plays() -> None:
    acts = tuple(Choice("edit", {"path": f"{number}.txt"}) for number in range(32))
    world = World("large", runners=3, tasks=(Task("minor", (Run(acts), Run(acts))),) * 3)
    small, plays = shrink(world, lambda world: any(acts[17] in run.acts for run in world.tasks[0].runs))
    assert size(small) == 3
    assert plays < 60


def test_times_runners_board_and_facts_become_plain() -> None:
    fault = Event("point git.after#4", Choice("kill_runner"), 2)
    run = Run((Choice("edit", {"path": "deep/er/new.txt"}),), Choice("silent"))
    world = World(
        "odd", "upstream", 3, lasting=True, tasks=(Task("review", (run,), branch="x"),), faults=(fault,),
        person=(Event("between", Choice("commits"), 1),),
    )  # fmt: skip
    small, _ = shrink(
        world, lambda world: bool(world.faults and world.person and world.tasks[0].runs[0].acts)
    )
    (act,) = small.tasks[0].runs[0].acts
    assert len(act.facts["path"]) < len("deep/er/new.txt")
    assert small == World(
        "odd",
        tasks=(Task(runs=(Run((act,)),)),),
        person=(Event("before", Choice("commits")),),
        faults=(Event("point git.after#1", Choice("kill_runner")),),
    )


def test_what_is_needed_is_not_made_plainer() -> None:
    world = World("x", "upstream", 2, tasks=(Task("minor"), Task("review")))
    small, _ = shrink(world, lambda world: world.board == "upstream" and world.runners == 2)
    assert small == World("x", "upstream", 2, tasks=(Task(),))


def test_where_the_time_is_over_the_smallest_so_far_is_there() -> None:
    class Over(Exception):
        pass

    plays = 0

    def until_three(worlds: Sequence[World]) -> World | None:
        nonlocal plays
        plays += 1
        if plays > 3:
            raise Over
        return worlds[0]

    shrinking = Shrinking(
        World("x", tasks=(Task(),) * 8, faults=(Event("between", Choice("lapse")),)), until_three
    )
    with pytest.raises(Over):
        shrinking.run()
    assert size(shrinking.smallest) < 17
