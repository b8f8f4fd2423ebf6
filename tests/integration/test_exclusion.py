"""One live agent per task, whatever the board does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.campaign.bench import make_template
from tests.campaign.contest import contest
from tests.campaign.mutants import NO_READ_BACK, make
from tests.support.board_process import running_board

if TYPE_CHECKING:
    from pathlib import Path

BOARDS: dict[str, dict[str, Any]] = {
    "exact": {"upstream": False},
    "upstream": {"upstream": True},
    "upstream, 50 ms": {"upstream": True, "lock_delay": 0.05},
    "upstream, 500 ms": {"upstream": True, "lock_delay": 0.5},
}
ALWAYS = ("upstream, 500 ms",)
"""Every contest costs ten seconds of processor time: the one with the widest gap. Worlds have up to three on each board."""


@pytest.mark.fault("race-for-a-task")
@pytest.mark.parametrize(
    "board",
    [pytest.param(name, marks=() if name in ALWAYS else pytest.mark.extended) for name in BOARDS],
)
def test_sixteen_contenders_start_exactly_one_agent(tmp_path: Path, board: str) -> None:
    (tmp_path / "board").mkdir()
    with running_board(tmp_path / "board", **BOARDS[board]) as server:
        result = contest(tmp_path / "contest", server, make_template(tmp_path / "template"))
    assert list(result.problems()) == [], result.output


@pytest.mark.fault("race-for-a-task")
@pytest.mark.extended
def test_the_contest_notices_a_lock_that_is_not_read_back(tmp_path: Path) -> None:
    (tmp_path / "board").mkdir()
    package = make(NO_READ_BACK, tmp_path / "package")
    with running_board(tmp_path / "board", upstream=True, lock_delay=0.5) as server:
        result = contest(tmp_path / "contest", server, make_template(tmp_path / "template"), 4, package)
    assert any(problem.startswith("I1") for problem in result.problems()), result.output
