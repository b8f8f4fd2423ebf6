"""Every mend can still be taken out again: code that was rewritten must stay comparable with what it was before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.worlds.find_mends import all_mends, take_out

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worlds.mends import Mend

MENDS = tuple(all_mends())


@pytest.mark.parametrize("mend", MENDS, ids=lambda mend: mend.row)
def test_the_mend_can_be_taken_out(tmp_path: Path, mend: Mend) -> None:
    take_out(mend, tmp_path)
