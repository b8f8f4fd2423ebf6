"""Repositories that keep their references elsewhere than in files (`extensions.refStorage`, git 2.45 and later).

What a worktree's own reflogs and pseudo-refs name is found by reading files: of a reftable nothing would be found, and
commits of a detached HEAD would go with their worktree. So such a repository is refused before anything is done there.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from hpm_tools.errors import Misconfigured
from hpm_tools.worktree.place import read_part, read_pointer, read_small

if TYPE_CHECKING:
    from pathlib import Path

CONFIG_LIMIT = 8 << 20
SECTION = re.compile(rb"^[ \t]*\[[ \t]*(?P<name>[a-z0-9.-]+)[ \t]*\](?P<rest>.*)$", re.IGNORECASE)
OTHER_SECTION = re.compile(rb"^[ \t]*\[")
SETTING = re.compile(rb"^[ \t]*refstorage[ \t]*=[ \t]*\"?(?P<value>[^\"#;\r\n]*)", re.IGNORECASE)
FILES = "files"


def refuse(common_dir: Path) -> None:
    """Raise Misconfigured if the repository's references are not kept in files."""
    found = _storage(common_dir)
    if found != FILES:
        raise Misconfigured(
            f"the repository {common_dir} keeps its references as {found}, which is not supported yet",
            f"git -C {common_dir} refs migrate --ref-format=files (git 2.48 or newer) makes files of them",
        )


def refuse_around(path: Path) -> None:
    """The same for the repository around ``path``, as far as it is found without git: an older git cannot read it."""
    for directory in (path, *path.parents):
        dot_git = directory / ".git"
        git_dir = dot_git if dot_git.is_dir() else read_pointer(dot_git)
        if git_dir is None and (directory / "objects").is_dir() and (directory / "refs").is_dir():
            git_dir = directory
        if git_dir is not None:
            common = read_small(git_dir / "commondir")
            refuse(git_dir / common.strip() if common else git_dir)
            return


def _storage(common_dir: Path) -> str:
    """How references are kept; an extension counts with any repositoryformatversion, lest one be overlooked."""
    value = FILES
    inside = False
    # git skips a byte order mark, which some editors write (config.c, git_parse_source).
    text = (read_part(common_dir / "config", 0, CONFIG_LIMIT) or b"").removeprefix(codecs.BOM_UTF8)
    for line in text.splitlines():
        section, rest = SECTION.match(line), line
        if section or OTHER_SECTION.match(line):
            inside = section is not None and section["name"].lower() == b"extensions"
            rest = section["rest"] if section else b""
        if inside and (setting := SETTING.match(rest)):
            value = setting["value"].decode(errors="replace").strip().lower()
    return value
