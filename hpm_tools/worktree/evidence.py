"""What an agent did to its checkout, judged by git alone: the evidence behind every verdict."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpm_tools.errors import Misconfigured
from hpm_tools.worktree import (
    attribution,
    hidden,
    moved,
    nearby,
    overlooked,
    own_work,
    prepared,
    reachability,
    refs,
    registration,
    stashes,
    submodule_work,
    tampering,
)
from hpm_tools.worktree.bounds import ALLOWED, Bounds
from hpm_tools.worktree.copies import Copies, write
from hpm_tools.worktree.displaced import git_replaced, put_back, replaced_by_link
from hpm_tools.worktree.git import Git
from hpm_tools.worktree.layout import kept_directories
from hpm_tools.worktree.leftovers import commit_leftovers, unresolved
from hpm_tools.worktree.mending import (
    registration_files,
    restore_branch,
    restore_misplaced,
    restore_pointer,
    restore_registration,
)
from hpm_tools.worktree.own_work import ALONE, Together
from hpm_tools.worktree.place import Place
from hpm_tools.worktree.specials import refuse_misplaced, remove_specials
from hpm_tools.worktree.standing import commits_between, judge
from hpm_tools.worktree.status import take_status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Evidence", "Snapshot", "commit_leftovers", "delta", "differs", "unresolved"]


MOST_IN_RECORD = 2000
"""Refs that a snapshot, and so a task's record, holds itself; more of them are kept in a file."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A checkout as it was before its agent started; kept in the record, outside the agent's reach.

    ``refs`` maps the names of all refs to their ids, unless they are in ``refs_file`` (all_refs), ``marks`` is what
    tampering.fingerprint says, ``copies`` the directory where the files are that it is of, ``registration`` what
    makes git know a linked worktree. ``head`` is None before the first commit, ``branch`` when detached. ``prepared``
    is what differed from the commit once the worktree's set-up was done, before its first agent (prepared.py).
    ``stash`` has the ids of the stash's entries, ``overlooked`` the files that git was told to overlook,
    ``identity`` tells a worktree's directory from others. ``at`` is when it was begun, in seconds since the epoch.
    """

    run_id: str
    directory: str
    git_dir: str
    common_dir: str
    head: str | None
    branch: str | None
    refs: Mapping[str, str]
    marks: Mapping[str, Any]
    registration: Mapping[str, str] = field(default_factory=dict)
    reflog: int = 0
    attributed: bool = False
    prepared: Mapping[str, str] = field(default_factory=dict)
    stash: Sequence[str] = ()
    submodules: Mapping[str, str] | None = None
    at: float = 0.0
    copies: str = ""
    refs_file: str = ""
    overlooked: Mapping[str, Any] | None = None
    identity: str = ""

    @classmethod
    def take(
        cls,
        directory: Path,
        run_id: str,
        *,
        attributed: bool = False,
        copies: Path | None = None,
        refs_file: str = "",
    ) -> Snapshot:
        """Look at the checkout whose top is ``directory``, and keep the stash's entries until ``release``.

        Raises Misconfigured, GitError.

        ``attributed``: the agent is started with attribution.environment(run_id), so that a commit or
        checkout by anybody else can be told from its own. ``copies`` is a directory where no agent writes, for the
        files that an agent could change; ``refs_file`` a path there, for the refs where they are many.
        """
        at = time.time()
        git = Git(directory)
        place = git.place
        hidden.unpin(git)
        remove_specials(place)
        found = refs.read(git)
        ids = {name: oid for name, oid in found.ids.items() if place.linked or name != refs.MAIN_HEAD}
        many = bool(refs_file) and len(ids) > MOST_IN_RECORD
        if many:
            write(Path(refs_file), json.dumps(ids).encode("ascii"))
        stash = stashes.entries(git)
        stashes.pin(git, stash, run_id)
        return cls(
            run_id=run_id,
            directory=str(place.root),
            git_dir=str(place.git_dir),
            common_dir=str(place.common_dir),
            head=found.head,
            branch=found.branch,
            refs={} if many else ids,
            marks=tampering.fingerprint(git, Copies(copies)),
            registration=registration_files(place),
            reflog=attribution.position(place.git_dir),
            attributed=attributed,
            prepared=_prepared(place),
            stash=stash,
            submodules=submodule_work.states(git),
            at=at,
            copies=str(copies or ""),
            refs_file=refs_file if many else "",
            overlooked=overlooked.take(git).to_json(),
            identity=nearby.directory_identity(place.root) if place.linked else "",
        )

    def all_refs(self) -> Mapping[str, str] | None:
        """The refs as they were, name → id; None if the file that they were kept in is gone or damaged."""
        if not self.refs_file:
            return self.refs
        try:
            found = json.loads(Path(self.refs_file).read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    @property
    def own_ref(self) -> str | None:
        """The ref that this task's commits move: its branch's, or the main checkout's HEAD if there is none."""
        if self.branch is not None:
            return f"{refs.HEADS}{self.branch}"
        return None if self.place.linked else refs.MAIN_HEAD

    @property
    def place(self) -> Place:
        return Place(Path(self.directory), Path(self.git_dir), Path(self.common_dir))

    def release(self) -> None:
        """Drop what was kept in case the agent prunes it, once no agent works any more. Raises GitError."""
        moved.let_go(self.run_id)
        if self.stash:
            stashes.unpin(Git(self.place.repository), self.run_id)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Snapshot:
        """Raises Misconfigured if ``data`` is no snapshot."""
        try:
            return cls(**{item.name: data[item.name] for item in fields(cls) if item.name in data})
        except TypeError as error:
            raise Misconfigured(
                f"the record's snapshot is incomplete: {error}", "hpm unlock --agent-id A gives the task back"
            ) from error


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is different from the snapshot.

    ``commits``: the task's own ids on top of ``base``, oldest first, at most 1000. ``changed``: the paths that they change,
    taken together, otherwise than the set-up had. ``dirty``: paths with uncommitted content that is not the
    set-up's. ``moved_by_someone``: why HEAD is not where this task's work may be committed, or None.
    ``unfinished``: an operation such as ``rebase`` that was left half done. ``tampering``: sentences about
    git's own files and lost refs. ``moved_refs``: sentences about branches that went elsewhere.
    ``as_committed``: the dirty paths whose file is as HEAD has it, for only the index differs.
    ``submodules``: paths of those in which something changed; ``dirty`` names them, too. ``doubtful``: as refs.Moves
    has it; no task starts from those. ``own_moves``: the commits that the task's own ref named one after the other,
    the snapshot's first, where the checkout's reflog says that nobody but its agent moved it.
    """

    base: str | None
    head: str | None
    branch: str | None
    commits: Sequence[str] = ()
    changed: Sequence[str] = ()
    dirty: Sequence[str] = ()
    moved_by_someone: str | None = None
    unfinished: str | None = None
    tampering: Sequence[str] = ()
    moved_refs: Sequence[str] = field(default_factory=tuple)
    submodules: Sequence[str] = ()
    doubtful: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    own_moves: Sequence[str] = ()
    as_committed: Sequence[str] = ()

    @property
    def worked(self) -> bool:
        """Whether there is any work: files that differ, never commits alone, which may be empty or undone."""
        # A repository made inside the checkout is no change to it: what is in it would never be committed.
        files = [path for path in self.dirty if not path.endswith("/")]
        return bool(self.changed) or not set(files) <= set(self.as_committed)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def _prepared(place: Place) -> Mapping[str, str]:
    mark = registration.read(place.git_dir, place.root / ".git").mark if place.linked else None
    return mark.prepared if mark is not None else {}


def delta(
    directory: Path,
    snapshot: Snapshot,
    bounds: Bounds = ALLOWED,
    known: refs.Known = refs.nothing_known,
    together: Together = ALONE,
) -> Evidence:
    """Compare the checkout at ``directory`` with ``snapshot``; safe to repeat.

    Restores the worktree's own `.git` pointer, removes FIFOs and their kin among git's files, and puts its HEAD back
    on the task's branch where the agent worked on a branch of its own. Branches and tags that were moved or deleted
    stay as they are; their old values are kept at ``refs/hpm/before/<run>/…``. Raises GitError where git cannot tell.
    What the set-up left is read within ``bounds`` only; beyond them it counts as changed. ``known`` says of a moved
    ref (name, value before, value now) whether it is known who moved it, so that it is not told; ``together`` says
    who else moved the HEAD of this checkout, and when: what they did is no part of the evidence.
    """
    said = []
    place = snapshot.place
    if (why := git_replaced(snapshot)) is not None:
        return _elsewhere(snapshot, why)  # before anything is moved, or kept, by what another repository says
    replaced = replaced_by_link(snapshot)
    if replaced is not None:
        return _without_directory(snapshot, known, [replaced], replaced)
    if os.path.realpath(directory) != snapshot.directory:
        raise Misconfigured(
            f"the snapshot is of {snapshot.directory}, not of {os.path.realpath(directory)}",
            "name its own directory",
        )
    if (back := put_back(snapshot)) is not None:
        said.append(back)
    if not place.root.is_dir():
        return _without_directory(snapshot, known, said)
    if place.linked:
        moved.hold(place.root, snapshot.run_id)
    said += [f"{path} was no file and was removed" for path in remove_specials(place)]
    registered_again = restore_registration(place, snapshot.registration)
    if registered_again:
        said.append(f"the worktree {place.root} had been unregistered and was registered again")
    said += [
        f"{path} was gone, or no file, and was restored"
        for path in restore_misplaced(place, snapshot.registration)
    ]
    said += _restore_pointer(place)
    refuse_misplaced(place)
    git = Git(place)
    commit = restore_branch(place, snapshot.branch, snapshot.head, refs.HEADS)
    if commit is not None:
        said.append(f"the branch {snapshot.branch} had been deleted and was made again at {commit[:12]}")
        if registered_again:
            git.run("read-tree", "HEAD")
    copies = Copies(Path(snapshot.copies) if snapshot.copies else None)
    said += tampering.changes(git, snapshot.marks, copies)
    hidden.pin(git, snapshot.marks, copies)
    said += stashes.keep_dropped(git, snapshot.stash, snapshot.run_id)
    found = take_status(git)  # first: it mends a broken index, which nothing else can read
    if again := overlooked.look_again(git, snapshot.overlooked):
        said += again
        found = take_status(git)
    inside = _changed_submodules(git, snapshot) if together.ours else []
    standing = judge(git, snapshot, found, together.run_ids)
    _refuse_incomplete(git, snapshot, standing.commits, found.head)
    own = own_work.stretches(snapshot.head, found.head, together.turns)
    work = own_work.look(git, own, found.head, standing.commits, snapshot.prepared)
    # What lies there uncommitted is the work of the task that had the checkout last.
    dirty = prepared.worked_on(git, found, snapshot.prepared, bounds) if together.ours else []
    on_branch = standing.descends and (standing.home or found.branch == snapshot.branch)
    settled = frozenset([f"{refs.HEADS}{snapshot.branch}"] if on_branch else [])
    moves = _moves(git, snapshot, settled, known)
    return Evidence(
        base=snapshot.head,
        head=found.head,
        branch=snapshot.branch if standing.home else found.branch,
        commits=work.commits,
        changed=work.changed,
        dirty=list(dict.fromkeys([*dirty, *inside])),
        as_committed=prepared.as_committed(git, found, bounds),
        submodules=inside,
        moved_by_someone=standing.moved,
        unfinished=reachability.in_progress(place.git_dir),
        tampering=[*said, *moves.lost],
        moved_refs=[*moves.went_on, *([standing.home] if standing.home else [])],
        doubtful=moves.doubtful,
        own_moves=[] if standing.moved else own_moves(snapshot, found.head, together.run_ids),
    )


def _moves(git: Git, snapshot: Snapshot, settled: frozenset[str], known: refs.Known) -> refs.Moves:
    before = snapshot.all_refs()
    if before is None:
        lost = f"the refs could not be compared with those before the run, for {snapshot.refs_file} is gone"
        return refs.Moves(lost=[lost])
    return refs.keep_before(
        git, before, own=snapshot.branch, settled=settled, run_id=snapshot.run_id, known=known
    )


def own_moves(snapshot: Snapshot, head: str | None, companions: frozenset[str] = frozenset()) -> list[str]:
    """The commits that the task's own ref named one after the other up to ``head``; none if somebody else moved it."""
    if snapshot.head is None or head is None or snapshot.own_ref is None:
        return []
    git_dir = snapshot.place.git_dir
    if attribution.position(git_dir) == 0:  # reflogs are switched off: nothing says otherwise
        return [snapshot.head, head]
    run_ids = companions | {snapshot.run_id} if snapshot.attributed else None
    values = attribution.values_since(git_dir, snapshot.reflog, snapshot.head, run_ids)
    return values if values is not None and values[-1] == head else []


