"""What an agent made outside its place: stash entries, branches and worktrees of its own, commits on no branch.

Each is found by comparing what was there before its run with what is there after it; nothing is changed here.
Whose something is, is said by the run's mark in the reflogs (attribution.py): a hint that tells an agent's
honest detours from the operator's work, no proof against an agent that forges it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hpm_tools.errors import HpmError
from hpm_tools.text import counted, one_line
from hpm_tools.worktree import admin_files, attribution, reachability, refs, registration
from hpm_tools.worktree import dropped as dropped_stashes
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git, decode
from hpm_tools.worktree.held import MOST, ON_BRANCH, HeldCommit, find_held
from hpm_tools.worktree.reflogs import Reflogs, read_log
from hpm_tools.worktree.status import take_status
from hpm_tools.worktree.stored import differences, since, there

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from hpm_tools.worktree.evidence import Snapshot
    from hpm_tools.worktree.log_lines import LogLine
    from hpm_tools.worktree.place import Place
    from hpm_tools.worktree.registration import Registration
    from hpm_tools.worktree.salvage import Entry

OWNER = "refs/hpm/owner/"
MOST_LINES = 1000
"""Uncommitted paths of the main checkout that are compared; where there are more, none are."""
NO_BRANCH = re.compile(r"(?:WIP on|On) \(no branch\): ")


@dataclass(frozen=True, slots=True)
class Around:
    """What lay around an agent's place before its run, for the record.

    ``worktrees``: the names of the registered ones. ``checkout``: the lines of `git status` in the main checkout;
    None where the agent works there itself, or where there are too many.
    """

    worktrees: Sequence[str]
    checkout: Sequence[str] | None = None

    @classmethod
    def look(cls, place: Place, checkout: Place) -> Around:
        """Look around ``place``; ``checkout`` is the main worktree of its repository."""
        names = [found.admin.name for found in registration.all_of(place.common_dir)]
        return cls(names, status_lines(checkout) if place.linked else None)

    def to_json(self) -> dict[str, Any]:
        return {"worktrees": list(self.worktrees), "checkout": self.checkout}

    @classmethod
    def from_json(cls, data: object) -> Around | None:
        """None for what is no such thing: a record of an earlier version, or a damaged one."""
        if not isinstance(data, dict) or not isinstance(data.get("worktrees"), list):
            return None
        lines = data.get("checkout")
        return cls(
            [str(name) for name in data["worktrees"]],
            [str(line) for line in lines] if isinstance(lines, list) else None,
        )


@dataclass(frozen=True, slots=True)
class Stash:
    """An entry of the stash; ``base`` is the commit that it was made on, ``branch`` the one that it names.

    ``number`` is None for one that was dropped.

    ``sure``: it can only be the agent's. ``operators``: it holds some of what was uncommitted in the main checkout before.
    """

    number: int | None
    commit: str
    base: str
    branch: str | None
    message: str
    sure: bool
    entries: Mapping[str, Entry | None] = field(repr=False)
    operators: bool = False

    @property
    def name(self) -> str:
        return (
            f"the dropped stash entry {self.commit[:12]}"
            if self.number is None
            else f"stash@{{{self.number}}}"
        )

    def __str__(self) -> str:
        return f"{self.name} ({one_line(self.message, 80)})"


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch that the agent made, with ``commits`` that no other has; ``work`` is in none of the place's files."""

    name: str
    commit: str
    commits: int
    work: bool

    def __str__(self) -> str:
        return f"the branch {self.name} ({counted(self.commits, 'commit')}, at {self.commit[:12]})"


@dataclass(frozen=True, slots=True)
class StrayWorktree:
    """A worktree that the agent made. ``dirty``: its uncommitted files, None where git cannot tell; ``commits``:
    those that are on no branch.

    ``proved``: it has the run's mark, or lies inside the task's own worktree; another one may be a person's.
    """

    registration: Registration
    branch: str | None
    dirty: int | None
    commits: int
    proved: bool

    @property
    def name(self) -> str:
        return f"the worktree {self.registration.path} ("

    @property
    def work(self) -> bool:
        return self.dirty != 0 or self.commits > 0

    def __str__(self) -> str:
        parts = [f"on {self.branch}" if self.branch else "detached"]
        if self.commits:
            parts.append(f"{counted(self.commits, 'commit')} on no branch")
        if self.dirty is None:
            parts.append("files that git cannot list")
        elif self.dirty:
            parts.append(counted(self.dirty, "uncommitted file"))
        return f"{self.name}{', '.join(parts)})"


