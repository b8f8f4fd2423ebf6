"""Where a repository's worktrees, the directories moved aside and the salvaged work are kept."""

from __future__ import annotations

import os
import time
from pathlib import Path

from hpm_tools import failpoints

DIRECTORY = ".worktrees"
KEPT = "kept"
SALVAGE = "refs/hpm/salvage/"


def base_directory(root: Path, configured: str | Path | None) -> Path:
    """The directory that worktrees are made in: the ``configured`` one, or the one in the main worktree.

    That one is not looked up through a link, which an agent may have put there.
    """
    return Path(os.path.realpath(configured)) if configured else Path(os.path.realpath(root)) / DIRECTORY


def kept_directories(base: Path) -> list[Path]:
    """What was moved aside because nothing could vouch for it: directories mostly, or what else stood in the way."""
    try:
        return sorted((base / KEPT).iterdir())
    except OSError:
        return []


def kept_in(base: Path) -> Path:
    """The directory for what is moved aside, made if need be. Raises OSError.

    What an agent put in its place, a file or a link that leads elsewhere, gets another name.
    """
    kept = base / KEPT
    if os.path.lexists(kept) and (kept.is_symlink() or not kept.is_dir()):
        with failpoints.around("mending"):
            os.rename(kept, kept.with_name(f"{KEPT}.of-agent-{time.time_ns()}"))
    # no failpoint: an empty directory says nothing; it is made, or removed, again
    kept.mkdir(exist_ok=True)
    return kept


def may_have_salvage(common_dir: Path) -> bool:
    """Whether a ref below SALVAGE can exist; False spares asking git for them."""
    if os.path.lexists(common_dir / "reftable"):  # then no ref is a file
        return True
    found = os.walk(common_dir / SALVAGE)
    if any(names or _any_link(where, directories) for where, directories, names in found):
        return True
    try:
        return f" {SALVAGE}".encode() in (common_dir / "packed-refs").read_bytes()
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _any_link(where: str, directories: list[str]) -> bool:
    return any(os.path.islink(os.path.join(where, name)) for name in directories)
