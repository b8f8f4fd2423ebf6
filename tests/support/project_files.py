"""Which files this project consists of, in a checkout and in an unpacked source archive alike."""

from __future__ import annotations

import os
import subprocess
import tempfile

from tests.support.frontends import PROJECT

HISTORY = PROJECT / ".git"


def tracked_files() -> list[str]:
    """What git tracks here, relative to the project. Only for a checkout."""
    return _listed([], "--cached")


def project_files() -> list[str]:
    """What git tracks here or would track, relative to the project.

    Without a repository of its own an empty one elsewhere answers, by the project's .gitignore: a repository
    that merely surrounds an unpacked archive has other rules.
    """
    if HISTORY.exists():
        return _listed([], "--cached", "--others", "--exclude-standard")
    with tempfile.TemporaryDirectory() as empty:
        subprocess.run(["git", "init", "-q", "--bare", empty], check=True)
        where = ["--git-dir", empty, "--work-tree", str(PROJECT)]
        return _listed(where, "--others", "--exclude-standard")


def _listed(where: list[str], *which: str) -> list[str]:
    argv = ["git", *where, "ls-files", "-z", *which]
    listed = subprocess.run(argv, cwd=PROJECT, capture_output=True, check=True)
    names = [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    # A file that was deleted is listed until that is committed.
    return sorted(name for name in names if os.path.lexists(PROJECT / name))
