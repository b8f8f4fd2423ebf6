"""Nothing that only a checkout holds is removed before it is safe, whatever the checkout looks like."""

from __future__ import annotations

import os
import tarfile
import time
from typing import TYPE_CHECKING

import pytest

from hpm_tools.worktree import archive
from hpm_tools.worktree.git import Git
from hpm_tools.worktree.salvage import CannotSalvage, hash_paths, salvage, saved_paths, verify
from hpm_tools.worktree.status import take_status
from tests.support.deep_trees import BEYOND_RECURSION, cleared, grow
from tests.support.repos import Repo, key, make_repo
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from hpm_tools.worktree.removal import Removed


@pytest.fixture
def place(repo: Repo) -> Path:
    return repo.worktrees().add_for_task(key()).path


def remove(repo: Repo, place: Path) -> Removed:
    return repo.worktrees().remove(place, agent_id="dev_001")


def test_a_clean_worktree_goes_without_a_salvage(repo: Repo, place: Path) -> None:
    removed = remove(repo, place)
    assert (removed.salvage, removed.archive, removed.kept_because) == (None, None, None)
    assert not place.exists()
    assert repo.git("worktree", "list").count("\n") == 0
    assert repo.git("rev-parse", "feature/task-12") == repo.git("rev-parse", "main")
    assert repo.refs("refs/hpm/salvage/") == {}
    assert remove(repo, place) == removed


@pytest.mark.fault("P3")
def test_every_kind_of_change_is_kept_byte_for_byte(repo: Repo, place: Path) -> None:
    odd = os.fsdecode(b'odd \n "name"\\ \xff\xe9')
    repo.commit({"gone.txt": "x", "was-file": "x", "was-dir/inner": "x", "eol.txt": "x"}, at=place)
    (place / "gone.txt").unlink()
    (place / "was-file").unlink()
    (place / "was-dir" / "inner").unlink()
    (place / "was-dir").rmdir()
    content: dict[str, str | bytes] = {
        "src/shop.py": "PRICE = 2\n",
        "deep/er/new.bin": bytes(range(256)) * 100,
        "was-file/now": "dir",
        "was-dir": "now a file",
        "eol.txt": "one\r\ntwo\n",
        "empty": "",
        odd: "odd",
        ":(exclude)x": "magic",
        "-n": "option",
    }
    repo.write({**content, ".gitattributes": "*.txt text eol=lf working-tree-encoding=UTF-16\n"}, at=place)
    (place / "run.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    (place / "run.sh").chmod(0o755)
    (place / "link").symlink_to("../nowhere")
    (place / "README.md").unlink()
    (place / "README.md").symlink_to("src")

    removed = remove(repo, place)
    assert removed.kept_because is None
    assert removed.salvage is not None
    assert removed.salvage.startswith("refs/hpm/salvage/dev_001/12/")
    for name, expected in content.items():
        raw = repo.git("cat-file", "blob", f"{removed.salvage}:{name}")
        wanted = expected if isinstance(expected, str) else expected.decode(errors="surrogateescape")
        assert raw == wanted.rstrip("\n")
    back, _ = repo.worktrees().restore(removed.salvage)
    for name, expected in content.items():
        data = expected.encode() if isinstance(expected, str) else expected
        assert (back / name).read_bytes() == data
    assert (back / "run.sh").stat().st_mode & 0o100
    assert (back / "link").readlink().as_posix() == "../nowhere"
    assert (back / "README.md").is_symlink()
    assert not (back / "gone.txt").exists()


def test_the_salvage_says_whose_it_was_and_starts_from_head(repo: Repo, place: Path) -> None:
    head = repo.commit({"done.txt": "x"}, at=place)
    repo.write({"left.txt": "x"}, at=place)
    ref = remove(repo, place).salvage
    assert ref is not None
    assert repo.git("rev-parse", f"{ref}^") == head
    message = repo.git("log", "-1", "--format=%an %B", ref)
    assert "hpm-tools hpm salvage: task 12, agent dev_001" in message
    assert "branch: feature/task-12" in message


@pytest.mark.fault("half-done-git")
def test_what_was_staged_and_then_changed_again_is_kept_twice(repo: Repo, place: Path) -> None:
    repo.write({"a.txt": "staged\n"}, at=place)
    repo.git("add", "a.txt", cwd=place)
    repo.write({"a.txt": "later\n"}, at=place)
    repo.write({"b.txt": "staged, then deleted\n"}, at=place)
    repo.git("add", "b.txt", cwd=place)
    (place / "b.txt").unlink()
    ref = remove(repo, place).salvage
    assert repo.show(f"{ref}:a.txt") == "later"
    assert repo.show(f"{ref}^2:a.txt") == "staged"
    assert repo.show(f"{ref}^2:b.txt") == "staged, then deleted"


@pytest.mark.fault("half-done-git")
def test_a_commit_that_no_branch_has_is_kept(repo: Repo, place: Path) -> None:
    repo.git("checkout", "-q", "--detach", cwd=place)
    lost = repo.commit({"a.txt": "a"}, at=place)
    ref = remove(repo, place).salvage
    assert ref is not None
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "-q", "--prune=now")
    assert repo.git("merge-base", lost, ref) == lost


