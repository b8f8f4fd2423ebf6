"""A repository's configuration that git refuses as a whole: the file, the line, and what git says of it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from hpm_tools.text import one_line
from hpm_tools.worktree.executable import LARGEST_FILE
from hpm_tools.worktree.git import GitError
from hpm_tools.worktree.place import read_part
from hpm_tools.worktree.specials import Unsound

if TYPE_CHECKING:
    from pathlib import Path

    from hpm_tools.worktree.git import Git

ASKED = ("for-each-ref", "--count=1", "refs/hpm/none/")
"""A command that needs nothing but a repository that git understands."""

CULPRITS = (
    (re.compile("repo version"), rb"(?i:repositoryformatversion)\s*="),
    (re.compile("more than can be switched off"), rb"\[filter\b"),
)
"""What is said of a configuration, and what the line to blame holds. Git names the line of syntax errors only."""
EXTENSION = re.compile(r"extensions? found:\s+(\S+)")


def refuse_refused(git: Git) -> None:
    """Raise Unsound, with the line where it can be told, if git does not work with the repository's configuration."""
    try:
        git.run(*ASKED)
    except GitError as error:
        complaint = error.stderr or error.message
        refused = refusal(git.place.common_dir, complaint)
        if refused is None:
            raise
        raise refused from error


def refusal(common_dir: Path, complaint: str) -> Unsound | None:
    """What git's ``complaint`` means, where it is about a line of the configuration of ``common_dir``."""
    path = common_dir / "config"
    patterns = [sought for said, sought in CULPRITS if said.search(complaint)]
    if named := EXTENSION.search(complaint):
        patterns.append(rb"(?i:\b" + re.escape(os.fsencode(named[1])) + rb")\s*(=|$)")
    lines = (read_part(path, 0, LARGEST_FILE) or b"").splitlines() if patterns else []
    found = [
        number for number, line in enumerate(lines) if any(re.search(sought, line) for sought in patterns)
    ]
    if not found:
        return None
    # The last value counts (git-config(1)).
    line = one_line(lines[found[-1]].decode("utf-8", "replace").strip(), 80)
    said = one_line(complaint.removeprefix("fatal: "), 200)
    return Unsound(
        f"git refuses {path}, line {found[-1] + 1} ({line}): {said}",
        "mend that line: hpm never rewrites a configuration",
    )
