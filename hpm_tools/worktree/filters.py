"""Content filters of the repository's own configuration: none runs, and nothing is stored past one, unapproved.

A filter may encrypt (git-crypt) or strip secrets (nbstripout). Switched off, `git add` would store the plain
text. So a file whose filter does not run in the runner's git enters no object store: it stays where it is.
"""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING

from hpm_tools.worktree import executable
from hpm_tools.worktree import git as safe_git
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, GitError, decode
from hpm_tools.worktree.specials import Unsound, refuse_misplaced

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpm_tools.worktree.executable import Setting
    from hpm_tools.worktree.git import Git

NAME = re.compile(r"filter\.(.*)\.(clean|smudge|process|required)", re.DOTALL)
NO_FILTER = frozenset({"unspecified", "unset", "set"})
"""What check-attr says where no filter is named (git-check-attr(1), OUTPUT)."""

LFS = "lfs"
UNSET = "no git configuration sets that filter"


class Unapproved(Unsound):
    """A filter of the repository's own configuration is needed that the operator has not approved."""

    kind = "filter_unapproved"


def of_repository(git: Git) -> list[Setting]:
    """The filter settings of the repository's own files, which count only once the operator approved them."""
    return [
        setting
        for setting in git.settings()
        if setting.scope in executable.SHARED_SCOPES
        and NAME.fullmatch(setting.name)
        and setting.value != executable.LFS_FILTER.get(setting.name)
    ]


def applied(git: Git, paths: Iterable[str]) -> dict[str, str]:
    """The name of the filter that git's attributes give to each of ``paths``, where they give one."""
    names = b"".join(os.fsencode(path) + b"\0" for path in paths)
    if not names:
        return {}
    out = git.run("check-attr", "-z", "--stdin", "filter", stdin=names, timeout=CHECKOUT_TIMEOUT).out
    fields = decode(out).split("\0")
    found = zip(fields[0::3], fields[2::3], strict=False)
    return {path: name for path, name in found if name not in NO_FILTER}


def refuse_unsound(git: Git) -> None:
    """Raise Unsound where the runner's git must not make worktrees, look at files or store any."""
    refuse_misplaced(git.place)
    refuse_unapproved(git)


def refuse_unapproved(git: Git) -> None:
    """Raise Unapproved if attributes give a tracked file a filter of the repository's that nobody approved.

    A filter that is set but given to no file is harmless.
    """
    named = {_named(one) for one in of_repository(git)}
    unapproved = named - _running(git)
    if not unapproved:
        return
    tracked = decode(git.run("ls-files", "-z", timeout=CHECKOUT_TIMEOUT).out).split("\0")
    for path, name in applied(git, filter(None, tracked)).items():
        if name in unapproved:
            raise Unapproved(
                f"{git.place.root} sets the filter {name}, which {path} goes through, and nobody approved it",
                f"hpm trust --repo {git.place.root} shows and approves what it runs",
            )


def refuse_unapplied(git: Git, paths: Iterable[str]) -> None:
    """Raise GitError if the filter of one of ``paths`` would not run: its content must be stored nowhere."""
    by_path = applied(git, paths)
    running = _running(git) if by_path else set()
    for path, name in by_path.items():
        if name not in running:
            raise GitError(
                f"{path} goes through the filter {name}, which does not run here, so it is stored nowhere",
                _way_out(git, name),
            )


def refuse_raw(git: Git, paths: Iterable[str]) -> None:
    """Raise GitError if one of ``paths`` has a filter: as it is on disk, its content must not be stored.

    Large files are no secret: what git-lfs would store apart may be stored.
    """
    for path, name in applied(git, paths).items():
        if name != LFS:
            raise GitError(
                f"{path} goes through the filter {name}, so it is not stored as it is on disk",
                "commit it by hand, or copy it away"
                + ("" if _is_set(git, name) else f"; {UNSET}: take filter={name} out of .gitattributes"),
            )


def _way_out(git: Git, name: str) -> str:
    """What makes the filter ``name`` run, or takes it away: that depends on who sets it, if anybody does."""
    if any(_named(setting) == name for setting in of_repository(git)):
        return f"hpm trust --repo {shlex.quote(str(git.place.root))} shows and approves what it runs"
    own = f"set filter.{name}.clean and .smudge in your own git configuration (git config --global)"
    if _is_set(git, name):
        return own
    return f"{UNSET}: {own}, or take filter={name} out of .gitattributes"


def _is_set(git: Git, name: str) -> bool:
    return any(_named(setting) == name for setting in git.settings())


def _named(setting: Setting) -> str:
    found = NAME.fullmatch(setting.name)
    return found[1] if found else ""


def _running(git: Git) -> set[str]:
    """The names of the filters that run whole: the operator's, and those of the repository that he approved."""
    found: set[str] = set()
    off: set[str] = set()
    for setting in git.settings():
        name = NAME.fullmatch(setting.name)
        if name is not None and name[2] != "required":
            (found if setting.value and _runs(setting) else off).add(name[1])
    return found - off


def _runs(setting: Setting) -> bool:
    if setting.scope not in executable.SHARED_SCOPES:
        return setting.digest not in safe_git.distrusted
    return setting.digest in safe_git.approved or setting.value == executable.LFS_FILTER.get(setting.name)