@dataclass(frozen=True, slots=True)
class Strays:
    """All that was found. ``commits`` are on no branch; ``files`` are lines of `git status` that the main checkout
    had not before, which may be the operator's."""

    stashes: Sequence[Stash] = ()
    branches: Sequence[Branch] = ()
    worktrees: Sequence[StrayWorktree] = ()
    commits: Sequence[str] = ()
    files: Sequence[str] = ()
    held: Sequence[HeldCommit] = ()

    @property
    def work(self) -> list[str]:
        """What holds work that the task's place has not, in words."""
        return [
            *(str(found) for found in self.stashes if found.sure and not found.operators),
            *(str(found) for found in self.branches if found.work),
            *(str(found) for found in self.worktrees if found.work and found.proved),
            *(f"the commit {commit[:12]}, which is on no branch" for commit in self.commits),
            *(str(found) for found in self.held),
        ]


def find(snapshot: Snapshot, around: Around, checkout: Place, *, dropped: bool = False) -> Strays:
    """Compare with what was there before the run. Raises GitError and its kin where git cannot tell.

    ``dropped``: also look for stash entries that it dropped, which one who goes on with what was in them does, too.
    """
    place = snapshot.place
    git = Git(place.repository)
    here = Git(place) if place.root.is_dir() and not place.root.is_symlink() else None
    logs = Reflogs(snapshot.run_id, checkout)
    worktrees = [_worktree(found, snapshot, logs) for found in _new(place, around, logs)]
    worktrees = [found for found in worktrees if found.proved or found.work]
    own = _own_commits(here, snapshot) if here else set()
    branches = list(_branches(git, here, snapshot, logs, own))
    return Strays(
        stashes=[
            found
            for found in _stashes(
                git, snapshot, around, logs, {branch.name for branch in branches}, dropped=dropped
            )
            if not there(here, found.entries)
        ],
        branches=branches,
        worktrees=worktrees,
        commits=_loose(here, own, snapshot, [branch.name for branch in branches]) if here else [],
        files=_files(around, checkout, worktrees),
        held=list(find_held(here, own, snapshot, {branch.commit for branch in branches})) if here else [],
    )


def status_lines(checkout: Place) -> list[str] | None:
    """What `git status` says of the main checkout, a directory of untracked files in one line; None for too much."""
    args = ("status", "--porcelain", "-z", "--no-renames", "-unormal", "--ignore-submodules=dirty")
    try:
        out = Git(checkout).run(*args, timeout=CHECKOUT_TIMEOUT).out
    except HpmError:
        return None
    lines = [line for line in decode(out).split("\0") if line]
    return lines if len(lines) <= MOST_LINES else None


def path_of(line: str) -> str:
    """The path in a line of `git status`."""
    return line[3:]


def _new(place: Place, around: Around, logs: Reflogs) -> Iterator[Registration]:
    """The worktrees that were not there before, but for tasks' own and those of other agents."""
    before = set(around.worktrees)
    for found in registration.all_of(place.common_dir):
        new = found.key is None and found.admin.name not in before and found.path != place.root
        if new and not logs.marked_by_another(found.admin / "logs" / "HEAD"):
            yield found


def _worktree(found: Registration, snapshot: Snapshot, logs: Reflogs) -> StrayWorktree:
    place = snapshot.place
    inside = place.linked and found.path.is_relative_to(place.root)
    dirty: int | None = 0
    commits = 0
    if not found.missing:
        try:
            git = Git(found.place)
            dirty = len(take_status(git).dirty)
            commits = len(
                _off_branches(git, reachability.remembered(found.place), [found.head()[1]], snapshot)
            )
        except HpmError:
            dirty = None
    proved = inside or logs.marked(found.admin / "logs" / "HEAD")
    return StrayWorktree(found, found.head()[1], dirty, commits, proved)


def _branches(
    git: Git, here: Git | None, snapshot: Snapshot, logs: Reflogs, own: set[str]
) -> Iterator[Branch]:
    """The new ones with commits that no ref had before, neither another task's nor made by hand."""
    before = snapshot.all_refs()
    if before is None:
        return
    listed = decode(git.run("for-each-ref", "--format=%(objectname) %(refname)", refs.HEADS, OWNER).out)
    now = {name: oid for oid, _, name in (line.partition(" ") for line in listed.splitlines())}
    owned = {name.removeprefix(OWNER) for name in now if name.startswith(OWNER)}
    new = {
        name.removeprefix(refs.HEADS): oid
        for name, oid in now.items()
        if name.startswith(refs.HEADS) and name not in before
    }
    new.pop(snapshot.branch or "", None)
    candidates = {
        name: oid
        for name, oid in new.items()
        if name not in owned and (oid in own or not logs.made_by_others(name))
    }
    old = {
        oid for name, oid in now.items() if name.startswith(refs.HEADS) and name[len(refs.HEADS) :] not in new
    }
    old |= {oid for oid in before.values() if not oid.startswith(refs.SYMBOLIC)}
    for name, oid in list(candidates.items())[:MOST]:
        stdin = "".join(f"{line}\n" for line in (oid, *(f"^{known}" for known in sorted(old)))).encode()
        args = ("rev-list", "--count", "--ignore-missing", "--stdin", "--not", "--remotes")
        count = int(git.run(*args, stdin=stdin).text or 0)
        if count:
            entries = since(git, snapshot.head, oid)
            yield Branch(name, oid, count, work=bool(entries) and not there(here, entries))