def test_commits_left_behind_on_the_way_are_kept(repo: Repo, place: Path) -> None:
    repo.git("checkout", "-q", "--detach", cwd=place)
    first = repo.commit({"a.txt": "a"}, at=place)
    repo.git("checkout", "-q", "--detach", "main", cwd=place)
    second = repo.commit({"b.txt": "b"}, at=place)
    repo.git("checkout", "-q", "feature/task-12", cwd=place)
    ref = remove(repo, place).salvage
    assert ref is not None
    for commit in (first, second):
        assert repo.git("merge-base", commit, ref) == commit


def test_an_amended_commit_is_in_the_branchs_own_reflog_and_makes_no_noise(repo: Repo, place: Path) -> None:
    repo.commit({"a.txt": "a"}, at=place)
    repo.git("commit", "-q", "--amend", "-m", "better words", cwd=place)
    repo.worktrees().detach(place)
    assert remove(repo, place).salvage is None


def conflict(repo: Repo, place: Path) -> None:
    repo.commit({"a.txt": "ours\n"}, at=place)
    repo.git("checkout", "-q", "-b", "theirs", "main")
    repo.commit({"a.txt": "theirs\n"})
    repo.git("checkout", "-q", "main")


def test_an_unresolved_merge_is_kept(repo: Repo, place: Path) -> None:
    conflict(repo, place)
    assert repo.fails("merge", "theirs", cwd=place)
    repo.git("branch", "-q", "-m", "theirs", "other")
    merged = repo.git("rev-parse", "other")
    repo.git("branch", "-q", "-D", "other")
    ref = remove(repo, place).salvage
    assert "<<<<<<<" in repo.show(f"{ref}:a.txt")
    assert merged in repo.git("log", "--format=%H", str(ref))


@pytest.mark.fault("half-done-git")
def test_a_half_done_rebase_is_kept(repo: Repo, place: Path) -> None:
    conflict(repo, place)
    ours = repo.git("rev-parse", "HEAD", cwd=place)
    assert repo.fails("rebase", "theirs", cwd=place)
    removed = remove(repo, place)
    assert removed.kept_because is None
    assert "<<<<<<<" in repo.show(f"{removed.salvage}:a.txt")
    assert repo.git("rev-parse", "feature/task-12") == ours


def test_a_stash_belongs_to_the_repository_and_stays(repo: Repo, place: Path) -> None:
    repo.write({"README.md": "changed"}, at=place)
    repo.git("stash", cwd=place)
    assert remove(repo, place).salvage is None
    assert "changed" in repo.git("stash", "show", "-p")


def test_a_stale_index_lock_does_not_stop_it(repo: Repo, place: Path) -> None:
    repo.write({"a.txt": "a"}, at=place)
    (repo.root / ".git" / "worktrees" / "task-12" / "index.lock").touch()
    assert remove(repo, place).salvage is not None


