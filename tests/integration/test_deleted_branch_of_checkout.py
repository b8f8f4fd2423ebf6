"""The branch that the main checkout is on was deleted: that is said, with the command that makes it again."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.runners import script

if TYPE_CHECKING:
    from tests.support.repos import Repo
    from tests.support.runners import Desk

BACK = re.compile(r"to make it again where it was last: (git -C \S+ update-ref refs/heads/main [0-9a-f]+)")


def hint(desk: Desk) -> str:
    """What `health` says of the repository and what to do."""
    checks = json.loads(desk.hpm("health", "--json").stdout)["checks"]
    return " ".join(f"{one['text']}; {one['hint']}" for one in checks if one["name"] == "repository")


def follow(desk: Desk, said: str) -> None:
    found = BACK.search(" ".join(said.split()))
    assert found, said
    subprocess.run(shlex.split(found[1]), check=True, env=desk.environment)


@pytest.mark.fault("W5")
@pytest.mark.parametrize("reflog", [True, False], ids=["reflog", "kept by the run"])
def test_what_health_says_makes_the_branch_again_that_an_agent_deleted(desk: Desk, *, reflog: bool) -> None:
    before = desk.git("rev-parse", "main")
    delete = ["git", "-C", str(desk.repo), "update-ref", "-d", "refs/heads/main"]
    acts = script({"write": ["a.txt", "a"]}, {"run": delete})
    desk.board.add_task(description=acts, complexity="major")
    desk.run_single()
    if not reflog:
        (desk.repo / ".git" / "logs" / "HEAD").unlink()
    said = hint(desk)
    assert "is on the branch main, which is not there any more" in said
    follow(desk, said)
    assert desk.git("rev-parse", "main") == before


@pytest.mark.fault("W5")
def test_run_says_how_the_branch_is_made_again_that_a_person_deleted(desk: Desk, repo: Repo) -> None:
    before = repo.commit({"newer.txt": "newer"})
    repo.git("update-ref", "-d", "refs/heads/main")
    desk.board.add_task(description=script({"write": ["a.txt", "a"]}), complexity="major")
    done = desk.run_single()
    assert "commit something first" not in done.stdout + done.stderr
    follow(desk, done.stdout + done.stderr)
    assert desk.git("rev-parse", "main") == before
    desk.board.add_task(description=script({"write": ["b.txt", "b"]}), complexity="major")
    again = desk.run_single()
    assert again.returncode == 0, again.stdout + again.stderr


def test_new_repository_is_said_to_have_no_commit(desk: Desk, repo: Repo) -> None:
    (repo.root / ".git").rename(repo.root / "gone")
    repo.git("init", "-q", "-b", "main")
    assert "has no commit yet: a task that needs a worktree is given back; commit something first" in hint(
        desk
    )
