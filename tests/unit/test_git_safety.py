"""The runner's git executes nothing that an agent wrote into a repository's own files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from hpm_tools.errors import Misconfigured
from hpm_tools.worktree import git as safe_git
from hpm_tools.worktree.evidence import Snapshot, commit_leftovers, delta
from hpm_tools.worktree.executable import EXECUTABLE, MENTION, mentions_programs
from hpm_tools.worktree.git import Git, GitError
from hpm_tools.worktree.place import locate
from hpm_tools.worktree.salvage import salvage
from tests.support.repos import Repo, key, make_repo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A program that leaves a trace when it is run; ``trap.with_suffix('.sprung')`` is the trace."""
    path = tmp_path / "trap"
    path.write_text(f"#!/bin/sh\necho \"$0 $*\" >> '{path}.sprung'\nexec cat\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def forget_distrust() -> Iterator[None]:
    yield
    safe_git.distrusted.clear()


def sprung(trap: Path) -> str:
    trace = trap.with_name("trap.sprung")
    return trace.read_text(encoding="utf-8") if trace.exists() else ""


def everything_the_runner_does(repo: Repo, place: Path, snapshot: Snapshot) -> list[str]:
    """All of the runner's git work on a worktree whose new files have a filter of an agent's; what it noticed."""
    found = delta(place, snapshot)
    repo.repository().dirty(repo.root)
    with pytest.raises(GitError, match="goes through the filter"):
        salvage(place, agent_id="dev_001", task_id=12)
    with pytest.raises(GitError, match="does not run here"):
        commit_leftovers(place, "task 12: what was left")
    worktrees = repo.worktrees()
    worktrees.detach(place)
    removed = worktrees.remove(place, agent_id="dev_001")
    assert "goes through the filter" in (removed.kept_because or "")
    return list(found.tampering)


ATTACKS = {
    "core.fsmonitor": "{trap}",
    "core.hooksPath": "{hooks}",
    "core.sshCommand": "{trap}",
    "core.pager": "{trap}",
    "core.editor": "{trap}",
    "core.askPass": "{trap}",
    "core.gitProxy": "{trap}",
    "core.worktree": "/etc",
    "pager.status": "{trap}",
    "filter.evil.clean": "{trap}",
    "filter.evil.smudge": "{trap}",
    "filter.evil.process": "{trap}",
    "filter.a=b.clean": "{trap}",
    "filter.lfs.clean": "{trap}",
    "diff.external": "{trap}",
    "diff.evil.textconv": "{trap}",
    "diff.evil.command": "{trap}",
    "merge.evil.driver": "{trap}",
    "gpg.program": "{trap}",
    "gpg.ssh.program": "{trap}",
    "credential.helper": "!{trap}",
    "trailer.sign.command": "{trap}",
    "uploadpack.packObjectsHook": "{trap}",
    "remote.evil.uploadpack": "{trap}",
}


@pytest.mark.fault("P7")
def test_executable_settings_are_reported_and_never_run(repo: Repo, trap: Path, tmp_path: Path) -> None:
    added = repo.worktrees().add_for_task(key(), branch="main")
    snapshot = Snapshot.take(added.path, "run1")
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in ("post-checkout", "pre-commit", "post-commit", "reference-transaction", "post-index-change"):
        (hooks / hook).symlink_to(trap)
    repo.git("config", "commit.gpgSign", "true")
    for name, value in ATTACKS.items():
        repo.git("config", name, value.format(trap=trap, hooks=hooks))
    trap.with_name("trap.sprung").unlink(
        missing_ok=True
    )  # git config itself reads core.worktree and the pager
    attributes = "*.txt filter=evil diff=evil merge=evil\n*.bin filter=a=b\n*.big filter=lfs\n"
    repo.write(
        {".gitattributes": attributes, "new.txt": "x\n", "new.bin": "y\n", "new.big": "z\n"}, at=added.path
    )
    before = (repo.root / ".git" / "config").read_bytes()

    said = everything_the_runner_does(repo, added.path, snapshot)

    assert sprung(trap) == ""
    for name in ATTACKS:
        assert any(name.lower() in line.lower() for line in said), name
    assert (repo.root / ".git" / "config").read_bytes() == before
    assert "new.txt" not in Git(repo.repository().place).text("ls-tree", "-r", "feature/task-12")


def test_the_trap_catches_a_git_that_is_not_careful(repo: Repo, trap: Path) -> None:
    repo.git("config", "filter.evil.clean", str(trap))
    repo.git("config", "core.fsmonitor", str(trap))
    repo.write({".gitattributes": "*.txt filter=evil\n", "new.txt": "x\n"})
    repo.git("add", "-A")
    assert "new.txt" not in sprung(trap)
    assert sprung(trap).count("\n") >= 2


def test_settings_in_the_worktrees_own_config_and_in_included_files_are_no_better(
    repo: Repo, trap: Path, tmp_path: Path
) -> None:
    added = repo.worktrees().add_for_task(key(), branch="main")
    snapshot = Snapshot.take(added.path, "run1")
    included = tmp_path / "included"
    included.write_text(f'[filter "evil"]\n\tclean = {trap}\n', encoding="utf-8")
    repo.git("config", "extensions.worktreeConfig", "true")
    repo.git("config", "--worktree", "filter.other.clean", str(trap), cwd=added.path)
    repo.git("config", "include.path", str(included))
    repo.write(
        {".gitattributes": "*.txt filter=evil\n*.md filter=other\n", "a.txt": "a", "b.md": "b"}, at=added.path
    )

    said = everything_the_runner_does(repo, added.path, snapshot)

    assert sprung(trap) == ""
    for name in ("filter.evil.clean", "filter.other.clean", "include.path"):
        assert any(name in line for line in said)


@pytest.mark.fault("git-rewritten")
def test_hooks_and_attributes_in_the_shared_git_directory_are_reported_and_not_run(
    repo: Repo, trap: Path
) -> None:
    added = repo.worktrees().add_for_task(key(), branch="main")
    snapshot = Snapshot.take(added.path, "run1")
    hooks = repo.root / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "reference-transaction", "pre-commit", "post-index-change"):
        (hooks / name).write_bytes(trap.read_bytes())
        (hooks / name).chmod(0o755)
    repo.write({".git/info/attributes": "* filter=evil\n"})
    repo.write({"new.txt": "x\n"}, at=added.path)

    said = everything_the_runner_does(repo, added.path, snapshot)

    assert sprung(trap) == ""
    assert any("hooks/reference-transaction was added" in line for line in said)
    assert any("info/attributes was added" in line for line in said)