@pytest.mark.fault("ignored-files")
def test_ignored_files_are_archived_but_not_what_can_be_made_again(repo: Repo, place: Path) -> None:
    ignore = ".env\nnode_modules/\nsecrets/\n*.txt\n*.log\nbuild/\n__pycache__/\n"
    repo.commit({".gitignore": ignore}, at=place)
    repo.write(
        {
            ".env": "KEY=1\n",
            "secrets/a": "a",
            "secrets/deep/b": "b",
            "secrets/node_modules/x": "x",
            "src/notes.txt": "notes",
            "src/run.log": "log",
            "node_modules/y/z": "z",
            "build/out": "o",
            "src/__pycache__/c.pyc": "c",
        },
        at=place,
    )
    (place / ".env").chmod(0o600)
    (place / "secrets" / "link").symlink_to("a")
    removed = remove(repo, place)
    assert removed.archive is not None
    assert removed.salvage is not None
    assert removed.archive.stat().st_mode & 0o777 == 0o600
    assert removed.archive.parent.stat().st_mode & 0o777 == 0o700
    with tarfile.open(removed.archive) as tar:
        assert sorted(tar.getnames()) == [
            ".env",
            "secrets/a",
            "secrets/deep/b",
            "secrets/link",
            "src/notes.txt",
        ]
    back, _ = repo.worktrees().restore(removed.salvage)
    assert (back / ".env").read_text(encoding="utf-8") == "KEY=1\n"
    assert (back / ".env").stat().st_mode & 0o777 == 0o600
    assert (back / "secrets" / "link").readlink().as_posix() == "a"


def test_more_ignored_files_than_are_archived_keep_the_directory(repo: Repo, place: Path) -> None:
    repo.commit({".gitignore": "*.img\n"}, at=place)
    with open(place / "disk.img", "wb") as file:
        file.truncate(archive.LIMIT + 1)
    removed = remove(repo, place)
    assert removed.kept_because is not None
    assert "100" in removed.kept_because
    assert (place / "disk.img").exists()
    assert repo.git("status", "--short", cwd=place) == ""
    assert repo.worktrees().add_for_task(key()).existed


@pytest.mark.fault("nested-repositories")
@pytest.mark.parametrize("where", ["nested", "ignored/nested"])
def test_a_repository_inside_keeps_the_directory(repo: Repo, place: Path, where: str) -> None:
    repo.commit({".gitignore": "ignored/\n"}, at=place)
    inner = make_repo(place / where)
    removed = remove(repo, place)
    assert removed.kept_because == f"there is a repository of its own at {where}" + (
        "/" if where == "nested" else ""
    )
    assert inner.git("log", "--format=%s") == "the beginning"


@pytest.fixture
def submodule(repo: Repo, place: Path, tmp_path: Path) -> Path:
    """A committed submodule in the worktree, in step with its remote."""
    library = make_repo(tmp_path / "library")
    repo.git(
        "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.root), "libs/one", cwd=place
    )
    repo.git("commit", "-q", "-m", "a submodule", cwd=place)
    return place / "libs" / "one"


def test_a_submodule_that_can_be_fetched_again_goes(repo: Repo, place: Path, submodule: Path) -> None:
    removed = remove(repo, place)
    assert (removed.kept_because, removed.salvage) == (None, None)
    assert not submodule.exists()


@pytest.mark.fault("nested-repositories")
@pytest.mark.parametrize("work", ["commit", "file", "stash", "reset", "elsewhere"])
def test_a_submodule_with_work_of_its_own_keeps_the_directory(
    repo: Repo, place: Path, submodule: Path, work: str
) -> None:
    if work in ("commit", "reset"):
        repo.commit({"more.txt": "unpushed"}, at=submodule)
    if work == "reset":
        repo.git("reset", "-q", "--hard", "HEAD~1", cwd=submodule)
    if work in ("file", "stash"):
        repo.write({"README.md": "changed"}, at=submodule)
    if work == "stash":
        repo.git("stash", cwd=submodule)
    if work == "elsewhere":
        repo.git("submodule", "deinit", "-q", "-f", "--all", cwd=place)
    removed = remove(repo, place)
    assert removed.kept_because is not None
    assert "submodule" in removed.kept_because
    assert submodule.parent.exists()