def differs(directory: Path, base: str | None) -> bool:
    """Whether the checkout at ``directory``, of which no snapshot was taken, holds work on top of ``base``."""
    git = Git(directory)
    found, known = take_status(git), _prepared(git.place)
    dirty = prepared.worked_on(git, found, known)
    return Evidence(
        base,
        found.head,
        None,
        (),
        prepared.committed(git, base, found.head, known),
        dirty,
        as_committed=prepared.as_committed(git, found),
    ).worked


def _restore_pointer(place: Place) -> list[str]:
    dot_git = place.root / ".git"
    before = set(kept_directories(place.root.parent))
    if not restore_pointer(place):
        return []
    aside = sorted(set(kept_directories(place.root.parent)) - before)
    own = f"; the repository that stood there is now {aside[0]}" if aside else ""
    return [f"{dot_git} had been changed and was restored{own}"]


def _changed_submodules(git: Git, snapshot: Snapshot) -> list[str]:
    before = snapshot.submodules
    if before is None:
        return []
    return [path for path, state in submodule_work.states(git).items() if before.get(path) != state]


def _elsewhere(snapshot: Snapshot, reason: str) -> Evidence:
    """The evidence where the repository itself is gone: git cannot be asked about anything."""
    return Evidence(snapshot.head, None, None, moved_by_someone=reason, tampering=[reason])


