"""The refs that an agent could move, and their old values kept where it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpm_tools.worktree.git import Git, decode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEADS = "refs/heads/"
BEFORE = "refs/hpm/before/"
STASH = "refs/stash"
"""Moved by every new entry; stashes.py looks at the entries themselves."""

NAME_AND_KIND = "%(refname) %(objectname) %(objecttype)"
WATCHED = (HEADS, "refs/tags/", "refs/stash", "refs/hpm/")
MANY_KEPT = 100
"""Old values of refs at which those are dropped again that a branch contains anyway."""

MOST = 3000
"""Refs that a snapshot remembers one by one; where there are more, tags are left out, then the rest is cut."""


@dataclass(frozen=True, slots=True)
class Refs:
    """All watched refs, name → id, and where HEAD stands."""

    head: str | None
    branch: str | None
    ids: Mapping[str, str]


def read(git: Git) -> Refs:
    """Read the watched refs and HEAD."""
    lines = "%(HEAD) %(objectname) %(refname)"
    branch, ids = None, {}
    for line in decode(git.run("for-each-ref", f"--format={lines}", *WATCHED).out).splitlines():
        star, oid, name = line[0], *line[2:].split(" ", 1)
        if name.startswith(BEFORE):
            continue
        ids[name] = oid
        if star == "*":
            branch = name.removeprefix(HEADS)
    if branch is not None:
        return Refs(ids[HEADS + branch], branch, ids)
    head = git.run("rev-parse", "--verify", "-q", "HEAD", check=False).text or None
    if head is None:
        branch = git.run("symbolic-ref", "-q", "--short", "HEAD", check=False).text or None
    return Refs(head, branch, ids)


def watched(found: Refs) -> dict[str, str]:
    """What a snapshot keeps of ``found``."""
    ids = dict(found.ids)
    if len(ids) > MOST:
        ids = {name: oid for name, oid in ids.items() if not name.startswith("refs/tags/")}
    return dict(list(ids.items())[:MOST])


def keep_before(
    git: Git, before: Mapping[str, str], *, own: str | None, settled: frozenset[str], run_id: str
) -> tuple[list[str], list[str]]:
    """Keep the old value of every watched ref that was moved or deleted since ``before``.

    ``settled`` refs are known to have gone on, and other tasks' branches go on while those are worked:
    both are left alone. Returns sentences about what was lost (deleted, or moved to where the old value
    cannot be reached from) and about what went on, or is the task's ``own`` branch and so its agent's to
    rewrite.
    """
    now = read(git).ids
    gone = {
        name: oid
        for name, oid in before.items()
        if now.get(name) != oid and name not in settled and name != STASH
    }
    lost: list[str] = []
    moved: list[str] = []
    values = {}
    for name, oid in gone.items():
        kept = f"{BEFORE}{run_id}/{name.removeprefix('refs/')}"
        went_on = name in now and _leads_to(git, now[name], oid)
        if went_on and _is_a_tasks(name, before):
            continue
        values[kept] = oid
        how = f"moved from {oid[:12]} to {now[name][:12]}" if name in now else f"deleted (it was {oid[:12]})"
        (moved if went_on or name == f"{HEADS}{own}" else lost).append(
            f"{name} was {how}; the old value is kept at {kept}"
        )
    if values:
        keep(git, values)
        _bound_kept(git, f"{BEFORE}{run_id}/")
    return lost, moved


def contained(git: Git) -> list[tuple[str, str]]:
    """(ref, id) of the old values that a branch contains, so that nothing hangs on them."""
    rows = [
        line.split(" ") for line in git.text("for-each-ref", f"--format={NAME_AND_KIND}", BEFORE).splitlines()
    ]
    commits = [(name, oid) for name, oid, kind in rows if kind == "commit"]
    if not commits:
        return []
    stdin = "".join(f"{oid}\n" for _, oid in commits).encode()
    loose = set(git.run("rev-list", "--stdin", "--not", "--branches", stdin=stdin).text.splitlines())
    return [(name, oid) for name, oid in commits if oid not in loose]


def delete(git: Git, refs: Sequence[tuple[str, str]]) -> list[str]:
    """Delete (ref, id) pairs in one transaction; their names."""
    if refs:
        git.run(
            "update-ref", "--stdin", stdin="".join(f"delete {name} {oid}\n" for name, oid in refs).encode()
        )
    return [name for name, _ in refs]


def keep(git: Git, values: Mapping[str, str]) -> None:
    """Make refs (name → id); an object that is gone for good does not cost the others."""
    script = "".join(f"update {name} {oid}\n" for name, oid in values.items()).encode(
        errors="surrogateescape"
    )
    args = ("update-ref", "-m", "hpm: value before the run", "--stdin")
    if git.run(*args, stdin=script, check=False).returncode == 0 or len(values) == 1:
        return
    names = list(values)
    # Halving needs few starts of git where few are gone.
    for half in (names[: len(names) // 2], names[len(names) // 2 :]):
        keep(git, {name: values[name] for name in half})


def _bound_kept(git: Git, own: str) -> None:
    if len(git.text("for-each-ref", "--format=x", BEFORE).splitlines()) > MANY_KEPT:
        delete(git, [(name, oid) for name, oid in contained(git) if not name.startswith(own)])


def _is_a_tasks(name: str, before: Mapping[str, str]) -> bool:
    """Whether the branch is another task's, which moves on as that task is worked."""
    return f"refs/hpm/owner/{name.removeprefix(HEADS)}" in before


def _leads_to(git: Git, newer: str, older: str) -> bool:
    return git.run("merge-base", "--is-ancestor", older, newer, check=False).returncode == 0