def test_a_submodule_moved_to_another_commit_is_kept_as_such(
    repo: Repo, place: Path, submodule: Path, tmp_path: Path
) -> None:
    library = Repo(tmp_path / "library")
    commit = library.commit({"newer.txt": "x"})
    repo.git("-c", "protocol.file.allow=always", "fetch", "-q", cwd=submodule)
    repo.git("checkout", "-q", commit, cwd=submodule)
    removed = remove(repo, place)
    assert removed.kept_because is None
    assert repo.git("rev-parse", f"{removed.salvage}:libs/one") == commit


@pytest.mark.fault("nested-repositories")
@pytest.mark.parametrize("name", ["plain.txt", "ignored.env"])
def test_a_file_that_cannot_be_read_keeps_the_directory(repo: Repo, place: Path, name: str) -> None:
    repo.commit({".gitignore": "*.env\n"}, at=place)
    repo.write({name: "x"}, at=place)
    (place / name).chmod(0)
    if os.access(place / name, os.R_OK):
        pytest.skip("this user reads everything")
    removed = remove(repo, place)
    assert removed.kept_because is not None
    assert "ermission" in removed.kept_because
    (place / name).chmod(0o600)


def test_directories_made_read_only_are_removed_all_the_same(repo: Repo, place: Path) -> None:
    repo.commit({".gitignore": "node_modules/\n"}, at=place)
    repo.write({"node_modules/a/b": "x"}, at=place)
    (place / "node_modules" / "a").chmod(0o500)
    (place / "node_modules").chmod(0o500)
    removed = remove(repo, place)
    assert removed.kept_because is None
    assert not place.exists()
    assert [path.name for path in place.parent.iterdir()] == []


@pytest.mark.fault("changes-hidden-from-git")
@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_a_change_that_git_was_told_not_to_look_at_is_kept(repo: Repo, place: Path, flag: str) -> None:
    repo.git("update-index", flag, "README.md", "src/shop.py", cwd=place)
    repo.write({"README.md": "changed\n"}, at=place)
    (place / "src" / "shop.py").unlink()
    assert repo.git("status", "--porcelain", cwd=place) == ""
    removed = remove(repo, place)
    assert repo.show(f"{removed.salvage}:README.md") == "changed"
    assert repo.show(f"{removed.salvage}:src/shop.py") == repo.show("main:src/shop.py")


@pytest.mark.fault("changes-hidden-from-git")
def test_a_change_that_keeps_size_and_time_is_kept(repo: Repo, place: Path) -> None:
    repo.git("config", "core.trustctime", "false")
    repo.git("config", "core.checkStat", "minimal")
    file = place / "README.md"
    before = file.stat()
    older = before.st_mtime_ns - 10_000_000_000
    os.utime(file, ns=(older, older))
    repo.git("update-index", "--refresh", cwd=place)
    wait_until(lambda: int(time.time()) > int(file.stat().st_ctime), what="another second, git's unit")
    file.write_text("!" * before.st_size, encoding="utf-8")
    os.utime(file, ns=(older, older))
    assert repo.git("status", "--porcelain", cwd=place) == ""
    assert repo.show(f"{remove(repo, place).salvage}:README.md") == "!" * before.st_size


