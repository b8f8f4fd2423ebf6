"""A repository found by reading files is the one that git finds, and whatever is odd is left to git."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from hpm_tools.worktree import layout
from hpm_tools.worktree.discovery import ordinary_place
from hpm_tools.worktree.git import base_environment
from hpm_tools.worktree.restore import salvages
from hpm_tools.worktree.salvage import salvage
from tests.support.repos import Repo, key, make_repo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return make_repo(tmp_path / "shop", files={"src/deep/a.txt": "a\n"})


def as_git_says(start: Path) -> str | None:
    """The git directory that git itself finds from ``start``, None if it finds none or refuses it."""
    done = subprocess.run(
        ["git", "rev-parse", "--path-format=absolute", "--git-common-dir"],
        cwd=start,
        env=base_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return os.path.realpath(done.stdout.rstrip("\n")) if done.returncode == 0 else None


@pytest.mark.parametrize("below", ["", "src", "src/deep", ".worktrees/new"])
def test_an_ordinary_repository_is_found_without_git(below: str, repo: Repo) -> None:
    start = repo.root / below
    start.mkdir(parents=True, exist_ok=True)
    found = ordinary_place(str(start))
    assert found is not None
    assert (found.directory, found.linked) == (repo.root, False)
    assert str(found.common_dir) == as_git_says(start)


def test_a_detached_and_an_unborn_head_are_ordinary(repo: Repo, tmp_path: Path) -> None:
    repo.git("checkout", "-q", "--detach")
    subprocess.run(["git", "init", "-q", str(tmp_path / "new")], env=base_environment(), check=True)
    for root in (repo.root, tmp_path / "new"):
        found = ordinary_place(str(root))
        assert found is not None
        assert str(found.common_dir) == as_git_says(root)


def bare(repo: Repo) -> Path:
    repo.git("clone", "-q", "--bare", ".", "../bare.git")
    return repo.root.parent / "bare.git"


def bare_inside_a_checkout(repo: Repo) -> Path:
    repo.git("init", "-q", "--bare", "src/inner")
    return repo.root / "src" / "inner" / "refs"


def linked(repo: Repo) -> Path:
    return repo.worktrees().add_for_task(key()).path


def separate(repo: Repo) -> Path:
    repo.git("init", "-q", "--separate-git-dir", str(repo.root.parent / "elsewhere"))
    return repo.root


def another_hash(repo: Repo) -> Path:
    repo.git("init", "-q", "--object-format=sha256", "../sha256")
    return repo.root.parent / "sha256"


def extension(repo: Repo) -> Path:
    repo.git("config", "extensions.worktreeConfig", "true")
    return repo.root


def of_the_future(repo: Repo) -> Path:
    repo.git("config", "core.repositoryFormatVersion", "99")
    return repo.root


def without_head(repo: Repo) -> Path:
    (repo.root / ".git" / "HEAD").unlink()
    return repo.root / "src"


def garbled_head(repo: Repo) -> Path:
    (repo.root / ".git" / "HEAD").write_text("ref: /etc/passwd\n", encoding="ascii")
    return repo.root


def without_objects(repo: Repo) -> Path:
    (repo.root / ".git" / "objects").rename(repo.root / "objects")
    return repo.root


def linked_objects(repo: Repo) -> Path:
    (repo.root / ".git" / "objects").rename(repo.root / "objects")
    (repo.root / ".git" / "objects").symlink_to(repo.root / "objects")
    return repo.root


def a_link(repo: Repo) -> Path:
    (repo.root / ".git").rename(repo.root.parent / "moved")
    (repo.root / ".git").symlink_to(repo.root.parent / "moved")
    return repo.root


def commondir(repo: Repo) -> Path:
    (repo.root / ".git" / "commondir").write_text("../../other/.git\n", encoding="ascii")
    return repo.root


def an_empty_one_on_the_way(repo: Repo) -> Path:
    (repo.root / "src" / ".git").mkdir()
    return repo.root / "src"


def nothing(repo: Repo) -> Path:
    (repo.root.parent / "plain").mkdir()
    return repo.root.parent / "plain"


def missing(repo: Repo) -> Path:
    return repo.root / "missing"


@pytest.mark.parametrize(
    "odd",
    [
        bare, bare_inside_a_checkout, linked, separate, another_hash, extension, of_the_future, without_head,
        garbled_head, without_objects, linked_objects, a_link, commondir, an_empty_one_on_the_way, nothing, missing,
    ],
)  # fmt: skip
def test_what_is_not_ordinary_is_left_to_git(odd: Callable[[Repo], Path], repo: Repo) -> None:
    assert ordinary_place(str(odd(repo))) is None


FORMAT_0 = b"[core]\n\trepositoryformatversion = 0\n"


@pytest.mark.parametrize(
    "config",
    [
        FORMAT_0 + b"\trepositoryformatversion = 99\n",
        FORMAT_0 + b'\trepositoryformatversion = "99"\n',
        FORMAT_0 + b"\trepositoryformatversion = 99 ; for now\n",
        FORMAT_0 + b"[CoRe]RepositoryFormatVersion=99",
        FORMAT_0 + b"#" * (64 << 10) + b"\n[core]\n\trepositoryformatversion = 99\n",
        b"[core] repositoryformatversion = 99\n[other]\n\trepositoryformatversion = 0\n",
        b'[core]\n\trepositoryformatversion = 99\n[core "other"]\n\trepositoryformatversion = 0\n',
        b"[core]\n\trepositoryformatversion = 99\n\teditor = vi \\\n\trepositoryformatversion = 0\n",
        b"[core]\n\trepositoryformatversion =\n0\n",
        b"[core]\n\xc2\xa0repositoryformatversion = 0\n",
        FORMAT_0 + b"\tbare = maybe\n",
        FORMAT_0 + b"[include]\n\tpath = HEAD\n",
        FORMAT_0 + b'[user]\n\tname = "Ann\n',
        FORMAT_0 + b"[user\n",
    ],
)
def test_what_git_refuses_to_read_is_left_to_git(config: bytes, repo: Repo) -> None:
    (repo.root / ".git" / "config").write_bytes(config)
    assert as_git_says(repo.root) is None
    assert ordinary_place(str(repo.root)) is None


def head_is_a_link(git_dir: Path) -> None:
    (git_dir / "HEAD").rename(git_dir / "moved")
    (git_dir / "HEAD").symlink_to("moved")


def head_is_longer_than_git_reads(git_dir: Path) -> None:
    (git_dir / "HEAD").write_bytes(b"ref:" + b" " * 300 + b"refs/heads/main\n")


def head_has_a_space_that_git_does_not_know(git_dir: Path) -> None:
    (git_dir / "HEAD").write_bytes(b"ref:\xc2\xa0refs/heads/main\n")


@pytest.mark.parametrize(
    "spoil", [head_is_a_link, head_is_longer_than_git_reads, head_has_a_space_that_git_does_not_know]
)
def test_where_git_looks_on_in_the_directories_above_it_is_left_to_git(
    spoil: Callable[[Path], None], repo: Repo
) -> None:
    inner = repo.root / "src" / "inner"
    repo.git("init", "-q", str(inner))
    assert ordinary_place(str(inner)) is not None
    spoil(inner / ".git")
    assert as_git_says(inner) == str(repo.root / ".git")
    assert ordinary_place(str(inner)) is None


def test_a_path_of_two_lines_is_left_to_git(tmp_path: Path) -> None:
    assert ordinary_place(str(make_repo(tmp_path / "two\nlines").root)) is None


@pytest.mark.needs("root")
@pytest.mark.parametrize("part", [".", ".git"])
def test_somebody_elses_repository_is_left_to_git(part: str, repo: Repo) -> None:
    os.chown(repo.root / part, 12345, -1)
    assert ordinary_place(str(repo.root)) is None
    assert as_git_says(repo.root) is None


def test_whether_there_can_be_salvage_is_read_from_the_refs(repo: Repo) -> None:
    common = repo.root / ".git"
    assert not layout.may_have_salvage(common)
    repo.git("pack-refs", "--all")
    assert not layout.may_have_salvage(common)
    repo.write({"src/deep/a.txt": "changed\n"})
    ref = salvage(repo.root, agent_id="dev_001", task_id=12)
    assert ref is not None
    assert layout.may_have_salvage(common)
    repo.git("pack-refs", "--all")
    assert not (common / ref).exists()
    assert layout.may_have_salvage(common)
    assert [found.ref for found in salvages(repo.repository().git)] == [ref]
    repo.git("update-ref", "-d", ref)
    assert not layout.may_have_salvage(common)


def test_a_linked_directory_of_refs_is_left_to_git(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "refs").mkdir()
    folder = repo.root / ".git" / layout.SALVAGE
    folder.mkdir(parents=True)
    (folder / "dev_001").symlink_to(tmp_path / "refs")
    assert layout.may_have_salvage(repo.root / ".git")


def test_refs_that_are_not_kept_in_files_are_left_to_git(repo: Repo) -> None:
    (repo.root / ".git" / "reftable").mkdir()
    assert layout.may_have_salvage(repo.root / ".git")
