"""Repositories in the repository: submodules, and those that git knows nothing of."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from tests.worlds.checkout import COMMITTED, LEFT, REPOSITORY, append, git, new_repository, put

if TYPE_CHECKING:
    from random import Random

    from tests.worlds.site import Site

IGNORED = "ignored-repository"


def a_submodule(chance: Random) -> dict[str, Any]:
    kinds = ("plain", "unpopulated", "relative", "not updated", "nested", "moved on", "away")
    return {"path": chance.choice(("lib", "deep/er/lib", "src/lib")), "kind": chance.choice(kinds)}


@REPOSITORY.declare(draw=a_submodule, rows=("C1", "B5", "E7", "F9"), weight=2.0, stage=COMMITTED)
def submodule(site: Site, path: str = "lib", kind: str = "plain") -> None:
    """It has a submodule."""
    url = new_repository(site, "lib.origin", {"lib.txt": "a library\n"})
    if kind == "nested":
        inner = new_repository(site, "inner.origin", {"inner.txt": "the innermost\n"})
        at = os.path.relpath(url, site.repo)
        git(site, "submodule", "--quiet", "add", inner, "inner", at=at)
        git(site, "commit", "-q", "-m", "Add a submodule of the submodule", at=at)
    if kind == "relative":
        git(site, "remote", "add", "origin", str(site.repo))
        git(site, "submodule", "--quiet", "add", "../lib.origin", path)
    else:
        git(site, "submodule", "--quiet", "add", url, path)
    if kind == "not updated":
        git(site, "config", "-f", ".gitmodules", f"submodule.{path}.update", "none")
        git(site, "add", ".gitmodules")
    git(site, "commit", "-q", "-m", "Add a submodule")
    if kind == "nested":
        git(site, "submodule", "--quiet", "update", "--init", "--recursive")
    if kind == "unpopulated":
        git(site, "submodule", "--quiet", "deinit", "--force", path)
    if kind == "moved on" and (site.repo / path / ".git").exists():
        put(site, {"lib.txt": "committed in the submodule only\n"}, path)
        git(site, "commit", "-q", "-a", "-m", "Not yet in the superproject", at=path)
    if kind == "away":
        shutil.rmtree(url)


def a_nested_repository(chance: Random) -> dict[str, Any]:
    states = ("plain", "empty HEAD", "branches", "no commit", "detached", "a repository inside")
    return {"ignored": chance.random() < 0.5, "state": chance.choice(states)}


@REPOSITORY.declare(draw=a_nested_repository, rows=("C3",), weight=2.0, stage=LEFT)
def nested_repository(site: Site, ignored: bool, state: str) -> None:
    """Somebody's repository of its own lies in the checkout, and no commit knows it."""
    name = IGNORED if ignored else "nested repository"
    if ignored:
        append(site, ".gitignore", f"{IGNORED}/\n")
    put(site, {"inside.txt": "a nested repository's\n"}, name)
    git(site, "init", "-q", "-b", "main", at=name)
    if state == "no commit":
        return
    git(site, "add", "-A", at=name)
    git(site, "commit", "-q", "-m", "Begin", at=name)
    if state == "branches":
        for branch in ("one", "two"):
            git(site, "checkout", "-q", "-b", branch, "main", at=name)
            put(site, {f"{branch}.txt": f"on {branch} only\n"}, name)
            git(site, "add", "-A", at=name)
            git(site, "commit", "-q", "-m", f"On {branch}", at=name)
    if state == "detached":
        git(site, "checkout", "-q", "--detach", at=name)
        git(site, "commit", "-q", "--allow-empty", "-m", "On no branch", at=name)
    if state == "a repository inside":
        put(site, {"innermost.txt": "the innermost\n"}, f"{name}/inner")
        git(site, "init", "-q", "-b", "main", at=f"{name}/inner")
    if state == "empty HEAD":
        (site.repo / name / ".git" / "HEAD").write_bytes(b"")


@REPOSITORY.declare(rows=("C3", "E7"), stage=COMMITTED)
def embedded_repository(site: Site) -> None:
    """A commit names the commit of a nested repository that is no submodule: `git add` of it."""
    put(site, {"inside.txt": "embedded\n"}, "embedded")
    git(site, "init", "-q", "-b", "main", at="embedded")
    git(site, "add", "-A", at="embedded")
    git(site, "commit", "-q", "-m", "Begin", at="embedded")
    git(site, "-c", "advice.addEmbeddedRepo=false", "add", "embedded")
    git(site, "commit", "-q", "-m", "Add a repository by accident")


def a_worktree(chance: Random) -> dict[str, Any]:
    return {"kind": chance.choice(("locked", "on the task's branch", "gone", "inside", "unfinished"))}


@REPOSITORY.declare(draw=a_worktree, rows=("C6", "B7", "C2"), weight=2.0, stage=LEFT)
def operators_worktree(site: Site, kind: str) -> None:
    """The operator has a worktree of his own, with work in it."""
    place = site.repo / "mine" if kind == "inside" else site.elsewhere / "mine"
    branch = "feature/task-1" if kind == "on the task's branch" else "mine"
    git(site, "worktree", "add", "-q", "-b", branch, str(place))
    if not place.is_dir():
        return
    at = os.path.relpath(place, site.repo)
    put(site, {"mine.txt": "in my worktree\n"}, at)
    git(site, "add", "mine.txt", at=at)
    git(site, "commit", "-q", "-m", "Mine", at=at)
    put(site, {"README.md": "not committed in my worktree\n"}, at)
    if kind == "unfinished":
        git(site, "checkout", "-q", "-f", "--detach", at=at)
        git(site, "commit", "-q", "--allow-empty", "-m", "On no branch", at=at)
        git(site, "bisect", "start", at=at)
        put(site, {"README.md": "not committed in the middle of a bisection\n"}, at)
    if kind == "locked":
        git(site, "worktree", "lock", "--reason", "on a stick", str(place))
    if kind == "gone":
        git(site, "checkout", "-q", "-f", "--detach", at=at)
        git(site, "commit", "-q", "--allow-empty", "-m", "Only this worktree's HEAD names it", at=at)
        shutil.rmtree(place)
