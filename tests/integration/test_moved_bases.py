"""Where tasks start after, and while, an agent moved the ref that says so; and how the operator says that it is right."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.repos import Repo, make_repo
from tests.support.runners import HPM, Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

RUN = ("run", "--role", "backend_dev", "--single-task", "--agent-id", "dev_001")
WRITE = {"write": ["work.txt", "work"]}
MINE = "mine=$(git commit-tree -m mine -p HEAD 'HEAD^{tree}')"


@pytest.fixture
def repo(repo: Repo, tmp_path: Path) -> Repo:
    upstream = make_repo(tmp_path / "upstream")
    repo.git("remote", "add", "origin", str(upstream.root))
    repo.git("fetch", "-q", "origin")
    repo.git("remote", "set-head", "origin", "main")
    return repo


def shell(*lines: str) -> dict[str, list[str]]:
    return {"run": ["sh", "-ec", "\n".join(lines)]}


def work(desk: Desk, *acts: dict[str, Any], agent: str = "dev_002", **fields: Any) -> tuple[str, str]:
    """Have a task worked: the commit that it started from, and what its runner printed."""
    task = desk.board.add_task(description=script(*acts, WRITE), complexity="major", **fields)
    done = desk.run_single("backend_dev", agent)
    assert done.returncode == 0, done.stdout + done.stderr
    branch = fields.get("branch") or f"feature/task-{task['id']}"
    return desk.git("rev-parse", f"refs/heads/{branch}^"), done.stdout + done.stderr


def way_out(desk: Desk, said: str) -> None:
    """Run the command that a warning names, as printed."""
    (command,) = re.findall(r"if it is right as it is now: (hpm .*)", said)
    done = desk.hpm_as(HPM, *shlex.split(command)[1:])
    assert done.returncode == 0, done.stderr


@pytest.mark.fault("F2")
@pytest.mark.parametrize(
    "act",
    [
        pytest.param("git symbolic-ref refs/remotes/origin/HEAD refs/remotes/origin/mine", id="repointed"),
        pytest.param("git update-ref refs/remotes/origin/develop $mine", id="the branch that the task names"),
    ],
)
def test_no_setting_is_needed_for_starting_where_no_agent_chose(act: str, desk: Desk) -> None:
    """Without base_ref the remote's default branch counts, and before it a branch that the board names."""
    desk.git("update-ref", "-m", "fetch", "refs/remotes/origin/develop", "main")
    before = desk.git("rev-parse", "main")
    work(desk, shell(MINE, "git update-ref refs/remotes/origin/mine $mine", act))
    desk.git("checkout", "-q", "--detach")
    desk.git("branch", "-q", "-D", "main")
    assert work(desk, **({"branch": "develop"} if "develop" in act else {}))[0] == before


@pytest.mark.fault("F2")
@pytest.mark.parametrize(
    "ref", ["refs/remotes/origin/main", pytest.param("refs/tags/v1", marks=pytest.mark.extended)]
)
def test_no_task_starts_from_what_an_agent_moves_that_is_still_at_work(ref: str, desk: Desk) -> None:
    desk.git("tag", "v1")
    desk.change(base_ref=ref)
    before, go = desk.git("rev-parse", "main"), desk.directory / "go"
    acts: list[dict[str, Any]] = [shell(MINE, f"git update-ref {ref} $mine"), {"wait_for": str(go)}, WRITE]
    desk.board.add_task(description=script(*acts), complexity="major")
    with desk.start(*RUN) as runner:
        wait_until(lambda: desk.git("rev-parse", ref) != before, what="the agent's move")
        started = work(desk)[0]
        go.touch()
        assert runner.wait() == 0, runner.output()
    assert started == before


