"""Filters of a repository's own configuration, which may encrypt: approved, or nothing is stored past them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

SECRET = "plain secret"
ENCRYPT = "tr a-z A-Z"
DECRYPT = "tr A-Z a-z"
BY_PROCESS = """
c=$(git rev-parse --path-format=absolute --git-common-dir)
git config extensions.worktreeConfig true
git config --worktree filter.crypt.process false
git config --worktree filter.crypt.required true
mkdir -p "$c/info"
echo '*.key filter=crypt' > "$c/info/attributes"
"""
BY_INCLUDE = """
c=$(git rev-parse --path-format=absolute --git-common-dir)
printf '[filter "crypt"]\\n\\tclean = tr a-z A-Z\\n' > "$c/more"
git config include.path more
echo '*.key filter=crypt' > .gitattributes
"""
TAKEN_OUT = "git config --remove-section filter.crypt\n"


def encrypt(repo: Repo) -> None:
    """Have the repository encrypt its keys, as `git-crypt init` does."""
    repo.git("config", "filter.crypt.clean", ENCRYPT)
    repo.git("config", "filter.crypt.smudge", DECRYPT)
    repo.git("config", "filter.crypt.required", "true")
    repo.write({".gitattributes": "*.key filter=crypt\n", "old.key": "old secret\n"})
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "a key, encrypted")


def is_stored(repo: Repo, text: str) -> bool:
    """Whether the repository's objects, named by a ref or not, hold a file of this text."""
    oid = subprocess.run(
        ["git", "hash-object", "--no-filters", "--stdin"],
        cwd=repo.root,
        env=repo.environment,
        input=text,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    return not repo.fails("cat-file", "-e", oid)


def left_behind(repo: Repo) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in repo.root.glob(".worktrees/**/new.key")]


@pytest.mark.fault("D3")
@pytest.mark.parametrize("complexity", ["major", "minor"])
def test_a_filter_of_the_repository_is_refused_at_the_start_until_it_is_approved(
    desk: Desk, repo: Repo, complexity: str
) -> None:
    encrypt(repo)
    work = script({"run": ["cp", "old.key", "seen.txt"]}, {"write": ["new.key", SECRET]})
    task = desk.board.add_task(complexity=complexity, description=work)
    refused = desk.run_single()
    untouched = desk.board.task(task["id"])["status"], desk.record()
    trusted = desk.hpm("trust")
    done = desk.run_single()
    branches = repo.git("for-each-ref", "--format=%(refname)", "--sort=-committerdate", "refs/heads").split()
    branch = (
        branches[0] if complexity == "minor" else next((b for b in branches if b != "refs/heads/main"), "")
    )
    stored = [
        repo.git("show", f"{branch}:{name}") if not repo.fails("cat-file", "-e", f"{branch}:{name}") else ""
        for name in ("seen.txt", "new.key")
    ]
    assert not is_stored(repo, SECRET)
    shown = ("hpm trust" in refused.stderr, ENCRYPT in trusted.stderr)
    assert (*shown, refused.returncode, untouched, trusted.returncode, done.returncode, stored) == (
        True,
        True,
        78,
        ("created", None),
        0,
        0,
        ["old secret", SECRET.upper()],
    ), refused.stderr + done.stderr


@pytest.mark.fault("D3")
@pytest.mark.parametrize("how", [BY_PROCESS, BY_INCLUDE, TAKEN_OUT], ids=["process", "include", "taken-out"])
def test_a_filter_that_changes_during_a_run_parks_the_task_and_nothing_is_stored(
    desk: Desk, repo: Repo, tmp_path: Path, how: str
) -> None:
    if how == TAKEN_OUT:
        repo.git("config", "filter.crypt.clean", "tr a-z A-Z")
        repo.write({".gitattributes": "*.key filter=crypt\n"})
        repo.git("add", "-A")
        repo.git("commit", "-q", "-m", "keys are encrypted")
        desk.hpm("trust")
    steps = tmp_path / "steps"
    steps.write_text(how, encoding="utf-8")
    work = script({"write": ["new.key", SECRET]}, {"run": ["sh", "-e", str(steps)]})
    task = desk.board.add_task(complexity="major", description=work)
    desk.run_single()
    now = desk.board.task(task["id"])
    record = desk.record()
    assert (now["locked_by"], record, is_stored(repo, SECRET), left_behind(repo)) == (
        None,
        None,
        False,
        [SECRET],
    )


@pytest.mark.fault("D3")
def test_an_approved_filter_that_an_agent_changes_is_refused_at_the_next_start(
    desk: Desk, repo: Repo
) -> None:
    encrypt(repo)
    desk.hpm("trust")
    work = script({"write": ["new.key", SECRET]}, {"run": ["git", "config", "filter.crypt.clean", "cat"]})
    task = desk.board.add_task(complexity="major", description=work)
    desk.run_single("backend_dev", "dev_001")
    again = desk.run_single("backend_dev", "dev_001")
    now = desk.board.task(task["id"])
    seen = (again.returncode, now["locked_by"], desk.record(), is_stored(repo, SECRET))
    assert seen == (78, None, None, False), again.stderr


def test_a_filter_that_no_file_goes_through_stops_nothing(desk: Desk, repo: Repo) -> None:
    repo.git("config", "filter.strip.clean", "false")
    repo.git("config", "filter.strip.required", "true")
    task = desk.board.add_task(complexity="major", description=script({"write": ["a.txt", "a"]}))
    desk.run_single()
    assert desk.board.task(task["id"])["status"] == "dev_done"