def test_the_operators_own_filter_runs_until_an_agent_changes_it(
    repo: Repo, trap: Path, isolated: Path
) -> None:
    repo.git("config", "--global", "filter.own.clean", "sed s/secret/hidden/")
    added = repo.worktrees().add_for_task(key(), branch="main")
    snapshot = Snapshot.take(added.path, "run1")
    repo.write({".gitattributes": "*.txt filter=own\n", "a.txt": "secret\n"}, at=added.path)
    commit_leftovers(added.path, "filtered")
    assert repo.show("feature/task-12:a.txt") == "hidden"

    repo.git("config", "--global", "filter.own.clean", str(trap))
    repo.write({"b.txt": "secret\n"}, at=added.path)
    found = delta(added.path, snapshot)
    with pytest.raises(GitError, match="does not run here"):
        commit_leftovers(added.path, "not filtered any more")

    assert sprung(trap) == ""
    assert any("filter.own.clean was set in the global configuration" in line for line in found.tampering)
    assert repo.fails("cat-file", "-e", "feature/task-12:b.txt")


def test_a_repository_cannot_redefine_the_operators_filter(repo: Repo, trap: Path) -> None:
    repo.git("config", "--global", "filter.own.clean", "sed s/secret/hidden/")
    added = repo.worktrees().add_for_task(key(), branch="main")
    repo.git("config", "filter.own.clean", str(trap))
    repo.write({".gitattributes": "*.txt filter=own\n", "a.txt": "secret\n"}, at=added.path)
    with pytest.raises(GitError, match="does not run here"):
        commit_leftovers(added.path, "work")
    assert sprung(trap) == ""


