"""The soak of one shared checkout in short: `./inv soak --shared-checkout --seeds 20` is the long one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.campaign.shared_checkout import shared_checkout

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.extended
@pytest.mark.parametrize("seed", [1, 2])
def test_no_commit_of_killed_runners_in_one_checkout_holds_another_tasks_file(
    tmp_path: Path, seed: int
) -> None:
    problems, summary = shared_checkout(tmp_path, seed, kills=6)
    assert problems == [], summary