@pytest.mark.fault("F2")
def test_a_commit_on_top_of_an_agents_does_not_hide_it(desk: Desk) -> None:
    """The reflog's last entry is the person's; what the branch holds is the agent's, too."""
    before = desk.git("rev-parse", "main")
    by_hand = f"env -u GIT_REFLOG_ACTION git -C {desk.repo} commit -q --allow-empty -m by-hand"
    work(desk, shell(MINE, "git update-ref refs/heads/main $mine", by_hand))
    assert work(desk)[0] == before


@pytest.mark.fault("F2")
@pytest.mark.parametrize(
    "act",
    [
        pytest.param("git -C {repo} commit -q --allow-empty -m mine", id="commit"),
        pytest.param("git fetch -q . $mine:refs/remotes/origin/main", id="fetch", marks=pytest.mark.extended),
    ],
)
def test_what_an_agent_did_by_ordinary_commands_is_not_taken_for_a_persons(act: str, desk: Desk) -> None:
    desk.change(base_ref="main" if "commit" in act else "origin/main")
    before = desk.git("rev-parse", "main")
    work(desk, shell(MINE, act.format(repo=desk.repo)))
    assert work(desk)[0] == before


def test_a_commit_by_hand_while_an_agent_works_is_started_from(desk: Desk) -> None:
    by_hand = f"env -u GIT_REFLOG_ACTION git -C {desk.repo} commit -q --allow-empty -m by-hand"
    work(desk, shell(by_hand, by_hand))
    started, said = work(desk)
    assert (started, "was moved" in said) == (desk.git("rev-parse", "main"), False)


@pytest.mark.parametrize("base", [None, pytest.param("origin/main", marks=pytest.mark.extended)])
def test_the_command_that_a_warning_names_ends_the_doubt(
    base: str | None, desk: Desk, tmp_path: Path
) -> None:
    """A fetch without a reflog looks like an agent's move."""
    desk.change(base_ref=base)
    desk.git("config", "core.logAllRefUpdates", "false")
    fetched = Repo(tmp_path / "upstream").commit({"theirs.txt": "theirs\n"})
    for log in (desk.repo / ".git" / "logs" / "refs").rglob("*main"):
        log.unlink()
    moves = {None: "pull -q --ff-only origin main", "origin/main": "fetch -q origin"}
    work(desk, shell(f"env -u GIT_REFLOG_ACTION git -C {desk.repo} {moves[base]}"))
    started, said = work(desk)
    assert started != fetched
    way_out(desk, said)
    started, said = work(desk)
    assert (started, "was moved" in said) == (fetched, False)


def test_a_ref_that_is_trusted_while_the_agent_works_stays_so(desk: Desk) -> None:
    go = desk.directory / "go"
    acts: list[dict[str, Any]] = [
        shell(MINE, "git update-ref refs/heads/main $mine"),
        {"wait_for": str(go)},
        WRITE,
    ]
    before = desk.git("rev-parse", "main")
    desk.board.add_task(description=script(*acts), complexity="major")
    with desk.start(*RUN) as runner:
        wait_until(lambda: desk.git("rev-parse", "main") != before, what="the move")
        assert desk.hpm("trust", "--ref", "main").stdout == "tasks start from refs/heads/main as it is now\n"
        assert desk.hpm("trust", "--ref", "main").returncode == 0
        go.touch()
        assert runner.wait() == 0, runner.output()
    assert work(desk)[0] == desk.git("rev-parse", "main")


def test_a_ref_that_is_none_cannot_be_trusted(desk: Desk) -> None:
    done = desk.hpm("trust", "--ref", "no/such")
    assert (done.returncode, "has no ref 'no/such'" in done.stderr) == (65, True), done.stderr


@pytest.mark.fault("F2")
def test_a_minor_task_does_not_go_on_in_the_checkout_whose_branch_an_agent_moved(desk: Desk) -> None:
    """The checkout is what a minor task starts from: seen in use, on top of the agent's commit and without a word."""
    before = desk.git("rev-parse", "main")
    work(desk, shell(MINE, "git update-ref refs/heads/main $mine"))
    minor = desk.board.add_task(description=script(WRITE), complexity="minor")
    done = desk.run_single("backend_dev", "dev_002")
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.git("for-each-ref", "--format=%(parent)", f"refs/heads/feature/task-{minor['id']}") == before


