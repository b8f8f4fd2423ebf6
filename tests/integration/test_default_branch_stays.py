"""No task's branch becomes the repository's default branch, by whatever name the board or an agent calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.runners import script

if TYPE_CHECKING:
    from tests.support.repos import Repo
    from tests.support.runners import Desk


TOPIC = "topic"


@pytest.fixture
def repo(repo: Repo) -> Repo:
    """Its only branch is develop, and no remote says which is the default one."""
    repo.git("branch", "-m", "develop")
    return repo


def work(desk: Desk, *acts: str, branch: str, agent: str = "dev_001") -> str:
    """Have a task worked for which the board names ``branch``: the branch that its work is on."""
    write = {"run": ["sh", "-ec", "\n".join([*acts, "echo work >>work.txt"])]}
    task = desk.board.add_task(description=script(write), complexity="major", branch=branch)["id"]
    done = desk.run_single("backend_dev", agent)
    assert desk.board.task(task)["status"] == "dev_done", done.stdout + done.stderr
    return branch if branch == TOPIC else f"feature/task-{task}"


def start_of(desk: Desk, branch: str) -> str:
    return desk.git("rev-parse", f"refs/heads/{branch}^")


@pytest.mark.fault("W2")
@pytest.mark.parametrize(
    "name", ["main", *(pytest.param(name, marks=pytest.mark.extended) for name in ("trunk", "Main"))]
)
def test_tasks_of_the_boards_default_branch_start_where_the_first_did(desk: Desk, name: str) -> None:
    before = desk.git("rev-parse", "develop")
    branches = [work(desk, branch=name), work(desk, branch=name), work(desk, branch=TOPIC)]
    assert [start_of(desk, branch) for branch in branches] == [before] * 3
    made = desk.git("for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()
    assert made == ["develop", *branches]


@pytest.mark.fault("W2")
def test_main_that_was_made_for_a_task_before_is_no_default_branch(desk: Desk, repo: Repo) -> None:
    before = desk.git("rev-parse", "develop")
    owner = repo.git("hash-object", "-w", "README.md")
    repo.git("branch", "main", repo.git("commit-tree", "-m", "Unreviewed", "-p", "HEAD", "HEAD^{tree}"))
    repo.git("update-ref", "refs/hpm/owner/main", owner)
    branches = [work(desk, branch="main"), work(desk, branch=TOPIC)]
    assert [start_of(desk, branch) for branch in branches] == [before] * 2


@pytest.mark.fault("W2")
def test_main_beside_another_default_branch_gets_no_tasks_commits(desk: Desk, repo: Repo) -> None:
    repo.git("branch", "main", repo.git("commit-tree", "-m", "Released", "-p", "HEAD", "HEAD^{tree}"))
    repo.git("update-ref", "refs/remotes/origin/develop", "HEAD")
    repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/develop")
    released = desk.git("rev-parse", "main")
    branches = [work(desk, branch="main"), work(desk, branch="main")]
    assert [start_of(desk, branch) for branch in branches] == [released] * 2
    assert desk.git("rev-parse", "main") == released


@pytest.mark.fault("W2")
@pytest.mark.parametrize(
    "act",
    [
        "git branch main {mine}",
        pytest.param("git update-ref refs/heads/master {mine}", marks=pytest.mark.extended),
    ],
)
def test_main_that_an_agent_made_is_no_default_branch(desk: Desk, act: str) -> None:
    before = desk.git("rev-parse", "develop")
    work(desk, act.format(mine="$(git commit-tree -m mine -p HEAD 'HEAD^{tree}')"), branch="main")
    assert start_of(desk, work(desk, branch=TOPIC, agent="dev_002")) == before


@pytest.mark.fault("W2")
def test_main_that_a_person_made_later_is_the_default_branch(desk: Desk, repo: Repo) -> None:
    work(desk, branch="main")
    repo.git("branch", "main", repo.git("commit-tree", "-m", "Ours", "-p", "HEAD", "HEAD^{tree}"))
    assert start_of(desk, work(desk, branch=TOPIC)) == desk.git("rev-parse", "main")
