"""Where the checkout lies, whose it is, and what a crash has left in its .git."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tests.worlds.checkout import LEFT, MADE, MOVED, REPOSITORY, git, put

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.worlds.site import Site

NAMES = ("two words", "ünï", "it's", "a$HOME;b", "100%s", "a:b", "[a]*", "#hash", "task-1", "repo.git")
ANOTHER_USER = 12345


def a_directory(chance: Random) -> dict[str, Any]:
    return {"name": chance.choice(NAMES)}


@REPOSITORY.declare(draw=a_directory, rows=("F11",), weight=2.0, stage=MADE)
def named_oddly(site: Site, name: str) -> None:
    """The checkout's directory has a name that shells and formats read as something else."""
    site.repo = site.repo.rename(site.repo.with_name(name))


@REPOSITORY.declare(rows=("D4b",), stage=MOVED)
def inside_another(site: Site) -> None:
    """The checkout lies in another repository, as in one of a home directory's dot files."""
    put(site, {".gitignore": "*\n"}, "..")
    git(site, "init", "-q", "-b", "dotfiles", at="..")
    git(site, "add", "-f", ".gitignore", at="..")
    git(site, "commit", "-q", "-m", "Dot files", at="..")


@REPOSITORY.declare(rows=("E5",), weight=0.7, stage=MOVED)
def owned_by_another(site: Site) -> None:
    """The checkout belongs to another user (where this one may give it away)."""
    if os.geteuid() != 0:
        return
    site.ways_out.append(("safe.directory", lambda: trust_directory(site)))
    for top, folders, files in os.walk(site.repo):
        for name in (".", *folders, *files):
            os.chown(os.path.join(top, name), ANOTHER_USER, ANOTHER_USER, follow_symlinks=False)


def trust_directory(site: Site) -> None:
    for place in (site.repo, site.git_directory):
        site.plain_git("config", "--global", "--add", "safe.directory", str(place))


LOCKS = ("index.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "refs/heads/main.lock", "shallow.lock")


def a_lock(chance: Random) -> dict[str, Any]:
    return {"name": chance.choice(LOCKS)}


@REPOSITORY.declare(draw=a_lock, rows=("D4",), weight=2.0, stage=LEFT)
def stale_lock(site: Site, name: str) -> None:
    """A git that was killed has left its lock file."""
    path = site.git_directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    site.ways_out.append((name, lambda: path.unlink(missing_ok=True)))


DAMAGES = {
    "empty ref": "refs/heads/old",
    "ref to nothing": "refs/heads/ghost",
    "remote head to nothing": "refs/remotes/origin/HEAD",
    "broken reflog": "logs/HEAD",
    "broken commit-graph": "objects/info/commit-graph",
    "empty object": f"objects/ab/{'cd' * 19}",
    "log of a collection": "gc.log",
    "large config": "config",
    "directory for a file": "info/exclude",
    "no hooks": "hooks",
    "cut in packed-refs": "packed-refs",
}


def a_damage(chance: Random) -> dict[str, Any]:
    return {"kind": chance.choice(sorted(DAMAGES))}


@REPOSITORY.declare(draw=a_damage, rows=("D4", "D5", "C3"), weight=2.0, stage=LEFT)
def damaged(site: Site, kind: str) -> None:
    """Something in .git is not as git left it: a power cut, a full disk, another program."""
    path = site.git_directory / DAMAGES[kind]
    before = path.read_bytes() if path.is_file() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "no hooks":
        if path.is_dir():
            path.rename(site.directory / "hooks-before")
    elif kind == "directory for a file":
        path.unlink(missing_ok=True)
        path.mkdir()
    elif kind == "large config":
        path.write_bytes((before or b"") + b"# a comment\n" * 180_000)
    else:
        path.write_bytes(
            {
                "empty ref": b"",
                "ref to nothing": b"1234567890" * 4 + b"\n",
                "remote head to nothing": b"ref: refs/remotes/origin/gone\n",
                "broken reflog": (before or b"") + b"\0" * 50,
                "broken commit-graph": b"CGPH\1",
                "empty object": b"",
                "log of a collection": b"error: too many unreachable loose objects\n",
                "cut in packed-refs": (before or b"") + b"0123456789",
            }[kind]
        )
    # What is told is the name of the file, or of the ref.
    for words in {DAMAGES[kind], DAMAGES[kind].removeprefix("objects/"), path.name}:
        site.ways_out.append((words, lambda: mend(path, before)))


def mend(path: Path, before: bytes | None) -> None:
    if path.is_dir():
        path.rmdir()
    if before is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(before)
