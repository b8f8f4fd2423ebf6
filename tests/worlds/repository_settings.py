"""What the operator tells hpm about his repository: preparing worktrees, limits, places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.worlds.checkout import COMMITTED, CONFIGURED, REPOSITORY, append, put

if TYPE_CHECKING:
    from random import Random

    from tests.worlds.site import Site

SET_UP = {
    "changes a tracked file": "echo '# locked' >> README.md",
    "leaves files": "echo lock > package.lock; mkdir -p generated; echo made > generated/a.txt",
    "leaves ignored files": "mkdir -p node_modules/a; echo x > node_modules/a/index.js; echo s > secret.txt",
    "deletes a file": "rm -f src/shop.py",
    "stages": "echo staged > staged-by-set-up.txt; git add staged-by-set-up.txt",
    "commits": "git commit -q --allow-empty -m 'By set-up'",
    "leaves a process": "sleep 300 > /dev/null 2>&1 & :",
    "leaves a repository": "git init -q vendor && echo v > vendor/v.txt",
    "speaks much": "yes 'a line of set-up' | head -n 2000",
}


def a_set_up(chance: Random) -> dict[str, Any]:
    return {"kinds": sorted(chance.sample(sorted(SET_UP), chance.choice((1, 2))))}


@REPOSITORY.declare(
    draw=a_set_up, rows=("B1", "C7"), weight=3.0, unless=("failing_set_up",), stage=CONFIGURED
)
def set_up_worktree(site: Site, kinds: list[str]) -> None:
    """worktree.setup leaves more in a new worktree than was asked for."""
    site.set_worktree(setup=["sh", "-c", "; ".join(SET_UP[kind] for kind in kinds)])


def a_failure(chance: Random) -> dict[str, Any]:
    return {"kind": chance.choice(("fails", "fails late", "is missing", "is killed", "takes too long"))}


@REPOSITORY.declare(draw=a_failure, rows=("E6",), unless=("set_up_worktree",), stage=CONFIGURED)
def failing_set_up(site: Site, kind: str) -> None:
    """worktree.setup fails."""
    commands = {
        "fails": ["sh", "-c", "echo no such package >&2; exit 3"],
        "fails late": ["sh", "-c", "echo half > half-made.txt; exit 3"],
        "is missing": ["no-such-installer"],
        "is killed": ["sh", "-c", "kill -9 $$"],
        "takes too long": ["sleep", "60"],
    }
    site.set_worktree(setup=commands[kind], **({"setup_timeout": 1} if kind == "takes too long" else {}))
    for words in ("worktree.setup", "no-such-installer"):
        site.ways_out.append((words, lambda: _without_set_up(site)))


def _without_set_up(site: Site) -> None:
    site.set_worktree(setup=[])
    site.configure()


def copied(chance: Random) -> dict[str, Any]:
    return {
        "patterns": chance.choice(([".env"], ["*.private", "config/*"], ["secret.txt*"], ["**/*.private"]))
    }


@REPOSITORY.declare(draw=copied, rows=("B1", "C7"), weight=2.0, stage=COMMITTED)
def copied_files(site: Site, patterns: list[str]) -> None:
    """Ignored files are copied into each worktree (worktree.copy)."""
    append(site, ".gitignore", ".env\n*.private\nconfig/\n")
    put(site, {".env": "TOKEN=1\n", "a.private": "mine\n", "config/local.ini": "[a]\n", "secret.txt": "s\n"})
    site.set_worktree(copy=patterns)


def a_limit(chance: Random) -> dict[str, Any]:
    return chance.choice(({"max_files": 1}, {"max_files": 3}, {"max_bytes": 200}, {"max_bytes": 5000}))


@REPOSITORY.declare(draw=a_limit, rows=("B9", "C7", "D6"), weight=2.0, stage=CONFIGURED)
def low_limits(site: Site, **limits: int) -> None:
    """Few files or bytes of a task may be kept in git."""
    site.set_worktree(**limits)


def a_base(chance: Random) -> dict[str, Any]:
    return {"place": chance.choice(("outside", "inside", "linked", "ignored"))}


@REPOSITORY.declare(draw=a_base, rows=("D2",), stage=CONFIGURED)
def worktree_base(site: Site, place: str) -> None:
    """Worktrees are made in another place than usual."""
    base = site.repo / "built" / "trees" if place in ("inside", "ignored") else site.directory / "trees"
    if place == "ignored":
        append(site, ".gitignore", "built/\n")
    if place == "linked":
        (site.directory / "real-trees").mkdir()
        base.symlink_to(site.directory / "real-trees")
    site.own_places += [base, base.resolve()]
    site.settings["worktree_base"] = str(base)


@REPOSITORY.declare(rows=("C7",), stage=CONFIGURED)
def nothing_regenerable(site: Site) -> None:
    """No ignored file counts as one that can be made again."""
    site.set_worktree(regenerable=[])


def a_way(chance: Random) -> dict[str, Any]:
    return {"way": chance.choice(("skip", "retry", "stop", "release"))}


@REPOSITORY.declare(draw=a_way, rows=("E6",), stage=CONFIGURED)
def on_problem(site: Site, way: str) -> None:
    """Nobody is asked about a problem: it is said beforehand what to do."""
    site.settings["on_problem"] = way


@REPOSITORY.declare(rows=("B11",), stage=CONFIGURED)
def exit_code_counts(site: Site) -> None:
    """The operator says that exit code 0 of the agent's program means done."""
    site.settings["executor_exit_code_is_outcome"] = True