def test_a_required_filter_that_may_not_run_fails_instead_of_committing_plain_text(
    repo: Repo, trap: Path
) -> None:
    added = repo.worktrees().add_for_task(key(), branch="main")
    repo.git("config", "filter.crypt.clean", str(trap))
    repo.git("config", "filter.crypt.required", "true")
    repo.write({".gitattributes": "*.key filter=crypt\n", "a.key": "secret\n"}, at=added.path)
    with pytest.raises(GitError) as caught:
        commit_leftovers(added.path, "work")
    assert "the filter crypt" in caught.value.message
    assert sprung(trap) == ""


@pytest.mark.fault("git-rewritten")
def test_a_rewritten_pointer_is_not_followed_and_is_restored(repo: Repo, trap: Path, tmp_path: Path) -> None:
    added = repo.worktrees().add_for_task(key(), branch="main")
    snapshot = Snapshot.take(added.path, "run1")
    evil = make_repo(tmp_path / "evil")
    evil.git("config", "core.fsmonitor", str(trap))
    evil.git("config", "filter.evil.clean", str(trap))
    (added.path / ".git").write_text(f"gitdir: {evil.root / '.git'}\n", encoding="utf-8")
    repo.write({"new.txt": "x\n"}, at=added.path)

    assert Git(added.path).place.common_dir == repo.root / ".git"
    found = delta(added.path, snapshot)
    assert any(".git had been changed and was restored" in line for line in found.tampering)
    assert found.dirty == ["new.txt"]
    commit_leftovers(added.path, "work")
    assert repo.git("status", "--short", cwd=added.path) == ""
    assert repo.show("feature/task-12:new.txt") == "x"
    assert sprung(trap) == ""
    assert evil.git("log", "--oneline").count("\n") == 0


@pytest.mark.parametrize("kind", ["gone", "directory", "link", "garbage"])
def test_a_pointer_in_any_other_shape_is_restored_too(repo: Repo, tmp_path: Path, kind: str) -> None:
    added = repo.worktrees().add_for_task(key(), branch="main")
    snapshot = Snapshot.take(added.path, "run1")
    pointer = added.path / ".git"
    text = pointer.read_text(encoding="utf-8")
    pointer.unlink()
    if kind == "directory":
        repo.git("init", "-q", cwd=added.path)
    elif kind == "link":
        (tmp_path / "elsewhere").write_text(text, encoding="utf-8")
        pointer.symlink_to(tmp_path / "elsewhere")
    elif kind == "garbage":
        pointer.write_bytes(b"\xff\0" * 1000)
    found = delta(added.path, snapshot)
    assert len(found.tampering) == 1
    assert pointer.read_text(encoding="utf-8") == text
    assert not pointer.is_symlink()
    assert delta(added.path, snapshot).tampering == []


def test_a_pointer_outside_any_known_repository_must_agree_with_what_it_names(tmp_path: Path) -> None:
    repo, evil = make_repo(tmp_path / "shop"), make_repo(tmp_path / "evil")
    added = repo.worktrees(base=tmp_path / "elsewhere").add_for_task(key(), branch="main")
    (added.path / ".git").write_text(f"gitdir: {evil.root / '.git' / 'worktrees' / 'x'}\n", encoding="utf-8")
    evil.write({".git/worktrees/x/commondir": "../..\n", ".git/worktrees/x/gitdir": "/somewhere/.git\n"})
    with pytest.raises(Misconfigured) as caught:
        locate(added.path)
    assert "does not know this worktree" in caught.value.message


def test_a_replaced_git_directory_is_noticed(repo: Repo) -> None:
    snapshot = Snapshot.take(repo.root, "run1")
    (repo.root / ".git").rename(repo.root / ".git.old")
    repo.git("init", "-q", "-b", "main")
    repo.commit({"new.txt": "x"})
    found = delta(repo.root, snapshot)
    git_dir = repo.root / ".git"
    assert (found.moved_by_someone or "").startswith(
        f"{git_dir} was replaced; the repository is now {git_dir}.old"
    )
    assert found.tampering == [found.moved_by_someone]


def test_submodules_are_never_asked(repo: Repo, trap: Path, tmp_path: Path) -> None:
    library = make_repo(tmp_path / "library")
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.root), "lib")
    repo.git("commit", "-q", "-m", "a submodule")
    repo.git("config", "core.fsmonitor", str(trap), cwd=repo.root / "lib")
    repo.git("config", "filter.evil.clean", str(trap), cwd=repo.root / "lib")
    repo.write({"lib/README.md": "changed\n", "lib/.gitattributes": "* filter=evil\n", "new.txt": "x\n"})
    assert repo.repository().dirty() == ["new.txt"]
    commit_leftovers(repo.root, "work")
    assert sprung(trap) == ""