def _stashes(
    git: Git,
    snapshot: Snapshot,
    around: Around,
    logs: Reflogs,
    branches: Iterable[str],
    *,
    dropped: bool,
) -> Iterator[Stash]:
    """The entries that were not there before, unless another task's or the operator's."""
    lines = read_log(snapshot.place.common_dir / "logs" / refs.STASH)
    before = set(snapshot.stash)
    numbered = [(number, line) for number, line in enumerate(reversed(lines)) if line.new not in before]
    lost = dropped_stashes.find(git, snapshot.at, snapshot.stash) if dropped else []
    new = [*numbered[:MOST], *((None, line) for line in lost[:MOST])]
    dirty = {path_of(line) for line in around.checkout or ()}
    own: set[str | None] = {name for name in (snapshot.branch, *branches) if name}
    for number, line in new:
        parents = git.run("rev-parse", f"{line.new}^@", check=False).text.split()
        whose = _whose(git, snapshot, logs, own, line) if len(parents) in (2, 3) else None
        if whose is None:
            continue
        entries = differences(git, parents[0], line.new)
        if len(parents) == 3:
            entries |= differences(git, None, parents[2])
        named = ON_BRANCH.match(line.reason)
        branch = named[1] if named else None
        in_checkout = snapshot.place.linked and branch is not None and branch == logs.main_branch()
        operators = in_checkout and any(_below(path, dirty) for path in entries)
        yield Stash(number, line.new, parents[0], branch, line.reason, whose, entries, operators)


def _below(path: str, tops: set[str]) -> bool:
    """Whether a path, or an untracked directory around it, is one of ``tops``."""
    return path in tops or any(top.endswith("/") and path.startswith(top) for top in tops)


def _whose(git: Git, snapshot: Snapshot, logs: Reflogs, own: set[str | None], line: LogLine) -> bool | None:
    """Whose a stash entry is. True: the agent's. False: perhaps. None: somebody else's."""
    in_place = not snapshot.place.linked
    named = ON_BRANCH.match(line.reason)
    branch = named[1] if named else None
    owned = branch is not None and _exists(git, f"{OWNER}{branch}")
    if branch in own and (owned or not in_place):
        return True  # in the checkout, the branch may be everybody's
    if owned:
        return None
    base = git.run("rev-parse", f"{line.new}^1", check=False).text
    if branch is None and NO_BRANCH.match(line.reason) is None:
        # `git stash store`, with a message of its own: known by the commit that it was made on.
        return base == snapshot.head
    by_run = logs.stashed_by_run(base, branch, line.time)
    if by_run is None:
        gone = branch is not None and not _exists(git, f"{refs.HEADS}{branch}")
        return in_place or (gone and base in reachability.remembered(snapshot.place))
    return True if by_run else None


def _exists(git: Git, ref: str) -> bool:
    return git.run("rev-parse", "-q", "--verify", ref, check=False).returncode == 0


def _own_commits(here: Git, snapshot: Snapshot) -> set[str]:
    """What the agent's place itself remembers of it, commits that were undone included."""
    place = here.place
    if place.linked:
        return reachability.remembered(place)
    mark = attribution.environment(snapshot.run_id)[attribution.VARIABLE]
    lines = read_log(place.git_dir / "logs" / "HEAD")
    return {line.new for line in lines if line.reason.startswith(mark)}


def _loose(here: Git, own: set[str], snapshot: Snapshot, branches: Sequence[str]) -> list[str]:
    """Commits of the agent's that only its place's own reflog still leads to, and whose content is not there."""
    if here.place.linked and snapshot.branch is None:
        return []  # qa's: kept as the worktree is removed
    tips = _off_branches(here, own, [snapshot.branch, *branches], snapshot)
    return [tip for tip in tips[:MOST] if not there(here, since(here, snapshot.head, tip))]


def _off_branches(
    git: Git, candidates: set[str], branches: Iterable[str | None], snapshot: Snapshot
) -> list[str]:
    """The newest of those commits that no ref reaches, and that no reflog of ``branches`` remembers."""
    logs = git.place.common_dir / "logs" / refs.HEADS
    known = {snapshot.head or ""}
    for name in branches:
        if name is not None:
            known |= admin_files.reflog_ids(logs / name)
    return reachability.without_ref(git, candidates - known)


def _files(around: Around, checkout: Place, worktrees: Sequence[StrayWorktree]) -> list[str]:
    if around.checkout is None:
        return []
    now = status_lines(checkout)
    before = {path_of(line) for line in around.checkout}
    new = [line for line in now or () if path_of(line) not in before]
    tops = [found.registration.path for found in worktrees if found.proved]
    return [line for line in new if not _holds_one(checkout.root / path_of(line).rstrip("/"), tops)]


def _holds_one(path: Path, tops: Sequence[Path]) -> bool:
    return any(top.is_relative_to(path) or path.is_relative_to(top) for top in tops)
