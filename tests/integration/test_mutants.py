"""Every mutant can still be made: a promise that was rewritten must stay breakable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.campaign.mutants import MUTANTS, NO_LOCAL_GUARD, NO_READ_BACK, Mutant, make

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("mutant", [*MUTANTS, NO_LOCAL_GUARD, NO_READ_BACK], ids=lambda mutant: mutant.name)
def test_the_promise_can_be_broken(tmp_path: Path, mutant: Mutant) -> None:
    make(mutant, tmp_path)