def _refuse_incomplete(git: Git, snapshot: Snapshot, commits: Sequence[str], head: str | None) -> None:
    """Raise GitError if new commits lack objects: their paths alone are no evidence."""
    if commits and head is not None:
        reachability.refuse_incomplete(git, head, [snapshot.head] if snapshot.head else [])


def _without_directory(
    snapshot: Snapshot, known: refs.Known, said: Sequence[str], why: str | None = None
) -> Evidence:
    """The evidence where the agent, or somebody else, removed the whole worktree: what its branch has."""
    git = Git(snapshot.place.repository)
    ref = f"{refs.HEADS}{snapshot.branch}"
    head = git.text("for-each-ref", "--format=%(objectname)", ref) if snapshot.branch else snapshot.head
    commits, descends = commits_between(git, snapshot.head, head or None)
    _refuse_incomplete(git, snapshot, commits, head or None)
    settled = frozenset([ref] if descends else [])
    moves = _moves(git, snapshot, settled, known)
    return Evidence(
        base=snapshot.head,
        head=head or None,
        branch=snapshot.branch,
        commits=commits,
        changed=prepared.committed(git, snapshot.head, head or None, snapshot.prepared) if commits else [],
        moved_by_someone=why or f"{snapshot.directory} was removed",
        tampering=[
            *(said or [f"{snapshot.directory} was removed, with what was uncommitted in it"]),
            *stashes.keep_dropped(git, snapshot.stash, snapshot.run_id),
            *moves.lost,
        ],
        moved_refs=moves.went_on,
        doubtful=moves.doubtful,
    )
