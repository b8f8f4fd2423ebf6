"""Submodules of a new worktree, filled from what the main checkout has of them: nothing is fetched or executed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpm_tools.errors import HpmError
from hpm_tools.trees import walk
from hpm_tools.worktree import index_entries
from hpm_tools.worktree.files import parts
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git, decode
from hpm_tools.worktree.mending import replace_text
from hpm_tools.worktree.place import Place, read_small

if TYPE_CHECKING:
    from pathlib import Path

START = "refs/remotes/hpm/recorded"
"""Marks the recorded commit as known elsewhere, so that only an agent's own commits count as work to keep."""

TOOK = "hpm/submodules.seconds"
SHA256_LENGTH = 64
DEEPEST = 5


@dataclass(frozen=True, slots=True)
class Supply:
    """What the main checkout has for the submodules of worktrees.

    ``missing``: those whose commit is not here; ``bytes``: of the repositories that are; ``seconds``: what the last worktree
    took to be filled, None before the first.
    """

    count: int
    missing: list[str]
    bytes: int
    seconds: float | None


def supply(git: Git, common_dir: Path) -> Supply:
    """Look at what ``fill`` would find for the commits that the index of ``git``'s checkout records."""
    links, names, modules = index_entries.submodules(git), _names(git), common_dir / "modules"
    missing = [p for p, commit in links.items() if p not in names or not _has(modules / names[p], commit)]
    total = sum(
        os.lstat(os.path.join(here, name)).st_size for here, _, files in walk(modules) for name in files
    )
    try:
        seconds = float(read_small(common_dir / TOOK) or "")
    except ValueError:
        seconds = None
    return Supply(len(links), missing, total, seconds)


def way_to_supply(root: Path, missing: list[str]) -> str:
    """What brings the commits of ``missing`` to where `fill` looks, as words with a command."""
    # A repository that stood at its path before it became a submodule keeps its `.git` there (git-submodule(1)).
    inside = any((root / path / ".git").is_dir() for path in missing)
    return f"git submodule {'absorbgitdirs' if inside else 'update --init --recursive'}, run in {root}"


def fill_timed(git: Git, common_dir: Path) -> list[str]:
    """``fill`` from the repository's own submodules, and note for ``supply`` how long that took."""
    began = time.monotonic()
    missing = fill(git, common_dir / "modules")
    if (git.place.git_dir / "modules").is_dir():
        try:
            replace_text(common_dir / TOOK, f"{time.monotonic() - began:.3f}\n")
        except OSError:
            return missing
    return missing


def fill(git: Git, modules: Path, depth: int = 0) -> list[str]:
    """Check out each submodule of ``git``'s new checkout at its recorded commit; the paths left empty.

    Objects come from the repositories below ``modules``, by alternates (gitrepository-layout(5)); commits made in the
    worktree stay out of these. Of `.gitmodules` only path and name are read: an address or `update=!command` is not.
    """
    links = index_entries.submodules(git)
    if not links:
        return []
    names = _names(git)
    missing = []
    for path, commit in links.items():
        source = modules / names[path] if path in names else None
        if source is None or not _has(source, commit) or depth == DEEPEST:
            missing.append(path)
            continue
        try:
            inner = _check_out(git, path, names[path], commit, source)
        except (HpmError, OSError):
            missing.append(path)
            continue
        missing += [f"{path}/{below}" for below in fill(inner, source / "modules", depth + 1)]
    return missing


def _names(git: Git) -> dict[str, str]:
    """path → name, as `.gitmodules` says, of names that stay below `modules` (CVE-2018-11235)."""
    asked = ("config", "--blob", "HEAD:.gitmodules", "-z", "--get-regexp", r"^submodule\..*\.path$")
    found = {}
    for entry in decode(git.run(*asked, check=False).out).split("\0"):
        key, _, path = entry.partition("\n")
        name = key.removeprefix("submodule.").removesuffix(".path")
        try:
            parts(name)
        except OSError:
            continue
        if path and not name.startswith("-"):
            found[path] = name
    return found


def _has(source: Path, commit: str) -> bool:
    if not (source / "HEAD").is_file():
        return False
    try:
        asked = Git(Place(None, source, source)).run("cat-file", "-e", f"{commit}^{{commit}}", check=False)
    except HpmError:
        return False
    return asked.returncode == 0


def _check_out(git: Git, path: str, name: str, commit: str, source: Path) -> Git:
    directory, git_dir = git.place.root / path, git.place.git_dir / "modules" / name
    # no failpoint: an empty directory says nothing; it is made, or removed, again
    git_dir.mkdir(parents=True, exist_ok=True)
    inner = Git(Place(directory, git_dir, git_dir))
    form = "sha256" if len(commit) == SHA256_LENGTH else "sha1"
    inner.run("init", "--quiet", "--template=", f"--object-format={form}")
    replace_text(git_dir / "objects" / "info" / "alternates", f"{os.fspath(source / 'objects')}\n")
    replace_text(directory / ".git", f"gitdir: {git_dir}\n")
    inner.run("update-ref", START, commit)
    inner.run("update-ref", "--no-deref", "HEAD", commit)
    inner.run("reset", "--hard", "--quiet", timeout=CHECKOUT_TIMEOUT)
    return inner
