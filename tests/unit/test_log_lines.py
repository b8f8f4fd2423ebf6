"""The lines of reflogs, as git writes them and as anybody may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpm_tools.worktree.log_lines import log_lines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


@pytest.mark.parametrize("name", ["A. Person", "A\u2028B\x85C", "x"])
def test_whatever_people_are_called_each_line_is_one(repo: Repo, name: str) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "next", env={"GIT_COMMITTER_NAME": name})
    first, second = log_lines(repo.root / ".git" / "logs" / "HEAD", 0, 1 << 20)
    assert (second.old, second.new) == (first.new, repo.git("rev-parse", "HEAD"))
    assert (second.reason, second.complete) == ("commit: next", True)
    assert second.time >= first.time > 0


@pytest.mark.parametrize(
    "text", ["", "x\n", f"{'a' * 40}\tcommit: x\n", f"{'a' * 40} {'b' * 40} A <a@b> soon +0000\tx\n"]
)
def test_what_git_never_wrote_is_not_complete(tmp_path: Path, text: str) -> None:
    path = tmp_path / "HEAD"
    path.write_text(text, encoding="ascii")
    lines = log_lines(path, 0, 1 << 20)
    assert len(lines) == text.count("\n")
    assert not any(line.complete for line in lines)


def test_there_are_none_where_there_is_no_log(tmp_path: Path) -> None:
    assert log_lines(tmp_path / "HEAD", -100, 100) == []
