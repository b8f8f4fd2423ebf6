"""Where a repository's parts are: .git itself, its objects, its remote, and what of it is checked out."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from tests.worlds import gitfiles
from tests.worlds.checkout import COMMITTED, LEFT, MADE, MOVED, QUIET, REPOSITORY, add, git, put

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.worlds.site import Site

OTHERS_OF_GIT = ("git_link", "git_file", "bare_layout")
CLONES = ("no_commit", "shallow", "partial", "shared_objects")


def cloned(site: Site, *options: str) -> Path:
    """Put a clone in the checkout's place; where the repository that was there is now."""
    upstream = site.elsewhere / "upstream"
    site.repo.rename(upstream)
    site.plain_git("config", "uploadpack.allowFilter", "true", cwd=upstream)
    words = ["clone", "-q", "--no-local", *options, f"file://{upstream}", str(site.repo)]
    site.plain_git(*QUIET, *words, cwd=site.directory)
    return upstream


@REPOSITORY.declare(rows=("E3",), unless=OTHERS_OF_GIT, stage=MOVED)
def git_link(site: Site) -> None:
    """The checkout's .git is a symbolic link."""
    place = site.directory / "linked.git"
    site.own_places.append(place)
    shutil.move(site.repo / ".git", place)
    (site.repo / ".git").symlink_to(place)


@REPOSITORY.declare(rows=("E3",), unless=OTHERS_OF_GIT, stage=MOVED)
def git_file(site: Site) -> None:
    """The checkout's .git is a file that names another directory (`--separate-git-dir`)."""
    place = site.directory / "separate.git"
    site.own_places.append(place)
    git(site, "init", "-q", "--separate-git-dir", str(place))


@REPOSITORY.declare(rows=("E3",), unless=OTHERS_OF_GIT, stage=MOVED)
def bare_layout(site: Site) -> None:
    """The checkout is a worktree of a bare repository beside it (`.bare`)."""
    bare, files = site.repo.with_name(".bare"), site.repo.with_name("files")
    branch = git(site, "symbolic-ref", "--short", "HEAD")
    if not branch or not git(site, "rev-parse", "--verify", "-q", "HEAD"):
        return
    git(site, "checkout", "-q", "-f", "--detach")
    site.own_places.append(bare)
    shutil.move(site.repo / ".git", bare)
    site.repo.rename(files)
    site.plain_git("config", "core.bare", "true", cwd=bare)
    site.plain_git(*QUIET, "worktree", "add", "-q", str(site.repo), branch, cwd=bare)
    shutil.copytree(files, site.repo, symlinks=True, dirs_exist_ok=True, ignore_dangling_symlinks=True)
    site.ways_out.append(("clone it, and use the clone", lambda: clone_bare(site, bare)))


def clone_bare(site: Site, bare: Path) -> None:
    place = site.elsewhere / "clone"
    site.plain_git(*QUIET, "clone", "-q", str(bare), str(place), cwd=site.directory)
    site.repo = place
    made = gitfiles.common_directory(str(place)) or ""
    site.made_later[made] = gitfiles.references(made)


@REPOSITORY.declare(unless=CLONES, stage=MADE)
def shallow(site: Site) -> None:
    """It is a shallow clone: history ends after one commit."""
    add(site, {"later.txt": "a second commit\n"})
    cloned(site, "--depth", "1")


def how_far(chance: Random) -> dict[str, Any]:
    return {"away": chance.random() < 0.7}


@REPOSITORY.declare(draw=how_far, rows=("E4", "F9"), weight=2.0, unless=CLONES, stage=MADE)
def partial(site: Site, away: bool) -> None:
    """It is a blobless clone, main has files that were never fetched, and the remote may be away."""
    upstream = cloned(site, "--filter=blob:none")
    at = os.path.relpath(upstream, site.repo)
    git(site, "checkout", "-q", "-b", "mine-alone")
    put(site, {"only-upstream.txt": "nobody has fetched this\n"}, at)
    git(site, "add", "-A", at=at)
    git(site, "commit", "-q", "-m", "Upstream goes on", at=at)
    git(site, "fetch", "-q", "origin", "main:main")
    gone = upstream.with_name("upstream-away")
    if away:
        upstream.rename(gone)
    for words in ("promisor", "partial clone"):
        site.ways_out.append((words, lambda: fetch_all_files(site, gone, upstream)))


