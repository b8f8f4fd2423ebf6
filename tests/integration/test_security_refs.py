"""References and settings that are not the task's: what an agent moved is told with the command that undoes it."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import Repo, make_repo
from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

WRITE = {"write": ["work.txt", "work"]}


@pytest.fixture
def repo(repo: Repo, tmp_path: Path) -> Repo:
    upstream = make_repo(tmp_path / "upstream")
    repo.git("remote", "add", "origin", str(upstream.root))
    repo.git("fetch", "-q", "origin")
    repo.git("remote", "set-head", "origin", "main")
    repo.git("tag", "v1")
    repo.git("tag", "-a", "-m", "annotated", "v2")
    repo.git("notes", "add", "-m", "reviewed")
    repo.commit({"second.txt": "second\n"})
    return repo


def shell(*lines: str) -> dict[str, list[str]]:
    return {"run": ["sh", "-ec", "\n".join(lines)]}


def refs(desk: Desk) -> str:
    """All refs that are not the runner's, with what they say."""
    listed = desk.git("for-each-ref", "--format=%(refname) %(objectname) %(symref)").splitlines()
    return "\n".join(line for line in listed if not line.startswith(("refs/hpm/", "refs/heads/feature/")))


def work(desk: Desk, acts: Iterable[dict[str, list[str]]], complexity: str = "major") -> str:
    """What `hpm run` prints of one task that an agent works by ``acts``."""
    desk.board.add_task(description=script(*acts, WRITE), complexity=complexity)
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def undo(desk: Desk, output: str) -> None:
    """Run, as printed, each command that the runner told."""
    for command in dict.fromkeys(
        re.findall(r"to (?:undo it|put them all back): (.*)$", output, re.MULTILINE)
    ):
        subprocess.run(["sh", "-c", command], cwd=desk.repo, check=True)


@pytest.mark.fault("F2")
@pytest.mark.parametrize(
    "acts",
    [
        pytest.param(
            [
                "mine=$(git commit-tree -m mine -p HEAD 'HEAD^{tree}')",
                "git update-ref refs/remotes/origin/main $mine",
                "git replace main $mine",
                "git notes add -f -m 'not reviewed' v1",
                "git tag -f v1 $mine",
                "git tag -d v2",
            ],
            id="as reported",
        ),
        pytest.param(
            [
                "git symbolic-ref refs/remotes/origin/HEAD refs/remotes/origin/other",
                "git update-ref refs/remotes/origin/other HEAD",
                "git update-ref refs/remotes/upstream/main HEAD",
                "git symbolic-ref refs/tags/v3 refs/heads/main",
                "git update-ref refs/pull/7/head HEAD",
                "git symbolic-ref refs/tags/v1 refs/heads/main",
            ],
            id="symbolic and new ones",
        ),
        pytest.param(
            [
                "git update-ref -d refs/remotes/origin/main",
                "git symbolic-ref -d refs/remotes/origin/HEAD",
                "git update-ref -d refs/notes/commits",
                "git pack-refs --all",
            ],
            id="deleted ones",
        ),
    ],
)
def test_each_ref_that_an_agent_moved_is_told_and_put_back_as_told(acts: list[str], desk: Desk) -> None:
    before = refs(desk)
    told = work(desk, [shell(*acts)])
    assert refs(desk) != before
    undo(desk, told)
    assert refs(desk) == before


@pytest.mark.fault("F2")
@pytest.mark.parametrize("trusted", [False, True])
def test_a_repositorys_own_file_does_not_say_where_tasks_start(trusted: bool, desk: Desk) -> None:
    """Whatever is in the repository an agent can have written."""
    desk.git("branch", "elsewhere", "v1")
    (desk.repo / "invoke.yaml").write_text("hpm: {base_ref: elsewhere}\n", encoding="utf-8")
    if trusted:
        assert desk.hpm("trust").returncode == 0
    task = desk.board.add_task(description=script(WRITE), complexity="major")
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    started = desk.git("rev-parse", f"feature/task-{task['id']}^")
    told = [
        "base_ref, trusted or not, so that it is ignored" in said
        for said in (done.stdout + done.stderr, desk.hpm("health").stdout)
    ]
    assert (started, told) == (desk.git("rev-parse", "main"), [True, True])


BASES = {
    "origin/main": ["git update-ref refs/remotes/origin/main $mine"],
    "v1": ["git tag -f v1 $mine"],
    "main": ["git update-ref refs/heads/main $mine"],
    "remotes/origin/main": [
        "git update-ref -d refs/remotes/origin/main",
        "git tag remotes/origin/main $mine",
    ],
    "origin/HEAD": [
        "git update-ref refs/remotes/origin/mine $mine",
        "git symbolic-ref refs/remotes/origin/HEAD refs/remotes/origin/mine",
    ],
    "origin": ["git update-ref --no-deref refs/remotes/origin/HEAD $mine"],
    "heads/main": ["git branch mine $mine", "git symbolic-ref refs/heads/main refs/heads/mine"],
    "remotes/origin/main~0": ["git update-ref refs/remotes/origin/main $mine"],
}
RARE = ("remotes/origin/main", "origin", "heads/main", "remotes/origin/main~0")


@pytest.mark.fault("F2")
@pytest.mark.parametrize(
    "base", [pytest.param(base, marks=[pytest.mark.extended] if base in RARE else []) for base in BASES]
)
def test_the_next_task_does_not_start_from_an_agents_commit(base: str, desk: Desk) -> None:
    desk.change(base_ref=base)
    before = desk.git("rev-parse", f"{base}^{{commit}}")
    work(desk, [shell("mine=$(git commit-tree -m mine -p HEAD 'HEAD^{tree}')", *BASES[base])])
    assert desk.git("rev-parse", f"{base}^{{commit}}") != before
    second = desk.board.add_task(description=script(WRITE), complexity="major")
    done = desk.run_single("backend_dev", "dev_002")
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.git("rev-parse", f"feature/task-{second['id']}^") == before


def test_a_base_that_a_person_fetched_meanwhile_is_believed(desk: Desk, tmp_path: Path) -> None:
    desk.change(base_ref="origin/main")
    fetched = Repo(tmp_path / "upstream").commit({"theirs.txt": "theirs\n"})
    work(desk, [shell("git update-ref refs/remotes/origin/main HEAD")])
    desk.git("fetch", "-q", "origin")
    second = desk.board.add_task(description=script(WRITE), complexity="major")
    done = desk.run_single("backend_dev", "dev_002")
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.git("rev-parse", f"feature/task-{second['id']}^") == fetched
