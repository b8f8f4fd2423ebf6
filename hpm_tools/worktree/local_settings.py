"""Which settings of a repository's configuration were set, changed or removed, told with the command that undoes each.

No value is told: a remote's URL, or an extra header, may hold a secret.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from hpm_tools.worktree import executable
from hpm_tools.worktree.git import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hpm_tools.worktree.copies import Copies
    from hpm_tools.worktree.git import Git

MOST_TOLD = 30
LONGEST = 900
"""Characters of a command; a longer one gives way to the one that puts the whole file back."""

USERINFO = re.compile(r"://[^/@]*@")
BY_GIT_ITSELF = re.compile(r"lfs\.(.+\.(access|locksverify)|repositoryformatversion)", re.DOTALL)
"""Written by git-lfs as it works."""

Values = tuple["str | None", ...]
"""All values of one setting in their order; None where only its name stands there."""


def changes(git: Git, file: Path, digest: str, copies: Copies) -> Iterator[tuple[str, str]]:
    """(name, sentence) of each difference between ``file`` and its copy with ``digest``; "": there was no file."""
    copy = copies.of(digest) if digest else None
    if digest and copy is None:
        return
    before = read(git, copy) if copy is not None else {}
    now = read(git, file)
    if before is None or now is None:
        return  # git complains of such a file itself
    changed = [name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)]
    told = [name for name in changed if not _left_alone(name, before, now)]
    put_back = copies.put_back(digest, file) if digest else f"rm -f {shlex.quote(str(file))}"
    undos = {name: _undo(name, file, copy, before, now) for name in told[:MOST_TOLD]}
    # Where one needs the whole file put back, so do all: each command must still work after the others.
    alone = all(undos.values()) and len(told) <= MOST_TOLD
    for name, undo in undos.items():
        how = _how(name, before, now)
        way_back = undo if alone else put_back
        yield name, f"{shown(name)} was {how} the local configuration{_not_run(name)}; to undo it: {way_back}"
    if len(told) > MOST_TOLD:
        rest = len(told) - MOST_TOLD
        yield "", f"{rest} more settings of {file} were changed; to put them all back: {put_back}"


def shown(name: str) -> str:
    """A setting's name without what may be a password in it: `http.<url>.extraHeader` names a URL."""
    return USERINFO.sub("://...@", name)


def read(git: Git, file: Path) -> Mapping[str, Values] | None:
    """The settings of one file, without those of files that it includes; None if git cannot read it."""
    if not file.exists():
        return {}
    listed = git.run("config", "--file", str(file), "-z", "--list", check=False)
    if listed.returncode != 0:
        return None
    found: dict[str, Values] = {}
    for entry in decode(listed.out).split("\0")[:-1]:
        name, newline, value = entry.partition("\n")
        found[name] = (*found.get(name, ()), value if newline else None)
    return found


def _left_alone(name: str, before: Mapping[str, Values], now: Mapping[str, Values]) -> bool:
    """Whether ordinary commands write such settings all day: a branch's, as it is made, pushed or deleted."""
    if BY_GIT_ITSELF.fullmatch(name):
        return True
    if not name.startswith("branch."):
        return False
    of_branch = name.rpartition(".")[0] + "."
    return name not in before or not any(other.startswith(of_branch) for other in now)


def _how(name: str, before: Mapping[str, Values], now: Mapping[str, Values]) -> str:
    if name not in before:
        return "set in"
    return "changed in" if name in now else "removed from"


def _not_run(name: str) -> str:
    return "; it was not run" if executable.is_executable(name) else ""


def _undo(
    name: str, file: Path, copy: Path | None, before: Mapping[str, Values], now: Mapping[str, Values]
) -> str | None:
    """The command for one setting alone, its old values read from the copy; None if it cannot be put so."""
    values = before.get(name, ())
    if shown(name) != name or not name.isprintable() or "  " in name or None in values:
        return None
    config = f"git config --file {shlex.quote(str(file))}"
    key = shlex.quote(name)
    steps = [f"{config} --unset-all {key}"] if name in now else []
    if values:
        old = f"git config --file {shlex.quote(str(copy))} -z --get-all {key}"
        steps.append(f"{old} | xargs -0 -n 1 {config} --add {key}")
    command = "; ".join(steps)
    return command if len(command) <= LONGEST else None
