"""Where the repository's branches can be looked at in a browser, judged by the URL of its origin."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from hpm_tools.worktree.git import Git

REMOTE = re.compile(
    r"(?:https://(?:[^/@]*@)?|ssh://(?:[^/@]*@)?|[A-Za-z0-9._-]+@)"
    r"(?P<host>[A-Za-z0-9.-]+)(?::[0-9]+(?=/))?[:/](?P<path>[A-Za-z0-9._/-]+?)(?:\.git)?/?"
)
BRANCH_PATHS = {
    "github.com": "tree",
    "gitlab.com": "-/tree",
    "codeberg.org": "src/branch",
    "bitbucket.org": "src",
}


@dataclass(frozen=True, slots=True)
class Forge:
    """``base`` is a branch's URL without its name; "" where the origin is no forge that is known."""

    base: str

    def url(self, branch: str) -> str:
        return f"{self.base}/{quote(branch)}" if self.base else ""


def look(git: Git) -> Forge:
    return of_remote(git.run("config", "--get", "remote.origin.url", check=False).text)


def of_remote(remote: str) -> Forge:
    """The forge that ``remote`` is cloned from."""
    found = REMOTE.fullmatch(remote)
    if found is None or found["host"] not in BRANCH_PATHS:
        return Forge("")
    return Forge(f"https://{found['host']}/{found['path'].strip('/')}/{BRANCH_PATHS[found['host']]}")
