"""A run's own temporary directory, so that what agents and their tools leave in /tmp goes with the run."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.errors import CannotCreate
from hpm_tools.trees import delete_tree

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 64


def scratch_path(run_id: str, environ: Mapping[str, str]) -> Path:
    """Where the run's directory is: the same for every process that knows ``run_id`` and TMPDIR.

    In /tmp where TMPDIR is a long path: the CLI puts sockets below it, and Linux limits theirs to 107 bytes.
    """
    name = f"hpm-{os.geteuid()}-{hashlib.sha256(run_id.encode()).hexdigest()[:16]}"
    path = Path(environ.get("TMPDIR") or tempfile.gettempdir(), name)
    return path if len(os.fsencode(path)) <= LONGEST else Path("/tmp", name)  # noqa: S108


def make_scratch(run_id: str, environ: Mapping[str, str]) -> Path:
    """Create the directory, 0700; raises CannotCreate, also if somebody else's thing is in its place."""
    path = scratch_path(run_id, environ)
    try:
        with failpoints.around("scratch"):
            path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise CannotCreate(
            f"the temporary directory {path}: {error.strerror}", "is TMPDIR writable?"
        ) from error
    if path.is_symlink() or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise CannotCreate(f"the temporary directory {path} is not ours alone", "remove it")
    return path


def remove_scratch(run_id: str, environ: Mapping[str, str]) -> None:
    """Remove the directory with all it holds, if it is there; what cannot be removed stays."""
    with failpoints.around("scratch"), suppress(OSError):
        delete_tree(scratch_path(run_id, environ))
