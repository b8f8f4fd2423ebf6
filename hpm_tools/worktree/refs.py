"""The refs that an agent could move, and their old values kept where it did."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hpm_tools.worktree import attribution
from hpm_tools.worktree.git import Git, decode
from hpm_tools.worktree.place import read_small

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

HEADS = "refs/heads/"
DEFAULT_NAMES = ("main", "master", "trunk")
"""What a default branch is called where no remote says which it is: the first of them that there is."""

BEFORE = "refs/hpm/before/"
STASH = "refs/stash"
"""Moved by every new entry; stashes.py looks at the entries themselves."""

NAME_AND_KIND = "%(refname) %(objectname) %(objecttype)"
REMOTES = "refs/remotes/"
OURS = "refs/hpm/"
UNWATCHED = (BEFORE, "refs/bisect/", "refs/worktree/", "refs/rewritten/", "refs/prefetch/")
"""Our own copies, what belongs to a single worktree, and what git's background maintenance writes."""

MAIN_HEAD = "HEAD"
"""Where the main checkout stands."""

Known = Callable[[str, str, "str | None"], bool]
"""Whether it is known who moved a ref, by its name, its value before and its value now."""

SYMBOLIC = "ref: "
MANY_KEPT = 100
"""Old values of refs at which those are dropped again that a branch contains anyway."""

BY_HAND = " (by a person's command or a fetch, as git's reflog has it)"
"""Told, for an agent that is not sandboxed can write to a reflog; and said so, for people commit and fetch all day."""

MOST_TOLD = 100
"""Moved or new refs of a run that get a sentence each."""


@dataclass(frozen=True, slots=True)
class Refs:
    """All watched refs and MAIN_HEAD, name → id (or ``ref: target``), and where the checkout's own HEAD stands."""

    head: str | None
    branch: str | None
    ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Moves:
    """What was moved since a snapshot, in sentences that end with the command that undoes it.

    ``lost``: deleted, made, or moved to where the old value cannot be reached from. ``went_on``: the old value
    is contained, or it is the task's own branch. ``doubtful``: name → (old, new), where nothing says that a
    person or a runner moved it.
    """

    lost: list[str] = field(default_factory=list)
    went_on: list[str] = field(default_factory=list)
    doubtful: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)


def nothing_known(_name: str, _old: str, _new: str | None) -> bool:
    return False


def would_be_default(name: str, before: Collection[str]) -> bool:
    """Whether the ref ``name`` is a branch that became the default one by being made beside the refs ``before``."""
    if f"{REMOTES}origin/HEAD" in before:
        return False
    for branch in (f"{HEADS}{default}" for default in DEFAULT_NAMES):
        if branch in before or branch == name:
            return branch not in before
    return False


def read(git: Git) -> Refs:
    """Read all refs and HEAD."""
    # Each field ends in NUL: one of them may be empty.
    fields = "%(HEAD)%00%(objectname)%00%(refname)%00%(symref)%00"
    listed = decode(git.run("for-each-ref", f"--format={fields}").out).replace("\0\n", "\0").split("\0")
    found = iter(listed)
    branch, ids = None, main_head(git)
    for star, oid, name, target in zip(found, found, found, found, strict=False):
        if name.startswith(UNWATCHED):
            continue
        ids[name] = f"{SYMBOLIC}{target}" if target and star != "*" else oid
        if star == "*":
            branch = name.removeprefix(HEADS)
    if branch is not None:
        return Refs(ids[HEADS + branch], branch, ids)
    head = git.run("rev-parse", "--verify", "-q", "HEAD", check=False).text or None
    if head is None:
        branch = git.run("symbolic-ref", "-q", "--short", "HEAD", check=False).text or None
    return Refs(head, branch, ids)


def main_head(git: Git) -> dict[str, str]:
    """MAIN_HEAD and what it says, an id or ``ref: branch``; empty where it cannot be read."""
    said = (read_small(git.place.common_dir / MAIN_HEAD) or "").strip()
    return {MAIN_HEAD: said} if said else {}


