"""A repository whose references are kept elsewhere than in files is refused at the start, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.removals import Bench
from tests.support.repos import make_repo

if TYPE_CHECKING:
    from pathlib import Path

FORMS = {
    "version 1": "[core]\n\trepositoryformatversion = 1\n[extensions]\n\trefStorage = reftable\n",
    "version 0": '[extensions]\n\tRefStorage="reftable"\n',
    "one line": "[ext]\n\tx = 1\n[Extensions] refstorage = reftable ; new\n",
}

MARKED = "\ufeff[extensions]\n\trefStorage = reftable\n"
"""As an editor leaves it that puts a byte order mark first; git reads on behind it."""


@pytest.fixture
def bench(tmp_path: Path, isolated: Path) -> Bench:
    return Bench(make_repo(tmp_path / "shop"), isolated)


@pytest.mark.fault("C4")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("command", ["worktree.add", "run"])
def test_other_reference_storage_is_refused_with_its_name(bench: Bench, command: str, form: str) -> None:
    config = bench.repo.root / ".git" / "config"
    config.write_text(config.read_text() + FORMS[form])
    args = (
        ["--task-id", "12"]
        if command == "worktree.add"
        else ["--agent-id", "dev_001", "--role", "backend_dev", "--single-task"]
    )
    done = bench.hpm(command, *args)
    assert (done.returncode, "reftable" in done.stderr) == (78, True), done.stderr


@pytest.mark.fault("C4")
def test_other_reference_storage_behind_a_byte_order_mark_is_refused(bench: Bench) -> None:
    config = bench.repo.root / ".git" / "config"
    config.write_text(MARKED + config.read_text(), encoding="utf-8")
    done = bench.hpm("worktree.add", "--task-id", "12")
    assert (done.returncode, "reftable" in done.stderr) == (78, True), done.stderr


@pytest.mark.fault("C4")
def test_worktree_stays_when_the_storage_changes_after_it_was_made(bench: Bench) -> None:
    worktree = bench.add()
    commit = bench.repo.git("commit-tree", "HEAD^{tree}", "-m", "detached")
    bench.repo.git("checkout", "-q", "--detach", commit, cwd=worktree)
    config = bench.repo.root / ".git" / "config"
    config.write_text(config.read_text() + "[extensions]\n\trefStorage = reftable\n")
    bench.remove()
    assert worktree.is_dir()


@pytest.mark.fault("C4")
def test_health_names_the_storage(bench: Bench) -> None:
    config = bench.repo.root / ".git" / "config"
    config.write_text(config.read_text() + FORMS["version 1"])
    done = bench.hpm("health")
    assert "reftable" in done.stdout + done.stderr, done.stderr


def test_files_named_as_the_storage_are_no_reason_to_refuse(bench: Bench) -> None:
    config = bench.repo.root / ".git" / "config"
    config.write_text(config.read_text() + "[extensions]\n\trefStorage = files\n")
    assert bench.add().is_dir()