def test_replace_refs_and_grafts_do_not_change_what_is_seen(repo: Repo) -> None:
    base = repo.git("rev-parse", "HEAD")
    snapshot = Snapshot.take(repo.root, "run1")
    new = repo.commit({"a.txt": "a"})
    repo.git("replace", new, base)
    assert list(delta(repo.root, snapshot).commits) == [new]


def test_the_environment_of_the_caller_does_not_reach_git(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repo(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.root))
    monkeypatch.setenv("GIT_INDEX_FILE", "/nonexistent")
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    monkeypatch.setenv("HEADLESS_PM_API_KEY", "topsecret")
    repo.write({"a.txt": "a"})
    assert repo.repository().root == repo.root
    assert repo.repository().dirty() == ["a.txt"]
    assert not (tmp_path / "trace").exists()
    assert "topsecret" not in str(safe_git.base_environment())


def test_programs_are_not_found_in_the_agents_directory(
    repo: Repo, trap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo.root / "git").symlink_to(trap)
    (repo.root / "false").symlink_to(trap)
    monkeypatch.setenv("PATH", f".:{os.environ['PATH']}::bin")
    monkeypatch.chdir(repo.root)
    assert repo.repository().dirty() == ["false", "git"]
    assert sprung(trap) == ""


def test_more_settings_than_can_be_overridden_are_refused(repo: Repo, trap: Path) -> None:
    with open(repo.root / ".git" / "config", "a", encoding="utf-8") as file:
        file.writelines(f'[filter "f{number}"]\n\tclean = {trap}\n' for number in range(2500))
    with pytest.raises(GitError) as caught:
        repo.repository().dirty()
    assert "2500 programs" in caught.value.message


def test_a_broken_configuration_is_an_error_with_a_way_out(repo: Repo) -> None:
    with open(repo.root / ".git" / "config", "a", encoding="utf-8") as file:
        file.write("[core\n")
    with pytest.raises(GitError) as caught:
        Git(repo.root).run("status")
    assert "never rewrites it" in caught.value.hint


def test_settings_are_seen_again_as_soon_as_a_file_changes(repo: Repo) -> None:
    git = Git(repo.root)
    assert git.settings() == ()
    for number in range(5):
        repo.git("config", f"filter.f{number}.clean", "cat")
        assert len(git.settings()) == number + 1


@pytest.mark.fault("P7")
@pytest.mark.parametrize(
    "text",
    [
        "[core]\n\tfsMonitor = x\n",
        '[FILTER "x"]\nCLEAN = y\n',
        "[filter.x]\nprocess=y",
        '[diff "x"] textconv = y\n',
        '[merge "x"]\n\tdriver = y\n',
        "[include]\n\tpath = y\n",
        '[includeIf "gitdir:/"]\n\tpath = y\n',
        '[credential "https://x"]\n\thelper = y\n',
        '[gpg "ssh"]\n\tprogram = y\n',
        '[difftool "x"]\n\tcmd = y\n',
        "[core]\n\thooksPath=y\n",
        "[core]\n\tworktree=/etc\n",
        '[lfs "extension.x"]\n\tclean = y\n',
        '[trailer "x"]\n\tcmd = y\n',
        "[protocol]\n\tallow = always\n",
    ],
)
def test_no_way_of_writing_an_executable_setting_escapes_the_scan(
    repo: Repo, tmp_path: Path, text: str
) -> None:
    path = repo.root / ".git" / "config"
    assert not mentions_programs([path])
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
    assert mentions_programs([path])
    assert len(Git(repo.root).settings()) == 1


def test_ordinary_configuration_needs_no_question() -> None:
    text = b"""[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true
[remote "origin"]\n\turl = git@example.org:shop/tools.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*
[branch "main"]\n\tremote = origin\n\tmerge = refs/heads/main\n[user]\n\tname = A\n\temail = a@example.org\n"""
    assert MENTION.search(text) is None
    assert EXECUTABLE.fullmatch("branch.main.merge") is None
