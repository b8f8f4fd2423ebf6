"""Large files of which a checkout has only the pointer, because this host does not have their content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, decode
from hpm_tools.worktree.place import read_part

if TYPE_CHECKING:
    from hpm_tools.worktree.git import Git

POINTER = b"version https://git-lfs.github.com/spec/v1\n"


def pointers(git: Git) -> list[str]:
    """The tracked files of ``git``'s checkout that stayed pointers; none where no filter of git-lfs is set.

    The runner's git asks no server for them: the address would come from the repository (`.lfsconfig`).
    """
    if not any(setting.name.startswith("filter.lfs.") for setting in git.settings()):
        return []
    tracked = git.run("ls-files", "-z", timeout=CHECKOUT_TIMEOUT).out
    asked = ("check-attr", "-z", "--stdin", "filter")
    fields = decode(git.run(*asked, stdin=tracked, timeout=CHECKOUT_TIMEOUT).out).split("\0")
    large = [path for path, name in zip(fields[0::3], fields[2::3], strict=False) if name == "lfs"]
    return [path for path in large if read_part(git.place.root / path, 0, len(POINTER)) == POINTER]
