"""The state in which the operator leaves the checkout: his changes, his branches, what he has begun."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from tests.worlds.checkout import COMMITTED, LEFT, MADE, REPOSITORY, add, git, put

if TYPE_CHECKING:
    from random import Random

    from tests.worlds.site import Site

CHANGES = ("modified", "staged", "untracked", "intent to add", "deleted", "mode", "staged and modified")


def some_changes(chance: Random) -> dict[str, Any]:
    return {"changes": sorted(chance.sample(CHANGES, chance.choice((1, 2, 3))))}


@REPOSITORY.declare(draw=some_changes, rows=("A5", "B7"), weight=2.0, stage=LEFT)
def dirty(site: Site, changes: tuple[str, ...] = ("modified", "untracked")) -> None:
    """Somebody's uncommitted changes are in the checkout."""
    put(site, {"mine.txt": "do not touch\n"} if "untracked" in changes else {})
    if "modified" in changes:
        put(site, {"README.md": "mine too\n"})
    if "staged" in changes or "staged and modified" in changes:
        put(site, {"staged.txt": "staged, not committed\n"})
        git(site, "add", "staged.txt")
    if "staged and modified" in changes:
        put(site, {"staged.txt": "changed again since\n"})
    if "intent to add" in changes:
        put(site, {"intended.txt": "to be added later\n"})
        git(site, "add", "--intent-to-add", "intended.txt")
    if "deleted" in changes:
        (site.repo / "src" / "shop.py").unlink(missing_ok=True)
    if "mode" in changes and (site.repo / "README.md").is_file():
        (site.repo / "README.md").chmod(0o755)


@REPOSITORY.declare(rows=("C5", "B7"), stage=LEFT)
def operators_stash(site: Site) -> None:
    """The operator has two stashes."""
    for number in range(2):
        put(site, {"README.md": f"stashed {number}\n", f"stashed-{number}.txt": "untracked, stashed\n"})
        git(site, "stash", "push", "--quiet", "--", "README.md")
        git(site, "stash", "push", "--quiet", "--include-untracked", "--", f"stashed-{number}.txt")


def an_operation(chance: Random) -> dict[str, Any]:
    operations = ("merge", "rebase", "cherry-pick", "revert", "bisect", "am")
    return {"operation": chance.choice(operations), "resolved": chance.random() < 0.5}


@REPOSITORY.declare(draw=an_operation, rows=("C2",), weight=2.0, stage=LEFT)
def unfinished(site: Site, operation: str, resolved: bool) -> None:
    """The operator is half-way through an operation of git in the checkout."""
    before = git(site, "rev-parse", "HEAD")
    branch = git(site, "symbolic-ref", "--short", "HEAD") or before
    git(site, "checkout", "-q", "-b", "theirs")
    add(site, {"README.md": "theirs\n"})
    git(site, "checkout", "-q", branch)
    add(site, {"README.md": "ours\n"})
    if operation == "merge":
        git(site, "merge", "-q", "theirs")
    elif operation == "rebase":
        git(site, "rebase", "-q", "theirs")
    elif operation == "cherry-pick":
        git(site, "cherry-pick", "theirs")
    elif operation == "revert":
        add(site, {"README.md": "ours, later\n"})
        git(site, "revert", "--no-edit", "HEAD~1")
    elif operation == "am":
        patch = site.directory / "theirs.patch"
        patch.write_text(git(site, "format-patch", "-1", "--stdout", "theirs"), encoding="utf-8")
        git(site, "am", "-q", "-3", str(patch))
    else:
        for number in range(3):
            git(site, "commit", "-q", "--allow-empty", "-m", f"To be tried {number}")
        git(site, "bisect", "start", "HEAD", before)
        git(site, "bisect", "good")
    if resolved:
        put(site, {"README.md": "resolved, not committed\n"})
        git(site, "add", "README.md")


@REPOSITORY.declare(rows=("C2",), stage=LEFT)
def detached_head(site: Site) -> None:
    """The checkout is on no branch, at a commit that only its HEAD names."""
    git(site, "checkout", "-q", "--detach")
    git(site, "commit", "-q", "--allow-empty", "-m", "On no branch")


@REPOSITORY.declare(stage=LEFT)
def on_another_branch(site: Site) -> None:
    """The operator is on a branch of his own, which is ahead of the default one."""
    git(site, "checkout", "-q", "-b", "mine-alone")
    add(site, {"alone.txt": "on my branch alone\n"})


def a_name(chance: Random) -> dict[str, Any]:
    return {"name": chance.choice(("trunk", "master", "develop", "Main", "release/1.x"))}


@REPOSITORY.declare(draw=a_name, stage=MADE)
def default_branch(site: Site, name: str) -> None:
    """Its default branch has another name, and there is no main."""
    git(site, "branch", "-m", "main", name)


@REPOSITORY.declare(stage=MADE, weight=0.7)
def no_commit(site: Site) -> None:
    """Nothing was committed yet."""
    shutil.rmtree(site.repo / ".git")
    git(site, "init", "-q", "-b", "main")
    site.ways_out.append(("has no commit", lambda: _begin(site)))


def _begin(site: Site) -> None:
    git(site, "add", "-A")
    git(site, "commit", "-q", "-m", "The beginning")


@REPOSITORY.declare(rows=("F3",), stage=LEFT)
def the_tasks_branch(site: Site) -> None:
    """There is a branch feature/task-1 of the operator's, with his commit."""
    if git(site, "rev-parse", "--verify", "-q", "HEAD"):
        tree = git(site, "rev-parse", "HEAD^{tree}")
        commit = git(site, "commit-tree", "-p", "HEAD", "-m", "The operator's own", tree)
        git(site, "branch", "feature/task-1", commit)


NAMES = (
    "refs/heads/main", "origin/main", "FETCH_HEAD", "tags/v1", "v1", "refs/hpm/owner/main", "HEAD", "stash",
    "feature/login", "feature", "Feature/Login", "feature/login/more", "main.lock", "-d", "a..b", "work/ünï", "main",
)  # fmt: skip


def a_board_branch(chance: Random) -> dict[str, Any]:
    return {"name": chance.choice(NAMES)}


@REPOSITORY.declare(draw=a_board_branch, rows=("F3",), weight=2.0, stage=COMMITTED)
def board_branch(site: Site, name: str) -> None:
    """The board's tasks name a branch, which may read as something else in this repository."""
    site.fields["branch"] = name
    git(site, "tag", "v1")
    git(site, "branch", "feature/login")
    git(site, "remote", "add", "origin", str(site.elsewhere / "nowhere"))
    git(site, "update-ref", "refs/remotes/origin/main", "HEAD")


AMBIGUOUS = ("refs/tags/main", "refs/tags/feature/task-1", "refs/tags/HEAD", "refs/heads/HEAD", "refs/main")


def some_ambiguous(chance: Random) -> dict[str, Any]:
    return {"names": sorted(chance.sample(AMBIGUOUS, chance.choice((1, 2))))}


@REPOSITORY.declare(draw=some_ambiguous, rows=("F3",), stage=COMMITTED)
def ambiguous_names(site: Site, names: list[str]) -> None:
    """Tags and branches have the names of branches, or of HEAD."""
    for name in names:
        git(site, "update-ref", name, "HEAD")
