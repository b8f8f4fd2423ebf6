"""Finding the repository around a directory, and what it says about itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import hpm_tools
from hpm_tools.errors import Held, Misconfigured
from hpm_tools.worktree.git import Git, GitError, version
from hpm_tools.worktree.repository import CHECKOUT_GUARD, Repository
from tests.support.repos import Repo, key, make_repo


def test_it_is_found_from_below_and_through_a_symbolic_link(repo: Repo, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(repo.root / "src")
    for start in (repo.root, repo.root / "src", str(repo.root), link):
        found = Repository.discover(start)
        assert found.root == repo.root
        assert found.common_dir == repo.root / ".git"


def test_a_linked_worktree_leads_to_the_main_one(repo: Repo, tmp_path: Path) -> None:
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"))
    (tmp_path / "linked" / "src" / "deep").mkdir()
    assert Repository.discover(tmp_path / "linked" / "src" / "deep").root == repo.root
    assert Repository.discover(repo.worktrees().add_for_task(key()).path).root == repo.root


def test_no_repository_is_a_configuration_error(tmp_path: Path) -> None:
    for start in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(Misconfigured) as caught:
            Repository.discover(start)
        assert caught.value.exit_code == 78
        assert "--repo" in caught.value.hint
    (tmp_path / "empty" / ".git").mkdir(parents=True)
    with pytest.raises(Misconfigured):
        Repository.discover(tmp_path / "empty")


def test_a_bare_repository_is_refused_also_from_its_worktree(repo: Repo, tmp_path: Path) -> None:
    repo.git("clone", "-q", "--bare", str(repo.root), str(tmp_path / "bare.git"))
    repo.git("worktree", "add", "-q", str(tmp_path / "of-bare"), cwd=tmp_path / "bare.git")
    for start in (tmp_path / "bare.git", tmp_path / "of-bare", repo.root / ".git" / "refs"):
        if start.name == "refs":
            assert Repository.discover(start).root == repo.root
            continue
        with pytest.raises(Misconfigured) as caught:
            Repository.discover(start)
        assert "bare" in caught.value.message


def test_a_submodule_and_a_separate_git_directory_are_repositories_of_their_own(
    repo: Repo, tmp_path: Path
) -> None:
    library = make_repo(tmp_path / "library")
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.root), "lib")
    found = Repository.discover(repo.root / "lib")
    assert found.root == repo.root / "lib"
    assert found.dirty() == []
    repo.git("init", "-q", "--separate-git-dir", str(tmp_path / "git-dir"), str(tmp_path / "apart"))
    repo.commit({"a": "a"}, at=tmp_path / "apart")
    assert Repository.discover(tmp_path / "apart").root == tmp_path / "apart"
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"), cwd=repo.root / "lib")
    assert Repository.discover(tmp_path / "linked").root == repo.root / "lib"


@pytest.mark.needs("root")
def test_somebody_elses_repository_is_refused(repo: Repo) -> None:
    os.chown(repo.root, 12345, 12345)
    os.chown(repo.root / ".git", 12345, 12345)
    with pytest.raises(Misconfigured) as caught:
        Repository.discover(repo.root / "src")
    way_out = f"git config --global --add safe.directory {repo.root}"
    assert caught.value.hint.endswith(way_out)
    subprocess.run(way_out, shell=True, check=True)
    assert Repository.discover(repo.root).root == repo.root


def test_our_own_checkout_must_be_named(tmp_path: Path) -> None:
    own = Path(hpm_tools.__file__).resolve().parent.parent
    if not (own / ".git").exists():
        pytest.skip("hpm-tools is installed, not checked out")
    assert Repository.discover(own).root == own
    with pytest.raises(Misconfigured) as caught:
        Repository.discover(own / "hpm_tools", named=False)
    assert "hpm-tools itself" in caught.value.message


def test_a_directory_with_a_hostile_config_is_found_where_it_is(repo: Repo) -> None:
    repo.git("config", "core.worktree", "/etc")
    found = Repository.discover(repo.root)
    assert found.root == repo.root
    assert found.dirty() == []


def test_head_on_a_branch_detached_and_before_the_first_commit(repo: Repo, tmp_path: Path) -> None:
    commit = repo.git("rev-parse", "HEAD")
    assert repo.repository().head() == (commit, "main")
    assert repo.repository().branch_of() == "main"
    repo.git("checkout", "-q", "--detach")
    assert repo.repository().head() == (commit, None)
    unborn = make_repo(tmp_path / "unborn", files={})
    assert unborn.repository().head() == (None, "main")
    assert unborn.repository().dirty() == []
    unborn.write({"a": "a"})
    assert unborn.repository().dirty() == ["a"]


def test_a_file_called_head_confuses_nothing(repo: Repo) -> None:
    commit = repo.commit({"HEAD": "x", "main": "y"})
    assert repo.repository().head() == (commit, "main")
    assert repo.repository().resolve("HEAD") == commit


@pytest.mark.parametrize("name", ["refs/tags/HEAD", "refs/heads/HEAD", "refs/remotes/HEAD"])
def test_a_reference_called_head_confuses_nothing(repo: Repo, name: str) -> None:
    old = repo.git("rev-parse", "HEAD")
    commit = repo.commit({"a.txt": "x"})
    repo.git("update-ref", name, old)
    assert repo.repository().head() == (commit, "main")
    repo.git("checkout", "-q", "--detach", commit)
    assert repo.repository().head() == (commit, None)


def test_the_default_branch(tmp_path: Path) -> None:
    assert make_repo(tmp_path / "a").repository().default_branch() == "main"
    assert make_repo(tmp_path / "b", branch="trunk").repository().default_branch() == "trunk"
    odd = make_repo(tmp_path / "c", branch="develop")
    assert odd.repository().default_branch() == "develop"
    odd.git("checkout", "-q", "--detach")
    assert odd.repository().default_branch() is None
    odd.git("checkout", "-q", "develop")
    clone = Repo(tmp_path / "clone")
    odd.git("clone", "-q", str(odd.root), str(clone.root))
    clone.git("checkout", "-q", "-b", "main")
    assert clone.repository().default_branch() == "develop"


def test_dirty_lists_tracked_and_untracked_but_not_ignored_files(repo: Repo) -> None:
    repo.commit({".gitignore": "*.log\n"})
    repo.write({"src/shop.py": "PRICE = 2\n", "deep/new file\n.txt": "x", "noise.log": "x", "staged": "x"})
    repo.git("add", "staged")
    (repo.root / "README.md").unlink()
    expected = {"src/shop.py", "deep/new file\n.txt", "staged", "README.md"}
    assert set(repo.repository().dirty()) == expected
    repo.git("config", "status.showUntrackedFiles", "no")
    repo.git("config", "status.relativePaths", "true")
    assert set(repo.repository().dirty(repo.root)) == expected


def test_names_that_are_no_text_survive(repo: Repo) -> None:
    name = os.fsdecode(b"caf\xe9-\xff")
    (repo.root / name).write_text("x", encoding="utf-8")
    assert repo.repository().dirty() == [name]


def test_the_sandboxes_placeholders_are_nobodys_changes(repo: Repo) -> None:
    for name in (".bashrc", ".gitconfig", ".mcp.json", ".claude/settings.json"):
        repo.write({name: ""})
        (repo.root / name).chmod(0o444)
    assert repo.repository().dirty() == []
    (repo.root / ".bashrc").chmod(0o644)
    (repo.root / ".mcp.json").chmod(0o644)
    (repo.root / ".mcp.json").write_text("{}", encoding="utf-8")
    (repo.root / ".mcp.json").chmod(0o444)
    assert set(repo.repository().dirty()) == {".bashrc", ".mcp.json"}
    repo.git("add", "-f", ".gitconfig")
    assert ".gitconfig" in repo.repository().dirty()


def test_resolve_names_commits_only(repo: Repo) -> None:
    found = repo.repository()
    commit = repo.git("rev-parse", "HEAD")
    repo.git("tag", "-a", "-m", "x", "v1")
    assert found.resolve("main") == found.resolve("v1") == found.resolve(commit[:10]) == commit
    for nothing in ("nope", "-x", "--all", "HEAD:README.md", "", "0" * 40):
        assert found.resolve(nothing) is None


def test_exclude_is_written_once_and_not_through_a_link(repo: Repo, tmp_path: Path) -> None:
    exclude = repo.root / ".git" / "info" / "exclude"
    exclude.write_text("# no newline at the end", encoding="utf-8")
    for _ in range(2):
        repo.repository().exclude("/.worktrees/")
    assert exclude.read_text(encoding="utf-8").splitlines() == ["# no newline at the end", "/.worktrees/"]
    victim = tmp_path / "victim"
    victim.write_text("", encoding="utf-8")
    exclude.unlink()
    exclude.symlink_to(victim)
    with pytest.raises(Exception, match="exclude"):
        repo.repository().exclude("/.worktrees/")
    assert victim.read_text(encoding="utf-8") == ""


def test_a_guard_excludes_and_is_free_again_after_release(repo: Repo) -> None:
    first, second = (repo.repository().guard(CHECKOUT_GUARD) for _ in range(2))
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire(wait=0.05)
    second.patience = 0.0
    with pytest.raises(Held) as caught, second:
        pass
    assert caught.value.exit_code == 75
    first.release()
    with second:
        assert second.acquired
    assert not second.acquired


def test_a_guard_whose_file_was_replaced_guards_again(repo: Repo) -> None:
    first = repo.repository().guard(CHECKOUT_GUARD)
    assert first.acquire()
    first.path.unlink()
    second, third = (repo.repository().guard(CHECKOUT_GUARD) for _ in range(2))
    assert second.acquire()
    assert not third.acquire()


def test_git_errors_carry_gits_own_words(repo: Repo) -> None:
    with pytest.raises(GitError) as caught:
        Git(repo.root).run("rev-parse", "--verify", "nope")
    assert caught.value.message == "git rev-parse: Needed a single revision"
    assert caught.value.exit_code == 73


def test_without_git_the_error_says_so(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Misconfigured) as caught:
        Repository.discover(repo.root)
    assert "git is not installed" in caught.value.message


@pytest.mark.parametrize("said", ["git version 2.33.9", "git version 1.8.3.1", "no git at all"])
def test_a_git_that_is_too_old_is_refused_with_a_sentence(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    old = tmp_path / "bin" / "git"
    old.parent.mkdir()
    old.write_text(f"#!/bin/sh\necho '{said}'\n", encoding="utf-8")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(Misconfigured) as caught:
        Repository.discover(repo.root)
    assert said in caught.value.message
    assert caught.value.hint == "install git 2.34 or newer"
    assert caught.value.exit_code == 78


@pytest.mark.parametrize(
    "said", ["git version 2.34.0", "git version 3.0.1", "git version 2.39.5 (Apple Git-154)"]
)
def test_a_git_that_is_new_enough_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    new = tmp_path / "git"
    new.write_text(f"#!/bin/sh\necho '{said}'\n", encoding="utf-8")
    new.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert version() == said
