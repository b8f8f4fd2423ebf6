"""The operator's git configuration counts wherever it stands: a program, an author or a rule of the system's file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.repos import Repo

LFS = """#!/bin/sh
# As git-lfs: content comes from the local store, else from the server that the repository names, unless told not to.
pointer=$(cat)
oid=${pointer##*sha256:}
[ "$1" = clean ] && { printf '%s\\n' "$pointer"; exit; }
[ -f "$GIT_COMMON_DIR/lfs/$oid" ] && exec cat "$GIT_COMMON_DIR/lfs/$oid"
[ "$GIT_LFS_SKIP_SMUDGE" = 1 ] || git config --file .lfsconfig lfs.url >> {asked}
printf '%s\\n' "$pointer"
"""
LFS_SETTINGS = '[filter "lfs"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n'
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\n"
FILTER = '[filter "big"]\n\tclean = tr a-z A-Z\n\tsmudge = tr A-Z a-z\n\trequired = true\n'


@pytest.fixture
def repo(repo: Repo) -> Repo:
    repo.write({".gitattributes": "*.big filter=big\n", "asset.big": "STORED\n"})
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "an asset, stored as it is")
    return repo


def work(desk: Desk, tmp_path: Path, text: str, *acts: Mapping[str, Any], variable: str) -> tuple[str, str]:
    """Have one task worked with ``text`` as the file that ``variable`` names; the branch, and what was said."""
    path = tmp_path / "operators.gitconfig"
    path.write_text(text, encoding="utf-8")
    desk.more |= {variable: str(path), "GIT_CONFIG_NOSYSTEM": "0"}
    task = desk.board.add_task(complexity="major", description=script(*acts))
    done = desk.run_single("backend_dev", "dev_001")
    assert done.returncode == 0, done.stderr
    assert desk.board.task(task["id"])["status"] == "dev_done"
    names = desk.git("for-each-ref", "--sort=-committerdate", "--format=%(refname)", "refs/heads").split()
    return next(name for name in names if name != "refs/heads/main"), done.stdout + done.stderr


@pytest.mark.fault("E5")
@pytest.mark.parametrize("variable", ["GIT_CONFIG_SYSTEM", "GIT_CONFIG_GLOBAL"])
def test_a_filter_of_the_operators_file_runs_both_ways(
    desk: Desk, repo: Repo, tmp_path: Path, variable: str
) -> None:
    acts = ({"run": ["cp", "asset.big", "seen.txt"]}, {"write": ["new.big", "written\n"]})
    branch, _ = work(desk, tmp_path, FILTER, *acts, variable=variable)
    shown = [repo.git("show", f"{branch}:{name}") for name in ("seen.txt", "new.big")]
    assert shown == ["stored", "WRITTEN"]


@pytest.mark.fault("E5")
def test_the_systems_author_signs_and_its_ignore_rules_hold(desk: Desk, repo: Repo, tmp_path: Path) -> None:
    (desk.home / ".gitconfig").unlink()
    rules = tmp_path / "rules"
    rules.write_text("*.swp\n", encoding="utf-8")
    text = f"[user]\n\tname = Of The System\n\temail = s@example.org\n[core]\n\texcludesFile = {rules}\n"
    acts = ({"write": ["a.txt", "a"]}, {"write": ["a.swp", "swap"]})
    branch, _ = work(desk, tmp_path, text, *acts, variable="GIT_CONFIG_SYSTEM")
    committed = repo.git("show", "--format=%an", "--name-only", branch).split()
    assert committed == ["Of", "The", "System", "a.txt"]


@pytest.mark.fault("E5")
def test_large_files_come_from_the_local_store_and_missing_ones_are_named(
    desk: Desk, repo: Repo, tmp_path: Path
) -> None:
    program, asked = tmp_path / "bin" / "git-lfs", tmp_path / "asked"
    program.parent.mkdir()
    program.write_text(LFS.replace("{asked}", str(asked)), encoding="utf-8")
    program.chmod(0o755)
    store = {name: POINTER.format(oid=name.partition(".")[0]) for name in ("here.bin", "away.bin")}
    url = "[lfs]\n\turl = http://example.invalid/\n"
    repo.write({".gitattributes": "*.bin filter=lfs\n", ".lfsconfig": url, **store})
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "large files")
    repo.write({"here": "content\n"}, at=repo.root / ".git" / "lfs")
    desk.more = {"PATH": f"{program.parent}:{desk.environment['PATH']}"}
    acts = ({"run": ["cp", "here.bin", "seen.txt"]}, {"run": ["cp", "away.bin", "unseen.txt"]})
    branch, said = work(desk, tmp_path, LFS_SETTINGS, *acts, variable="GIT_CONFIG_SYSTEM")
    shown = [repo.git("show", f"{branch}:{name}") for name in ("seen.txt", "unseen.txt")]
    named = [name for name in store if name in said]
    assert (named, asked.exists(), shown) == (["away.bin"], False, ["content", store["away.bin"].rstrip()])