@pytest.mark.extended
def test_a_minor_task_goes_on_in_the_checkout_once_its_branch_is_trusted(desk: Desk) -> None:
    work(desk, shell(MINE, "git update-ref refs/heads/main $mine"))
    desk.board.add_task(description=script(WRITE), complexity="minor")
    way_out(desk, desk.run_single("backend_dev", "dev_002").stdout)
    desk.board.add_task(description=script({"write": ["next.txt", "next"]}), complexity="minor")
    again = desk.run_single("backend_dev", "dev_002")
    assert (again.returncode, desk.git("show", "main:next.txt")) == (0, "next"), again.stdout + again.stderr


AT_MINE = "git update-ref refs/heads/mine $mine"


@pytest.mark.fault("F2")
@pytest.mark.parametrize(
    "act",
    [
        pytest.param(
            f'{AT_MINE}; git -C "$main" symbolic-ref HEAD refs/heads/mine', id="a branch of its own"
        ),
        pytest.param(
            'git -C "$main" update-ref --no-deref HEAD $mine', id="detached", marks=pytest.mark.extended
        ),
        pytest.param(
            f'{AT_MINE}; git -C "$main" checkout -q mine', id="checkout", marks=pytest.mark.extended
        ),
    ],
)
def test_a_minor_task_does_not_go_on_where_an_agent_put_the_checkout(act: str, desk: Desk) -> None:
    """No ref that was there is moved but HEAD: seen on top of the agent's commit, in the checkout."""
    before = desk.git("rev-parse", "main")
    work(desk, shell(f"main='{desk.repo}'", MINE, act))
    minor = desk.board.add_task(description=script(WRITE), complexity="minor")
    done = desk.run_single("backend_dev", "dev_002")
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.git("for-each-ref", "--format=%(parent)", f"refs/heads/feature/task-{minor['id']}") == before
    way_out(desk, done.stdout)
    minor = desk.board.add_task(description=script({"write": ["next.txt", "next"]}), complexity="minor")
    again = desk.run_single("backend_dev", "dev_002")
    assert (again.returncode, desk.git("show", "HEAD:next.txt")) == (0, "next"), again.stdout + again.stderr


@pytest.mark.fault("F2")
def test_no_task_starts_from_the_branch_that_an_agent_put_the_checkout_on(desk: Desk) -> None:
    """Without a remote's default branch, or one of the usual names, the checkout's own branch is where tasks start."""
    desk.git("symbolic-ref", "-d", "refs/remotes/origin/HEAD")
    desk.git("branch", "-q", "-m", "main", "develop")
    before = desk.git("rev-parse", "HEAD")
    act = f"git -C '{desk.repo}' symbolic-ref HEAD refs/heads/mine"
    work(desk, shell(MINE, AT_MINE, act), branch="first")
    assert work(desk, branch="second")[0] == before


@pytest.mark.parametrize(
    "acts",
    [
        ["checkout -q -b theirs", "commit -q --allow-empty -m by-hand"],
        pytest.param(["branch -q -m main theirs"], marks=pytest.mark.extended),
        pytest.param(
            ["checkout -q --detach", "commit -q --allow-empty -m by-hand"], marks=pytest.mark.extended
        ),
    ],
)
def test_a_minor_task_goes_on_where_a_person_put_the_checkout_meanwhile(acts: list[str], desk: Desk) -> None:
    work(desk, shell(*(f"env -u GIT_REFLOG_ACTION git -C '{desk.repo}' {act}" for act in acts)))
    desk.board.add_task(description=script({"write": ["next.txt", "next"]}), complexity="minor")
    done = desk.run_single("backend_dev", "dev_002")
    assert (done.returncode, desk.git("show", "HEAD:next.txt")) == (0, "next"), done.stdout + done.stderr
