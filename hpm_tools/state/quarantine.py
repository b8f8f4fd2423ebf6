"""Damaged files moved aside: kept for people, and remembered until somebody has answered for them."""

from __future__ import annotations

import os
import time

from hpm_tools import failpoints
from hpm_tools.errors import CannotCreate
from hpm_tools.state.files import remove_older, sync_directory

CORRUPT = ".corrupt-"
SETTLED = ".settled"


def set_aside(path: str) -> str:
    """Rename ``path`` to ``<path>.corrupt-<time>`` and return the new path."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    moved = f"{path}{CORRUPT}{stamp}-{os.urandom(2).hex()}"
    try:
        with failpoints.around("state"):
            os.rename(path, moved)
        failpoints.reach("quarantine.moved")
        sync_directory(os.path.dirname(path))
    except FileNotFoundError:
        pass  # another process has just moved it
    except OSError as error:
        raise CannotCreate(f"cannot move {path} aside: {error.strerror}") from error
    return moved


def unsettled(path: str) -> list[str]:
    """The paths to which ``path`` was set aside and for which nobody has answered yet, oldest first."""
    directory, name = os.path.split(path)
    try:
        found = os.listdir(directory)
    except FileNotFoundError:
        return []
    return [
        os.path.join(directory, other)
        for other in sorted(found)
        if other.startswith(name + CORRUPT) and not other.endswith(SETTLED)
    ]


def settle(path: str) -> list[str]:
    """Mark what ``path`` was set aside to as answered for; returns the new paths."""
    settled = []
    for moved in unsettled(path):
        try:
            with failpoints.around("state"):
                os.rename(moved, moved + SETTLED)
            failpoints.reach("quarantine.settled")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise CannotCreate(f"cannot rename {moved}: {error.strerror}") from error
        settled.append(moved + SETTLED)
    return settled


def prune(directory: str, days: float) -> list[str]:
    """Remove what was answered for more than ``days`` ago; returns the paths."""
    # Its ctime is when it was settled; its mtime is still that of its content.
    return remove_older(
        directory,
        days,
        lambda name: CORRUPT in name and name.endswith(SETTLED),
        when=lambda status: status.st_ctime,
    )
