"""Settings of other worktrees that come and go while an agent works are nobody's tampering."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.worktree.evidence import Snapshot, delta
from tests.support.repos import key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


def test_worktrees_that_are_made_or_removed_meanwhile_are_not_told(repo: Repo, tmp_path: Path) -> None:
    repo.git("config", "extensions.worktreeConfig", "true")
    repo.git("config", "--worktree", "core.sparseCheckout", "false")
    place = repo.worktrees().add_for_task(key()).path
    repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "mine"))
    repo.git("config", "--worktree", "user.name", "me", cwd=tmp_path / "mine")
    snapshot = Snapshot.take(place, "run1")
    other = repo.worktrees().add_for_task(key(13)).path
    repo.git("config", "--worktree", "core.sparseCheckout", "false", cwd=other)
    repo.git("worktree", "remove", str(tmp_path / "mine"))
    assert list(delta(place, snapshot).tampering) == []
