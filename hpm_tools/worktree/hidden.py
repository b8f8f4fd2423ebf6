"""Settings and ignore rules by which an agent would have git overlook its work: read as they were before its run.

Nothing of it is put back, for that is told with the command that does (local_settings.py). The runner's git looks as
before until the next run's snapshot is taken.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpm_tools.worktree import executable, local_settings, tampering
from hpm_tools.worktree import git as safe_git
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git, decode
from hpm_tools.worktree.layout import DIRECTORY
from hpm_tools.worktree.status import take_status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from hpm_tools.worktree.copies import Copies

DEFAULTS = {"core.filemode": "true", "core.ignorecase": "false"}
"""What git takes where a setting is not there (git-config(1)); `git init` writes what the file system needs."""
EXCLUDES = "core.excludesfile"


def pin(git: Git, marks: Mapping[str, Any], copies: Copies) -> None:
    """Have the runner's git look at files by the settings from before, as far as the repository's own ones changed."""
    digests = marks.get("local")
    if digests is None or not any(True for _ in tampering.changed_files(git.place, digests)):
        return
    before: dict[str, str] = {}
    now: dict[str, str] = {}
    for name in tampering.SETTINGS:
        copy = copies.of(digests[name]) if digests.get(name) else None
        if digests.get(name) and copy is None:
            return  # what it said is not known, and a guess would make every file a changed one
        before |= _last_values(git, copy)
        now |= _last_values(git, git.place.common_dir / name)
    # Only what changed: most agents set something, as the upstream of a branch, and a file that is included counts as before.
    changed = [name for name in (*DEFAULTS, EXCLUDES) if before.get(name) != now.get(name)]
    pinned = {name: before.get(name) or DEFAULTS.get(name) or _usual_excludes(git) for name in changed}
    if pinned:
        safe_git.pinned[str(git.place.common_dir)] = pinned


def _last_values(git: Git, file: Path | None) -> dict[str, str]:
    values = local_settings.read(git, file) if file is not None else {}
    return {key: found[-1] or "true" for key, found in (values or {}).items()}


def unpin(git: Git) -> None:
    """From now on the settings count that are there: a person has been told of them."""
    safe_git.pinned.pop(str(git.place.common_dir), None)


def ignored_since(git: Git, marks: Mapping[str, Any], copies: Copies) -> list[str]:
    """The untracked files that git ignores only since info/exclude was changed."""
    before = str(marks["files"].get(tampering.EXCLUDE, ""))
    if tampering.digest_of_exclude(git.place) == before:
        return []
    old = copies.of(before) if before else None
    of_user = git.run("config", "--type=path", "--get", EXCLUDES, check=False).text or _default_excludes()
    rules = [str(old or os.devnull), *([of_user] if os.path.isfile(of_user) else [])]
    args = ["--exclude-per-directory=.gitignore", f"--exclude=/{DIRECTORY}/"]
    args += [f"--exclude-from={path}" for path in rules]
    listed = decode(git.run("ls-files", "-o", "-z", *args, timeout=CHECKOUT_TIMEOUT).out).split("\0")
    return sorted(set(filter(None, listed)) - set(take_status(git).untracked))


def _usual_excludes(git: Git) -> str:
    for scope in ("--global", "--system"):
        if value := git.run("config", scope, "--get", EXCLUDES, check=False).text:
            return value
    return _default_excludes()


def _default_excludes() -> str:
    """Where git looks for a user's rules if no setting says."""
    own = executable.own_directory(os.environ)
    return str(own / "ignore") if own else os.devnull
