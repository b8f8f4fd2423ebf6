"""A git configuration of the operator's that git cannot read: the file is named, and not git's version blamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.runners import Desk


@pytest.mark.fault("E5")
@pytest.mark.parametrize("variable", ["GIT_CONFIG_SYSTEM", "GIT_CONFIG_GLOBAL"])
def test_a_configuration_that_git_cannot_read_is_named_with_what_to_do(
    desk: Desk, tmp_path: Path, variable: str
) -> None:
    path = tmp_path / "operators.gitconfig"
    path.write_text("[user\n\tname = broken\n", encoding="utf-8")
    desk.more |= {variable: str(path), "GIT_CONFIG_NOSYSTEM": "0"}
    desk.board.add_task()
    done = desk.run_single()
    assert (done.returncode, desk.board.task(1)["locked_by"]) == (78, None)
    assert str(path) in done.stderr
    assert ("mend the named configuration file" in done.stderr, "install git" in done.stderr) == (True, False)
