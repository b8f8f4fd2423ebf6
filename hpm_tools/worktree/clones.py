"""Repositories of its own that an agent made: inside its place, or beside it and its repository.

Their reflogs have the run's mark, as all that git writes for an agent. What is further away is not looked for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpm_tools.worktree import attribution, nearby
from hpm_tools.worktree.reflogs import read_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from hpm_tools.worktree.evidence import Snapshot
    from hpm_tools.worktree.place import Place

SLACK = 1.0
"""Seconds by which a file system's time may lag behind the clock."""


def inside(snapshot: Snapshot, dirty: Iterable[str]) -> list[Path]:
    """The repositories among the uncommitted paths ``dirty`` of a run's place; those of its set-up were there before."""
    nested = (snapshot.place.root / path.rstrip("/") for path in dirty if path.endswith("/"))
    return [path for path in nested if _is_new(path, snapshot.at)]


def beside(snapshot: Snapshot) -> list[Path]:
    """The repositories that the run worked in beside its place and its repository."""
    place = snapshot.place
    mark = attribution.environment(snapshot.run_id)[attribution.VARIABLE]
    return [
        path
        for path in _beside(place)
        if path not in (place.root, place.common_dir.parent)
        and (path / ".git").is_dir()
        and _is_new(path, snapshot.at)
        and any(line.reason.startswith(mark) for line in read_log(path / ".git" / "logs" / "HEAD"))
    ]


def _is_new(path: Path, since: float) -> bool:
    """Whether something was done in the repository at ``path`` since then."""
    for name in (".git/logs/HEAD", ".git"):
        try:
            return os.stat(path / name).st_mtime >= since - SLACK
        except OSError:
            continue
    return False


def _beside(place: Place) -> Iterator[Path]:
    repository = place.common_dir.parent
    for directory in dict.fromkeys((place.root.parent, repository, repository.parent)):
        yield from nearby.inside(directory)
