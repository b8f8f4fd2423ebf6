"""Every mend can still be taken out again: code that was rewritten must stay comparable with what it was before."""

from __future__ import annotations

import filecmp
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.campaign.edits import apply
from tests.campaign.points import PACKAGE
from tests.worlds.find_mends import all_mends
from tests.worlds.mends import UNREACHABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.worlds.mends import Mend

MENDS = tuple(all_mends())


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package for all of these tests: making one takes longer than the edits."""
    path = tmp_path_factory.mktemp("mends") / PACKAGE.name
    shutil.copytree(PACKAGE, path, ignore=shutil.ignore_patterns("__pycache__"))
    return path


@pytest.fixture
def package(copy: Path) -> Iterator[Path]:
    """The copy, which is as the package again afterwards."""
    yield copy
    for path in copy.rglob("*.py"):
        original = PACKAGE / path.relative_to(copy)
        if not filecmp.cmp(path, original, shallow=False):
            shutil.copyfile(original, path)


@pytest.mark.parametrize("mend", MENDS, ids=lambda mend: mend.row)
def test_the_mend_can_be_taken_out(package: Path, mend: Mend) -> None:
    apply(mend.edits, package)


def test_no_row_is_both_taken_out_and_out_of_reach() -> None:
    assert not {mend.row for mend in MENDS} & UNREACHABLE.keys()
