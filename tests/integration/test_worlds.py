"""Worlds that were chosen for what is in them; `./inv worlds` plays new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.worlds.chosen import NUMBERS, SEED
from tests.worlds.draw import draw

if TYPE_CHECKING:
    from tests.support.fixtures_worlds import Holds


@pytest.mark.parametrize("number", NUMBERS, ids=[f"seed{SEED}-{number}" for number in NUMBERS])
def test_everything_holds_in_world(holds: Holds, number: int) -> None:
    holds(draw(SEED, number))
