"""What trees hold, compared with the files of a checkout: whether work is there, however it came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git, decode
from hpm_tools.worktree.salvage import Entry, hash_paths

if TYPE_CHECKING:
    from collections.abc import Mapping


def since(git: Git, base: str | None, tip: str) -> dict[str, Entry | None]:
    """What ``tip`` holds otherwise than where it branched off ``base``."""
    start = git.run("merge-base", base, tip, check=False).text if base else ""
    return differences(git, start or None, tip)


def differences(git: Git, old: str | None, new: str) -> dict[str, Entry | None]:
    if old is None:
        listed = decode(git.run("ls-tree", "-r", "-z", new).out).split("\0")
        rows = [line.partition("\t") for line in listed if line]
        return {path: Entry(facts.split(" ")[0], facts.split(" ")[2]) for facts, _, path in rows}
    args = ("diff-tree", "-r", "-z", "--no-renames", old, new)
    fields = decode(git.run(*args, timeout=CHECKOUT_TIMEOUT).out).split("\0")
    found: dict[str, Entry | None] = {}
    for facts, path in zip(fields[::2], fields[1::2], strict=False):
        _, mode, _, oid, letter = facts.split(" ")
        found[path] = None if letter == "D" else Entry(mode, oid)
    return found


def there(here: Git | None, entries: Mapping[str, Entry | None]) -> bool:
    """Whether the files of the checkout hold all of ``entries``: squashed, copied or applied again, say."""
    if here is None:
        return not entries
    return holds(here, entries)


def holds(git: Git, entries: Mapping[str, Entry | None]) -> bool:
    """Whether the files of the checkout are what git stored as ``entries``."""
    return hash_paths(git, list(entries), write=False, filtered=True) == dict(entries)
