"""The soak in short: `./inv soak --minutes 10` is the long one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.campaign.soak import soak

if TYPE_CHECKING:
    from pathlib import Path

SEED = int(os.environ.get("HPM_SOAK_SEED", "1"))


@pytest.mark.fault("P9")
@pytest.mark.extended
@pytest.mark.parametrize("mode", ["exact", "upstream"])
def test_runners_agents_and_board_are_killed_at_random_and_nothing_is_lost(tmp_path: Path, mode: str) -> None:
    problems, summary = soak(tmp_path, 12, SEED, runners=4, tasks=8, upstream=mode == "upstream")
    assert problems == [], summary
