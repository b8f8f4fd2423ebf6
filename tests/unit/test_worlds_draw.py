"""The generator of worlds: every seed and number gives a world that can be played, always the same one."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.campaign.points import all_points
from tests.worlds.acts import ACTS
from tests.worlds.chosen import NUMBERS, SEED
from tests.worlds.coverage import choose, covered
from tests.worlds.declared import MOMENTS, Register
from tests.worlds.draw import POINTS, REGISTERS, Drawing, draw, in_order, reachable_rows
from tests.worlds.telling import as_script, as_test, as_text, in_words
from tests.worlds.world import World

if TYPE_CHECKING:
    from tests.worlds.world import Choice

ENOUGH = 0.8
"""Which part of all that is declared must be in the worlds that `./inv test` plays."""

seeds = st.integers(min_value=0, max_value=1 << 32)
numbers = st.integers(min_value=0, max_value=100_000)
worlds = st.builds(draw, seeds, numbers)


def parts(world: World) -> dict[str, list[Choice]]:
    runs = [run for task in world.tasks for run in task.runs]
    return {
        "repository": [*world.repository],
        "host": [*world.host],
        "act": [act for run in runs for act in run.acts],
        "outcome": [run.outcome for run in runs],
        "person": [event.what for event in world.person],
        "fault": [event.what for event in world.faults],
    }


@given(seeds, numbers)
def test_a_seed_and_a_number_always_give_the_same_world(seed: int, number: int) -> None:
    assert draw(seed, number) == draw(seed, number)


@given(worlds)
def test_a_world_comes_back_from_its_json_and_from_what_is_printed(world: World) -> None:
    assert World.from_json(world.to_json()) == world
    assert World.from_json(as_text(world)) == world
    assert as_text(world).isascii()


@given(worlds)
def test_a_world_has_tasks_with_runs_and_nothing_that_is_not_declared(world: World) -> None:
    assert world.tasks
    assert all(task.runs for task in world.tasks)
    declared = {register.kind: register for register in REGISTERS}
    for kind, choices in parts(world).items():
        assert {choice.name for choice in choices} <= declared[kind].declared.keys()
        json.dumps([choice.facts for choice in choices])


@given(worlds)
def test_every_meeting_has_its_event_and_every_event_its_moment(world: World) -> None:
    met = Counter(str(act.facts["name"]) for act in parts(world)["act"] if act.name == "meet")
    events = [*world.person, *world.faults]
    whens = [event.when.partition(" ") for event in events]
    assert met == Counter(what for word, _, what in whens if word == "meet")
    for event, (word, _, what) in zip(events, whens, strict=True):
        register = next(r for r in REGISTERS if r.kind == ("person" if event in world.person else "fault"))
        assert word in register[event.what.name].moments
        assert event.runner < world.runners
        if word == "point":
            name, _, nth = what.partition("#")
            assert 1 <= int(nth) <= POINTS[name]


@given(worlds)
def test_what_excludes_each_other_is_never_together_and_nothing_is_twice(world: World) -> None:
    for register, chosen in zip(REGISTERS[:2], (world.repository, world.host), strict=True):
        names = [choice.name for choice in chosen]
        assert len(set(names)) == len(names)
        for name in names:
            assert not register[name].unless & set(names) - {name}


@given(worlds)
def test_what_has_no_weight_is_only_there_where_something_asks_for_it(world: World) -> None:
    for register in REGISTERS:
        weightless = {name for name in register.names() if not register[name].weight} - {"meet"}
        assert not weightless & {choice.name for choice in parts(world)[register.kind]}


def test_weights_are_heeded() -> None:
    drawing = Drawing("a world")
    won = Counter(drawing.one_of({"often": 9.0, "seldom": 1.0, "never": 0.0}, f"{n}") for n in range(3000))
    assert 0.87 < won["often"] / won.total() < 0.93
    assert won["never"] == 0


def test_a_new_thing_changes_only_the_choices_that_it_wins() -> None:
    drawing = Drawing("a world")
    old = dict.fromkeys("abcdefgh", 1.0)
    before = [drawing.one_of(old, str(n)) for n in range(500)]
    after = [drawing.one_of(old | {"new": 1.0}, str(n)) for n in range(500)]
    assert {now for was, now in zip(before, after, strict=True) if was != now} == {"new"}


def test_what_leads_to_a_row_is_likelier_in_a_world_drawn_for_it() -> None:
    row = "B2"

    def worlds_with(row_drawn: str) -> int:
        leads = {name for name in ACTS.names() if row in ACTS[name].rows}
        drawn = [draw(1, number, row_drawn) for number in range(100)]
        return sum(bool(leads & {act.name for act in parts(world)["act"]}) for world in drawn)

    assert leads_somewhere(row)
    assert worlds_with(row) > worlds_with("")


def leads_somewhere(row: str) -> bool:
    return bool(reachable_rows().get(row))


def test_rows_are_in_the_order_of_people() -> None:
    assert sorted(["B11", "D4b", "A1", "B2", "D4"], key=in_order) == ["A1", "B2", "B11", "D4", "D4b"]


def test_the_points_at_which_events_happen_are_failpoints() -> None:
    assert POINTS.keys() <= set(all_points())


def test_the_moments_of_every_event_are_moments() -> None:
    assert {
        moment for register in REGISTERS[4:] for name in register.names() for moment in register[name].moments
    } <= set(MOMENTS)


def test_a_thing_that_is_declared_twice_is_refused() -> None:
    register: Register[[], None] = Register("act")

    def act() -> None:
        """It acts."""

    register.declare()(act)
    with pytest.raises(AssertionError, match="act act is declared twice"):
        register.declare()(act)


def test_what_is_declared_says_what_it_is_and_draws_facts_that_it_takes() -> None:
    for register in REGISTERS:
        for name in register.names():
            assert register[name].says.endswith("."), f"{register.kind} {name}"


@given(worlds)
def test_a_world_is_told_thing_by_thing(world: World) -> None:
    told = "\n".join(in_words(world))
    for kind, choices in parts(world).items():
        for choice in choices:
            assert f"{kind} {choice.name}: " in told
    assert told.isascii()


@given(worlds)
def test_a_world_is_printed_as_a_script_and_as_a_test_in_python(world: World) -> None:
    script = as_script(world)
    assert World.from_json(script.partition("\n")[2].rpartition("\n")[0]) == world
    played: list[str] = []
    names: dict[str, object] = {"Holds": object}
    exec(as_test(world, ["lost: a.txt is nowhere"]), names)
    (test,) = [made for name, made in names.items() if name.startswith("test_")]
    assert callable(test)
    test(played.append)
    assert [World.from_json(text) for text in played] == [world]


def test_the_worlds_that_are_always_played_have_most_of_what_is_declared() -> None:
    share, lacking = covered([draw(SEED, number) for number in NUMBERS])
    assert share >= ENOUGH, f"./inv worlds --choose {len(NUMBERS)} covers them again: {', '.join(lacking)}"
    assert len(NUMBERS) >= 30


def test_worlds_are_chosen_for_what_is_in_them_and_always_the_same() -> None:
    chosen = choose(4, seed=1, among=40)
    assert chosen == choose(4, seed=1, among=40)
    share, _ = covered([draw(1, number) for number in chosen])
    first, _ = covered([draw(1, number) for number in range(4)])
    assert share > first
