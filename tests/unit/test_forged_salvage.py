"""Refs, trees, messages and archives that pass for our own but were made by an agent lead nowhere."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpm_tools.errors import BadData, CannotCreate
from hpm_tools.worktree import files, pruning, restore
from hpm_tools.worktree.salvage import salvage
from tests.support.repos import Repo, key

if TYPE_CHECKING:
    from pathlib import Path

REF = "refs/hpm/salvage/dev_001/12/20260101T000000Z"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text("mine", encoding="utf-8")
    return path


def forge(repo: Repo, message: str, tree: str = "HEAD^{tree}", ref: str = REF) -> str:
    """A salvage as an agent would write one; its ref."""
    text = f"hpm salvage: task 12, agent dev_001\n\n{message}"
    commit = repo.git("commit-tree", repo.git("rev-parse", tree), "-p", "HEAD", stdin=text)
    repo.git("update-ref", ref, commit)
    return ref


def raw_tree(repo: Repo, *path: str) -> str:
    """A tree that holds an executable file at ``path``, whose components git itself would refuse."""
    mode, oid = "100755", repo.git("hash-object", "-w", "--stdin", stdin="#!/bin/sh\n")
    for part in reversed(path):
        entry = f"{mode} {part}".encode() + b"\0" + bytes.fromhex(oid)
        made = subprocess.run(
            ["git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
            cwd=repo.root,
            env=repo.environment,
            input=entry,
            capture_output=True,
            check=True,
        )
        mode, oid = "40000", made.stdout.decode().strip()
    return oid


def archived(repo: Repo, member: str) -> str:
    """The line that vouches for an archive with one file called ``member``."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        info = tarfile.TarInfo(member)
        info.size, info.mode = 5, 0o755
        tar.addfile(info, io.BytesIO(b"owned"))
    repo.write({".git/hpm/archive/forged.tar": content.getvalue()})
    return f"archive: forged.tar sha256={hashlib.sha256(content.getvalue()).hexdigest()}\n"


def test_a_head_that_is_no_parent_is_no_argument(repo: Repo, victim: Path) -> None:
    ref = forge(repo, f"head: --output={victim}\n")
    assert restore.find(repo.repository().git, ref).head is None
    repo.worktrees().restore(ref, repo.root)
    assert victim.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    "path",
    [
        ("..", "owned"),
        ("src", "..", "..", "owned"),
        (".git", "hooks", "pre-commit"),
        ("lib", ".GIT", "config"),
        (".g\u200cit", "config"),
        (".", "owned"),
    ],
)
def test_no_path_leads_out_or_into_gits_own_directory(repo: Repo, path: tuple[str, ...]) -> None:
    ref = forge(repo, f"head: {repo.git('rev-parse', 'HEAD')}\n", raw_tree(repo, *path))
    with pytest.raises(CannotCreate) as caught:
        repo.worktrees().restore(ref, repo.root)
    assert "no path in a checkout" in caught.value.message
    assert caught.value.hint
    assert not (repo.root.parent / "owned").exists()
    assert not (repo.root / ".git" / "hooks" / "pre-commit").exists()
    assert repo.git("status", "--short") == ""


@pytest.mark.parametrize("member", ["../owned", "/tmp/owned", ".git/hooks/pre-commit", "a/../../owned"])
def test_no_archive_leads_there_either(repo: Repo, member: str) -> None:
    ref = forge(repo, f"head: {repo.git('rev-parse', 'HEAD')}\n{archived(repo, member)}")
    with pytest.raises(BadData):
        repo.worktrees().restore(ref, repo.root)
    assert not (repo.root.parent / "owned").exists()
    assert not (repo.root / ".git" / "hooks" / "pre-commit").exists()


@pytest.mark.parametrize("name", ["../../../../victim", "/etc/hostname", "../x.tar", "-x.tar", "a/b.tar"])
def test_pruning_deletes_no_file_that_is_no_archive(repo: Repo, victim: Path, name: str) -> None:
    (repo.root / ".git" / "hpm" / "archive").mkdir(parents=True)
    forge(repo, f"archive: {name} sha256={'0' * 64}\n")
    git = repo.repository().git
    done = pruning.delete_salvages(git, pruning.old_salvages(git, -1e9))
    assert (done.salvage, done.archives) == ([REF], [])
    assert victim.exists()


@pytest.mark.parametrize(
    "message", ["x\1y\n", "\1refs/hpm/salvage/z\1", "\1--output=x\1", "", "head: \n", "archive: \n"]
)
def test_no_message_ends_the_listing_or_the_salvaging(repo: Repo, message: str) -> None:
    forge(repo, message)
    git = repo.repository().git
    assert [found.ref for found in restore.salvages(git)] == [REF]
    worktrees = repo.worktrees()
    place = worktrees.add_for_task(key()).path
    repo.write({"a.txt": "a"}, at=place)
    made = salvage(place, agent_id="dev_001", task_id=12)
    assert made not in (None, REF)
    assert {found.ref for found in restore.salvages(git)} == {REF, made}


@given(st.text(alphabet="./.gitGIT\u200b\u202e\0x", max_size=20))
def test_a_path_is_below_or_refused(path: str) -> None:
    try:
        found = files.parts(path)
    except OSError:
        return
    assert "/".join(found) == path
    assert not {"", ".", ".."} & set(found)
    assert all(part.lower() != ".git" for part in found)