@pytest.mark.fault("odd-trees")
def test_a_tree_deeper_than_recursion_is_kept_and_removed(repo: Repo, place: Path) -> None:
    repo.commit({".gitignore": "node_modules/\nnotes/\n"}, at=place)
    last = "/".join(["notes", *["d"] * BEYOND_RECURSION, "last.txt"])
    with cleared(place):
        for name in ("node_modules", "notes"):
            (place / name).mkdir()
            grow(place / name, BEYOND_RECURSION)
        removed = remove(repo, place)
        assert removed.kept_because is None
        assert [path.name for path in place.parent.iterdir()] == []
    assert removed.archive is not None
    with tarfile.open(removed.archive) as tar:
        assert tar.getnames() == [last]


def test_placeholders_of_the_sandbox_are_no_work(repo: Repo, place: Path) -> None:
    repo.commit({".gitignore": ".vscode\n"}, at=place)
    for name in (".bashrc", ".mcp.json", ".vscode", ".claude/agents"):
        repo.write({name: ""}, at=place)
        (place / name).chmod(0o444)
    removed = remove(repo, place)
    assert (removed.salvage, removed.archive, removed.kept_because) == (None, None, None)


def test_the_same_content_gives_the_same_salvage(repo: Repo, place: Path) -> None:
    repo.write({"a.txt": "a", "b.txt": "b"}, at=place)
    first = salvage(place, agent_id="dev_001", task_id=12)
    assert salvage(place, agent_id="dev_001", task_id=12) == first
    (place / "b.txt").unlink()
    assert salvage(place, agent_id="dev_001", task_id=12) == first
    repo.write({"a.txt": "changed"}, at=place)
    second = salvage(place, agent_id="dev_001", task_id=12)
    assert second != first
    assert len(repo.refs("refs/hpm/salvage/")) == 2


def test_salvage_changes_nothing_in_the_checkout(repo: Repo, place: Path) -> None:
    repo.write({"a.txt": "a", "README.md": "changed"}, at=place)
    repo.git("add", "a.txt", cwd=place)
    before = (
        repo.git("status", "--porcelain=v2", "--branch", cwd=place),
        repo.git("ls-files", "-s", cwd=place),
    )
    index = (repo.root / ".git" / "worktrees" / "task-12" / "index").read_bytes()
    assert salvage(place) is not None
    assert (repo.root / ".git" / "worktrees" / "task-12" / "index").read_bytes() == index
    assert before == (
        repo.git("status", "--porcelain=v2", "--branch", cwd=place),
        repo.git("ls-files", "-s", cwd=place),
    )
    assert [path.name for path in (repo.root / ".git" / "worktrees" / "task-12").glob("hpm-index*")] == []


def test_nothing_uncommitted_gives_no_salvage(repo: Repo, place: Path) -> None:
    assert salvage(place) is None


def test_work_before_the_first_commit_is_kept(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "unborn", files={})
    repo.write({"a.txt": "a"})
    ref = salvage(repo.root, agent_id="dev_001", task_id=1)
    assert repo.show(f"{ref}:a.txt") == "a"


@pytest.mark.parametrize("agent_id", ["dev.lock", "dev.lock.lock"])
def test_an_agent_id_that_is_no_ref_name_still_gets_its_salvage(
    repo: Repo, place: Path, agent_id: str
) -> None:
    repo.write({"a.txt": "a"}, at=place)
    ref = salvage(place, agent_id=agent_id, task_id=12)
    assert ref is not None
    assert ref.startswith("refs/hpm/salvage/dev/12/")


@pytest.mark.fault("P3")
def test_files_that_change_meanwhile_are_noticed(repo: Repo, place: Path) -> None:
    repo.write({"a.txt": "a"}, at=place)
    os.mkfifo(place / "pipe")
    git = Git(place)
    found = take_status(git)
    entries = hash_paths(git, saved_paths(found), write=True)
    ref = salvage(place, task_id=12)
    assert ref is not None
    repo.write({"a.txt": "b"}, at=place)
    with pytest.raises(CannotSalvage) as caught:
        verify(git, ref, found, entries)
    assert "changed while they were being saved" in caught.value.message
    repo.write({"a.txt": "a", "b.txt": "b"}, at=place)
    with pytest.raises(CannotSalvage):
        verify(git, ref, found, entries)
