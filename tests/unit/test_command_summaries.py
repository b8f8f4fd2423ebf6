"""What `hpm --list` and `invoke --list` say of each command fits on its line."""

from __future__ import annotations

import pytest

from hpm_tools import registry
from tests.support import frontends

WIDEST = 80


def test_hpm_list_has_one_line_for_each_command() -> None:
    listed = frontends.hpm("--list")
    lines = listed.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(registry.MODULES)
    assert [line for line in lines if len(line) > WIDEST] == []


@pytest.mark.parametrize("name", registry.MODULES)
def test_summary_is_one_sentence_that_fits_beside_the_longest_name_in_a_collection(name: str) -> None:
    found = registry.find(name)
    assert found is not None
    summary = found.summary
    assert summary.endswith("."), summary
    assert len(f"  hpm.worktree.restore   {summary}") <= WIDEST, summary