def keep_before(
    git: Git,
    before: Mapping[str, str],
    *,
    own: str | None,
    settled: frozenset[str],
    run_id: str,
    known: Known = nothing_known,
) -> Moves:
    """Keep the old value of every watched ref that was moved or deleted since ``before``, and see the new ones.

    ``settled`` refs are known to have gone on, and other tasks' branches go on while those are worked:
    both are left alone, and so is what is ``known``. The task's ``own`` branch is its agent's to rewrite.
    """
    now = read(git).ids
    gone = {
        name: oid
        for name, oid in before.items()
        if now.get(name) != oid
        and name not in settled
        and name != STASH
        and not known(name, oid, now.get(name))
    }
    found = Moves()
    values = {}
    for number, (name, oid) in enumerate(gone.items()):
        kept = f"{BEFORE}{run_id}/{name.removeprefix('refs/')}"
        judged = number < MOST_TOLD and name in now and not oid.startswith(SYMBOLIC)
        went_on = judged and _leads_to(git, now[name], oid)
        move = (git.place.common_dir, name, oid, now.get(name))
        if went_on and _is_a_tasks(name, before) and attribution.explained(*move, by_agents=True):
            continue
        if not oid.startswith(SYMBOLIC):
            values[kept] = oid
        ours = name == f"{HEADS}{own}" or name.startswith(OURS)
        by_hand = not ours and attribution.explained(*move)
        if not ours and not by_hand:
            found.doubtful[name] = (oid, now.get(name))
        if number < MOST_TOLD:
            sentence = _moved(git, name, oid, now.get(name), kept if kept in values else "", by_hand=by_hand)
            (found.went_on if went_on or name == f"{HEADS}{own}" else found.lost).append(sentence)
    if len(gone) > MOST_TOLD:
        found.lost.append(
            f"{len(gone) - MOST_TOLD} more refs were moved or deleted; the old values are kept below "
            f"{BEFORE}{run_id}/; to put them all back: {_put_all_back(run_id)}"
        )
    if values:
        keep(git, values)
        _bound_kept(git, f"{BEFORE}{run_id}/")
    _new(git, before, {name: oid for name, oid in now.items() if name not in before}, found)
    return found


def _moved(git: Git, name: str, old: str, new: str | None, kept: str, *, by_hand: bool) -> str:
    how = f"deleted (it was {_short(old)})" if new is None else f"moved from {_short(old)} to {_short(new)}"
    how += BY_HAND if by_hand else ""
    where = f"; the old value is kept at {kept}" if kept else ""
    if name == MAIN_HEAD:
        how = how.replace(HEADS, "")
        return (
            f"HEAD of the main checkout was {how}{where}; to undo it: {shlex.join(_head_back(git, old, new))}"
        )
    undo = ["symbolic-ref", name, old.removeprefix(SYMBOLIC)]
    if not old.startswith(SYMBOLIC):
        # Without --no-deref a ref that an agent made symbolic would move what it points to.
        undo = ["update-ref", "--no-deref", name, old]
    return f"{name} was {how}{where}; to undo it: {shlex.join(['git', *undo])}"


def _head_back(git: Git, old: str, new: str | None) -> list[str]:
    """The command that puts the main checkout on ``old`` again, with its files where `git checkout` took it elsewhere."""
    common_dir, target = git.place.common_dir, old.removeprefix(SYMBOLIC)
    if common_dir.name == ".git" and attribution.checked_out(common_dir, (new or "").removeprefix(SYMBOLIC)):
        how = [target.removeprefix(HEADS)] if old.startswith(SYMBOLIC) else ["--detach", target]
        return ["git", "-C", str(common_dir.parent), "checkout", *how]
    # HEAD is each worktree's own: the command must not depend on where it is run.
    of = ["git", f"--git-dir={common_dir}"]
    if old.startswith(SYMBOLIC):
        return [*of, "symbolic-ref", MAIN_HEAD, target]
    return [*of, "update-ref", "--no-deref", MAIN_HEAD, target]


def _put_all_back(run_id: str) -> str:
    form = "--format='update refs/%(refname:lstrip=4) %(objectname)'"
    return f"git for-each-ref {form} {BEFORE}{run_id}/ | grep -v -e '^update refs/stash/' -e '^update refs/HEAD ' | git update-ref --no-deref --stdin"


def _new(git: Git, before: Mapping[str, str], made: Mapping[str, str], found: Moves) -> None:
    """Tell refs that were made. Branches are not among them, for people and tasks make those all day, but for one that
    every task would start from."""
    told = []
    for name, oid in made.items():
        if name.startswith(OURS) or name in (STASH, MAIN_HEAD):
            continue
        if name.startswith(HEADS) and not would_be_default(name, before):
            continue
        if name.startswith(HEADS) and attribution.explained(git.place.common_dir, name, "0" * len(oid), oid):
            continue
        if name.startswith(REMOTES) and attribution.explained(git.place.common_dir, name, None, oid):
            continue
        undo = (
            ["symbolic-ref", "-d", name]
            if oid.startswith(SYMBOLIC)
            else ["update-ref", "--no-deref", "-d", name]
        )
        found.doubtful[name] = (None, oid)
        told.append(f"{name} was made at {_short(oid)}; to undo it: {shlex.join(['git', *undo])}")
    found.lost.extend(told[:MOST_TOLD])
    if len(told) > MOST_TOLD:
        found.lost.append(f"{len(told) - MOST_TOLD} more refs were made; git for-each-ref lists them")


def _short(value: str) -> str:
    return value.removeprefix(SYMBOLIC) if value.startswith(SYMBOLIC) else value[:12]


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
