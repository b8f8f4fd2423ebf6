"""The register of what a repository can be, and what its parts share.

Parts are tolerant: another one may have left git unable to do what this one wants, and then it does less.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.worlds.declared import Register

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.worlds.site import Site

REPOSITORY: Register[..., None] = Register("repository")

MADE, COMMITTED, CONFIGURED, LEFT, MOVED = range(5)
"""Stages: a repository is made, gets commits, then settings and filters; a person leaves the checkout in some state;
last of all, .git itself is put elsewhere. In another order a part would commit what an earlier one wants left."""

QUIET = ("-c", "commit.gpgSign=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.file.allow=always")
"""Whatever hooks and keys an earlier part has set up: a part's own git commands do without them."""


def git(site: Site, *words: str, at: str = ".") -> str:
    """Run git in the checkout, or in ``at`` below it; its output, "" where it fails."""
    done = site.plain_git(*QUIET, *words, cwd=site.repo / at)
    return done.stdout.strip() if done.returncode == 0 else ""


def put(site: Site, files: Mapping[str, str | bytes], at: str = ".") -> None:
    """Write files below the checkout."""
    for name, content in files.items():
        path = site.repo / at / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def add(site: Site, files: Mapping[str, str | bytes]) -> None:
    """Commit these files, and nothing else."""
    put(site, files)
    git(site, "add", "-f", "--", *files)
    git(site, "commit", "-q", "-m", f"Add {next(iter(files))!r}")


def append(site: Site, path: str, text: str) -> None:
    """Commit a file of the checkout with these lines at its end."""
    before = site.repo / path
    add(site, {path: (before.read_text(encoding="utf-8") if before.is_file() else "") + text})


def new_repository(site: Site, name: str, files: Mapping[str, str | bytes]) -> str:
    """A repository beside the checkout, with one commit; its path."""
    place = site.directory / name
    place.mkdir(exist_ok=True)
    at = os.path.relpath(place, site.repo)
    git(site, "init", "-q", "-b", "main", at=at)
    put(site, files, at)
    git(site, "add", "-A", at=at)
    git(site, "commit", "-q", "-m", f"Begin {name}", at=at)
    return str(place)


def set_up(site: Site, where: str, text: str) -> None:
    """Add sections to a git configuration: the ``repository``'s, the operator's ``global`` one or the ``system``'s."""
    if where == "system":
        path = site.directory / "system.gitconfig"
        site.more |= {"GIT_CONFIG_NOSYSTEM": "0", "GIT_CONFIG_SYSTEM": str(path)}
    else:
        path = site.home / ".gitconfig" if where == "global" else site.git_directory / "config"
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
