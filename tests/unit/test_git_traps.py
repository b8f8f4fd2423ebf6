"""What an agent can put in the place of git's files: the runner neither hangs on it nor writes through it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from hpm_tools.errors import CannotCreate, Misconfigured
from hpm_tools.worktree.evidence import Snapshot, commit_leftovers, delta
from hpm_tools.worktree.git import Git
from hpm_tools.worktree.salvage import salvage
from tests.support.repos import Repo, key

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file of the operator's that an agent would like to have overwritten."""
    path = tmp_path / "bashrc"
    path.write_text("the operator's own\n", encoding="utf-8")
    return path


def untouched(outside: Path) -> bool:
    return outside.read_text(encoding="utf-8") == "the operator's own\n"


@pytest.mark.parametrize("name", ["config", "config.worktree"])
@pytest.mark.parametrize("kind", ["fifo", "directory", "device"])
def test_no_configuration_but_a_file_is_read(repo: Repo, name: str, kind: str) -> None:
    path = repo.root / ".git" / name
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(Misconfigured) as caught:
        Git(repo.root).run("status")
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_a_configuration_of_any_size_is_not_read_into_memory(repo: Repo) -> None:
    with open(repo.root / ".git" / "config", "r+b") as file:
        file.truncate(1 << 40)
    # Git itself refuses it, or reads on; that it is asked at all shows that we did not.
    from hpm_tools.worktree.executable import mentions_programs

    assert mentions_programs([repo.root / ".git" / "config"])


FIFOS = [
    ".git/worktrees/task-12/gitdir",
    ".git/worktrees/task-12/hpm.json",
    ".git/worktrees/task-12/logs/HEAD",
    ".git/logs/HEAD",
    ".git/logs/refs/heads/feature/task-12",
    ".git/hooks/post-checkout",
    ".git/info/attributes",
    ".worktrees/task-12/.git",
    ".worktrees/task-12/src/shop.py",
    ".worktrees/task-12/new",
    ".worktreeinclude",
]


@pytest.mark.parametrize("name", FIFOS)
def test_a_fifo_anywhere_hangs_nothing(repo: Repo, name: str) -> None:
    worktrees = repo.worktrees()
    place = worktrees.add_for_task(key()).path
    snapshot = Snapshot.take(place, "run1")
    main = Snapshot.take(repo.root, "run2", attributed=True)
    path = repo.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    repo.write({"work.txt": "x\n"}, at=place)

    found = delta(place, snapshot)
    delta(repo.root, main)
    assert "work.txt" in found.dirty
    salvage(place, agent_id="dev_001", task_id=12)
    commit_leftovers(place, "task 12")
    assert repo.show("feature/task-12:work.txt") == "x"
    worktrees.detach(place)
    repo.write({"more.txt": "x\n"}, at=place)
    removed = worktrees.remove(place, agent_id="dev_001")
    assert removed.kept_because or repo.show(f"{removed.salvage}:more.txt") == "x"
    assert worktrees.add_for_task(key(13)).path.is_dir()


def test_archives_and_guards_are_not_written_through_links(repo: Repo, tmp_path: Path, outside: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    worktrees = repo.worktrees()
    place = worktrees.add_for_task(key()).path
    repo.write({".gitignore": "notes\n", "notes": "keep me\n"}, at=place)
    archive = repo.root / ".git" / "hpm" / "archive"
    archive.symlink_to(elsewhere)
    removed = worktrees.remove(place, agent_id="dev_001")
    assert "cannot write an archive" in str(removed.kept_because)
    archive.unlink()
    archive.mkdir()
    (archive / "dev_001-12.part").symlink_to(outside)
    assert worktrees.remove(place, agent_id="dev_001").archive is not None
    (repo.root / ".git" / "hpm").rename(tmp_path / "hpm")
    (repo.root / ".git" / "hpm").symlink_to(elsewhere)
    assert worktrees.add_for_task(key(13)).path.is_dir()
    assert os.listdir(elsewhere) == []
    assert untouched(outside)


def test_worktrees_are_not_made_through_a_link_that_nobody_configured(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (repo.root / ".worktrees").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CannotCreate) as caught:
        repo.worktrees().add_for_task(key())
    assert "HEADLESS_PM_WORKTREE_BASE" in caught.value.hint
    assert os.listdir(tmp_path / "elsewhere") == []
    chosen = repo.worktrees(base=tmp_path / "elsewhere")
    assert chosen.add_for_task(key()).path.parent == tmp_path / "elsewhere"


def test_administrative_files_are_replaced_and_not_written_through_links(repo: Repo, outside: Path) -> None:
    worktrees = repo.worktrees()
    place = worktrees.add_for_task(key()).path
    snapshot = Snapshot.take(place, "run1")
    admin = repo.root / ".git" / "worktrees" / "task-12"
    for name in ("gitdir", "gitdir.hpm-new", "hpm.json.new"):
        (admin / name).unlink(missing_ok=True)
        (admin / name).symlink_to(outside)
    (place / ".git").unlink()
    (place / ".git").symlink_to(outside)
    (place / ".git.hpm-new").symlink_to(outside)
    assert any("restored" in said for said in delta(place, snapshot).tampering)
    assert untouched(outside)
    assert not (admin / "gitdir").is_symlink()
    assert repo.git("status", "--short", cwd=place) == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hook.linter.command", "touch owned"),
        ("gc.recentObjectsHook", "touch owned"),
        ("alias.st", "!touch owned"),
        ("url.https://evil.example/.insteadOf", "https://github.com/"),
    ],
)
def test_what_waits_for_a_person_or_a_newer_git_is_told_too(repo: Repo, name: str, value: str) -> None:
    place = repo.worktrees().add_for_task(key()).path
    snapshot = Snapshot.take(place, "run1")
    repo.git("config", name, value)
    (said,) = delta(place, snapshot).tampering
    assert name.lower() in said.lower()
