"""Fixtures that play worlds (tests/worlds) on boards that the tests of a module share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.worlds.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.worlds.engine import Worlds

Holds = Callable[[World | str], None]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    from tests.worlds.engine import Worlds

    with Worlds(tmp_path_factory.mktemp("worlds")) as worlds:
        yield worlds


@pytest.fixture
def holds(worlds: Worlds, isolated: Path) -> Holds:
    """Play a world, given as it is or as JSON; fails with the world in words if an invariant objects."""
    from tests.worlds.telling import of_a_failure

    def check(given: World | str) -> None:
        world = World.from_json(given) if isinstance(given, str) else given
        outcome = worlds.play(world)
        assert outcome.ok, of_a_failure(outcome)

    return check
