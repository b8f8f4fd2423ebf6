"""Repositories with submodules: worktrees get them from this host, and what agents do in them is kept and named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.repos import Repo, make_repo
from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

ALLOW = ("-c", "protocol.file.allow=always")
IDENTITY = ["-c", "user.name=An Agent", "-c", "user.email=a@example.org"]


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository with the submodule `lib` at the path `vendor/lib`, which has one of its own."""
    deep = make_repo(tmp_path / "deep")
    deep.commit({"deep.txt": "deep\n"})
    lib = make_repo(tmp_path / "lib")
    lib.git(*ALLOW, "submodule", "--quiet", "add", str(deep.root), "deep")
    lib.commit({"lib.txt": "lib\n"})
    repo = make_repo(tmp_path / "repo")
    repo.git(*ALLOW, "submodule", "--quiet", "add", "--name", "lib", str(lib.root), "vendor/lib")
    repo.git(*ALLOW, "submodule", "--quiet", "update", "--init", "--recursive")
    repo.git("commit", "-q", "-m", "a submodule")
    return repo


@pytest.mark.fault("E7")
def test_a_worktree_gets_its_submodules_and_those_inside_them(desk: Desk, repo: Repo) -> None:
    acts = [
        {"run": ["sh", "-c", f"cp {name} . || true"]}
        for name in ("vendor/lib/lib.txt", "vendor/lib/deep/deep.txt")
    ]
    task = desk.board.add_task(complexity="major", description=script(*acts))
    desk.run_single()
    branch = f"feature/task-{task['id']}"
    seen = repo.git("ls-tree", "--name-only", branch).split() if not repo.fails("rev-parse", branch) else []
    gone = not (repo.root / ".worktrees" / f"task-{task['id']}").exists()
    assert (gone, {"lib.txt", "deep.txt"} <= set(seen)) == (True, True)


@pytest.mark.fault("E7")
def test_health_says_what_submodules_cost_and_which_are_not_here(desk: Desk, repo: Repo) -> None:
    desk.hpm("worktree.add", "--task-id", 5)
    whole = desk.hpm("health").stdout
    repo.git("update-index", "--cacheinfo", f"160000,{'1' * 40},vendor/lib")
    short = desk.hpm("health").stdout
    said = ("1 submodule, " in whole, "the last one took" in whole, "worktrees get no vendor/lib" in short)
    assert said == (True, True, True), whole + short


@pytest.mark.fault("E7")
def test_a_commit_that_is_not_here_is_named_and_nothing_of_gitmodules_runs(
    desk: Desk, repo: Repo, tmp_path: Path
) -> None:
    trap = tmp_path / "trap"
    repo.git("config", "submodule.lib.update", f"!touch {trap}")
    repo.git("update-index", "--cacheinfo", f"160000,{'1' * 40},vendor/lib")
    repo.git("commit", "-q", "-m", "a commit that nobody has")
    acts = script({"write": ["a.txt", "a"]})
    task = desk.board.add_task(complexity="major", description=acts)
    done = desk.run_single()
    status = desk.board.task(task["id"])["status"]
    assert (trap.exists(), status, "vendor/lib stays empty" in done.stderr) == (False, "dev_done", True)


@pytest.mark.fault("B5")
@pytest.mark.parametrize(
    ("how", "complexity"),
    [
        ("files", "major"),
        pytest.param("files", "minor", marks=pytest.mark.extended),
        pytest.param("commit", "major", marks=pytest.mark.extended),
        ("commit", "minor"),
        ("deep", "major"),
        pytest.param("deep", "minor", marks=pytest.mark.extended),
    ],
)
def test_work_inside_a_submodule_is_salvaged_and_named(
    desk: Desk, repo: Repo, complexity: str, how: str
) -> None:
    inner = "vendor/lib/deep" if how == "deep" else "vendor/lib"
    acts = [{"run": ["sh", "-c", f"mkdir -p {inner} && echo work > {inner}/work.txt"]}]
    if how == "commit":
        acts += [{"run": ["git", "-C", inner, "add", "-A"]}]
        acts += [{"run": ["git", "-C", inner, *IDENTITY, "commit", "-q", "-m", "inside"]}]
    task = desk.board.add_task(complexity=complexity, description=script(*acts))
    desk.run_single()
    now = desk.board.task(task["id"])
    place = repo.root if complexity == "minor" else repo.root / ".worktrees" / f"task-{task['id']}"
    left = (place / inner / "work.txt").exists()
    notes = now["notes"] or ""
    assert (
        now["status"],
        left,
        f"the submodule {inner} was changed" in notes,
        "refs/hpm/salvage/" in notes,
    ) == (
        "pending",
        True,
        True,
        True,
    ), notes