def fetch_all_files(site: Site, gone: Path, upstream: Path) -> None:
    if gone.exists():
        gone.rename(upstream)
    git(site, "archive", "--output", "/dev/null", "main")


def a_remote(chance: Random) -> dict[str, Any]:
    return {"state": chance.choice(("ahead", "diverged", "away")), "base": chance.choice(("", "origin/main"))}


@REPOSITORY.declare(draw=a_remote, rows=("F2",), weight=2.0, stage=COMMITTED)
def remote(site: Site, state: str, base: str) -> None:
    """It has a remote, whose branch is not where the own one is."""
    upstream = site.directory / "origin.git"
    git(site, "clone", "-q", "--bare", ".", str(upstream))
    if state != "ahead":
        add(site, {"mine.txt": "not pushed yet\n"})
    if state != "away":
        tree = git(site, "rev-parse", "HEAD^{tree}")
        first = git(site, "rev-list", "--max-parents=0", "HEAD").partition("\n")[0]
        commit = git(site, "commit-tree", "-p", first, "-m", "The remote's own", tree)
        git(site, "push", "-q", str(upstream), f"{commit}:refs/heads/main", "--force")
    git(site, "remote", "add", "origin", str(upstream))
    git(site, "fetch", "-q", "origin")
    git(site, "remote", "set-head", "origin", "main")
    if state == "away":
        shutil.rmtree(upstream, ignore_errors=True)
    if base and git(site, "rev-parse", "--verify", "-q", base):
        site.settings["base_ref"] = base


@REPOSITORY.declare(rows=("F9",), unless=CLONES, stage=MADE)
def shared_objects(site: Site) -> None:
    """Its objects are another repository's (alternates)."""
    upstream = site.elsewhere / "upstream"
    site.repo.rename(upstream)
    words = ("clone", "-q", "--shared", str(upstream), str(site.repo))
    site.plain_git(*QUIET, *words, cwd=site.directory)


@REPOSITORY.declare(stage=COMMITTED)
def packed(site: Site) -> None:
    """Refs are packed, objects are in a pack, with a commit-graph."""
    git(site, "branch", "old")
    git(site, "pack-refs", "--all")
    git(site, "repack", "-q", "-a", "-d", "--write-bitmap-index")
    git(site, "commit-graph", "write", "--reachable")


def a_cone(chance: Random) -> dict[str, Any]:
    return {"cone": chance.random() < 0.5, "sparse_index": chance.random() < 0.3}


@REPOSITORY.declare(draw=a_cone, rows=("C1",), weight=2.0, stage=LEFT)
def sparse(site: Site, cone: bool, sparse_index: bool) -> None:
    """Only a part of it is checked out (sparse checkout)."""
    add(site, {"docs/guide.txt": "not checked out\n", "src/deep/more.py": "MORE = 1\n"})
    words = ["set", "--cone" if cone else "--no-cone"]
    words += ["--sparse-index"] if cone and sparse_index else []
    git(site, "sparse-checkout", *words, "src" if cone else "/src/*.py")


FLAGS = ("--skip-worktree", "--assume-unchanged")


def a_flag(chance: Random) -> dict[str, Any]:
    return {"flag": chance.choice(FLAGS), "deleted": chance.random() < 0.3}


@REPOSITORY.declare(draw=a_flag, rows=("B7", "C2"), stage=LEFT)
def hidden_change(site: Site, flag: str, deleted: bool) -> None:
    """The operator has a change that the index is told not to see."""
    git(site, "update-index", flag, "README.md")
    if deleted:
        (site.repo / "README.md").unlink(missing_ok=True)
    else:
        put(site, {"README.md": "a change that status does not show\n"})
