"""What builds and set-ups leave where git ignores it: nobody archives it, and the way to be rid of the rest is named."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

IGNORE = ".env\n*.img\n.next/\n.turbo/\ncoverage/\nDerivedData/\nobj/\n*.log\ncache/\n"
WORK = {"write": ["work.txt", "work\n"]}
OUTPUTS = (".next/a.js", "app/.turbo/b", "coverage/index.html", "DerivedData/c/d", "app/obj/e.dll", "run.log")
LARGE = "101M"
"""More than is archived."""


@pytest.fixture
def repo(repo: Repo) -> Repo:
    repo.commit({".gitignore": IGNORE})
    return repo


def work(desk: Desk, *acts: dict[str, Any], **outcome: Any) -> Any:
    rest = {"outcome": outcome} if outcome else {}
    desk.board.add_task(description=script(WORK, *acts, **rest), complexity="major")
    return desk.run_single()


def archives(repo: Repo) -> list[Path]:
    return sorted((repo.root / ".git" / "hpm" / "archive").glob("*.tar"))


@pytest.mark.fault("C7")
def test_build_output_is_not_archived(desk: Desk, repo: Repo) -> None:
    done = work(desk, *({"write": [name, "x\n"]} for name in OUTPUTS))
    assert done.returncode == 0, done.stdout + done.stderr
    assert archives(repo) == []
    assert "salvage" not in repo.git("for-each-ref", "refs/hpm/")
    assert not (repo.root / ".worktrees" / "task-1").exists()


@pytest.mark.fault("C7")
@pytest.mark.parametrize("changed", [False, True])
def test_large_file_of_the_setup_goes_unless_somebody_changed_it(
    desk: Desk, repo: Repo, *, changed: bool
) -> None:
    desk.change(worktree={"setup": ["truncate", "-s", LARGE, "core.img"]})
    done = work(desk, *([{"run": ["truncate", "-s", "102M", "core.img"]}] if changed else []))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (repo.root / ".worktrees" / "task-1").is_dir() == changed, done.stderr


@pytest.mark.fault("C7")
def test_discarding_ignored_files_keeps_all_other_work(desk: Desk, repo: Repo) -> None:
    place = repo.root / ".worktrees" / "task-7"
    assert desk.hpm("worktree.add", "--task-id", 7).returncode == 0
    repo.write({"new.txt": "work\n", ".env": "KEY=1\n"}, at=place)
    removed = desk.hpm("worktree.remove", "--task-id", 7, "--discard-ignored")
    assert removed.returncode == 0, removed.stderr
    ref = removed.stdout.strip()
    assert (repo.show(f"{ref}:new.txt"), archives(repo), place.exists()) == ("work", [], False)


@pytest.mark.fault("C7")
def test_repository_among_ignored_files_is_not_discarded(desk: Desk, repo: Repo) -> None:
    place = repo.root / ".worktrees" / "task-7"
    assert desk.hpm("worktree.add", "--task-id", 7).returncode == 0
    repo.git("init", "-q", str(place / "cache" / "inner"))
    removed = desk.hpm("worktree.remove", "--task-id", 7, "--discard-ignored")
    assert (removed.returncode, (place / "cache" / "inner" / ".git").is_dir()) == (1, True), removed.stderr


@pytest.mark.fault("C7")
def test_archive_of_a_reported_task_goes_after_its_days(desk: Desk, repo: Repo) -> None:
    secret = {"write": [".env", "KEY=1\n"]}
    assert work(desk, secret).returncode == 0
    assert work(desk, secret, status="blocked", summary="no access").returncode == 1
    (reported, parked) = archives(repo)
    mark = reported.with_name(f"{reported.name}.finished")
    days_ago = time.time() - 2 * 86400
    for path in (mark, reported, parked):
        os.utime(path, (days_ago, days_ago))
    assert work(desk).returncode == 0
    assert archives(repo) == [reported, parked]

    desk.change(worktree={"archive_days": 1})
    assert work(desk).returncode == 0
    assert archives(repo) == [parked]
    ref = repo.git("for-each-ref", "--format=%(refname)", "refs/hpm/salvage/dev_001/1")
    restored = desk.hpm("worktree.restore", "--ref", ref)
    assert restored.returncode == 0, restored.stderr
