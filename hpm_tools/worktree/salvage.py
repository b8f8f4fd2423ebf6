"""Salvage: what no commit keeps, put under `refs/hpm/salvage/…` before anything is removed.

A salvage commit's tree is the checkout byte for byte, made in an index of its own: neither the real
index nor HEAD nor a filter has a part in it. Its first parent is HEAD; further parents keep what was
staged, detached or half merged. Never the stash, which all worktrees of a repository share.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.errors import HpmError
from hpm_tools.text import one_line
from hpm_tools.worktree import filters, reachability, unfinished
from hpm_tools.worktree.bounds import ALLOWED, Bounds
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git, decode
from hpm_tools.worktree.index_entries import GITLINK, stages
from hpm_tools.worktree.layout import SALVAGE
from hpm_tools.worktree.own_index import DURABLE, commit_tree, quoted, write_tree
from hpm_tools.worktree.status import Status, take_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from hpm_tools.worktree.place import Place

NOBODY = "nobody"
MOST_COMPARED = 50
SHA1 = "0" * 40
NO_FILE = "000000"


class CannotSalvage(HpmError):
    """Work could not be put into a verified salvage ref, so it must stay where it is."""

    exit_code = 73
    kind = "cannot_salvage"


class TooMuch(CannotSalvage):
    """There is more uncommitted content than is taken into git (bounds.py), so it stays where it is."""

    kind = "too_much"


def refuse_too_much(bounds: Bounds, place: Place, paths: Sequence[str]) -> None:
    """Raise TooMuch if ``paths`` in ``place`` are more than ``bounds`` allow; nothing of them is read."""
    excess = bounds.excess(place, paths)
    if excess is not None:
        raise TooMuch(*excess)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as git stores it: its mode as octal text and the id of its content."""

    mode: str
    oid: str


@dataclass(frozen=True, slots=True)
class Extra:
    """What a salvage keeps besides the files: further commits, and lines about it for its message."""

    commits: Sequence[str] = ()
    lines: Sequence[str] = field(default_factory=tuple)

    @property
    def empty(self) -> bool:
        return not self.commits and not self.lines


def salvage(
    directory: Path, *, agent_id: str = NOBODY, task_id: int | str = 0, bounds: Bounds = ALLOWED
) -> str | None:
    """Put the uncommitted content of the checkout at ``directory`` under a salvage ref; its name.

    None if there is none. Tracked, staged and untracked files are kept, ignored ones and repositories
    inside the checkout are not: they stay where they are. Nothing in the checkout changes. The same
    content again gives the same ref. Raises CannotSalvage, TooMuch beyond ``bounds``, GitError.
    """
    git = Git(directory)
    found = take_status(git)
    halfway = found.unmerged or reachability.in_progress(git.place.git_dir)
    state = unfinished.keep_state(git) if halfway else None
    extra = Extra([*reachability.interrupted(git, found), *([state] if state else [])])
    return save(git, found, extra, agent_id=agent_id, task_id=task_id, bounds=bounds)


def save(
    git: Git, found: Status, extra: Extra, *, agent_id: str, task_id: int | str, bounds: Bounds = ALLOWED
) -> str | None:
    """Make and verify a salvage ref for what ``found`` shows and ``extra`` adds; None if that is nothing."""
    if not saved_paths(found) and not found.unmerged and extra.empty:
        return None
    refuse_too_much(bounds, git.place, saved_paths(found))
    entries = dirty_entries(git, found, write=True, heed=bounds.heed)
    conflicts = unfinished.keep_conflicts(git) if found.unmerged else None
    parents = [commit for commit in (found.head, _staged(git, found), conflicts, *extra.commits) if commit]
    ref = _keep(git, found, entries, parents, extra, agent_id=agent_id, task_id=task_id)
    verify(git, ref, found, entries, bounds)
    return ref


def save_stored(
    git: Git,
    found: Status,
    entries: Mapping[str, Entry | None],
    extra: Extra,
    *,
    agent_id: str,
    task_id: int | str,
) -> str:
    """Make and verify a salvage ref of ``entries``, which git has stored already, on top of ``found.head``."""
    parents = [commit for commit in (found.head, *extra.commits) if commit]
    ref = _keep(git, found, entries, parents, extra, agent_id=agent_id, task_id=task_id)
    if not _holds(git, ref, entries):
        raise CannotSalvage(f"{ref} does not hold what was saved")
    return ref


def _keep(
    git: Git,
    found: Status,
    entries: Mapping[str, Entry | None],
    parents: Sequence[str],
    extra: Extra,
    *,
    agent_id: str,
    task_id: int | str,
) -> str:
    """The salvage ref that holds all of this, made unless there is one."""
    parents = list(dict.fromkeys(parents))
    ref = covering(git, found.head, entries, parents, extra.lines, within=_directory("*", task_id) + "*")
    if ref is None:
        tree = _write_tree(git, found, entries)
        commit = commit_tree(git, tree, parents, _message(found, extra, agent_id, task_id))
        _refuse_unstored(git, commit, entries)
        failpoints.reach("salvage.committed")
        ref = _store(git, _directory(agent_id, task_id), commit)
        failpoints.reach("salvage.stored")
    return ref


def covering(
    git: Git,
    head: str | None,
    entries: Mapping[str, Entry | None],
    parents: Sequence[str] = (),
    lines: Sequence[str] = (),
    *,
    within: str = SALVAGE,
) -> str | None:
    """The newest salvage on top of ``head`` that holds all of this already, or None.

    There is one when a step is repeated after a crash, even if half of the files are cleaned away since,
    and when restored work is salvaged again.
    """
    fields = "%(refname)%00%(parent)%00%(contents:body)%01"
    output = git.run("for-each-ref", "--sort=-creatordate", f"--format={fields}", within).out
    for entry in decode(output).split("\1")[:MOST_COMPARED]:
        row = entry.strip("\n").split("\0")
        if len(row) != 3 or not row[0].startswith(SALVAGE):
            continue
        ref, its_parents, body = row
        has = its_parents.split()
        if has[:1] != ([head] if head else []) or not set(parents) <= set(has):
            continue
        if set(lines) <= set(body.splitlines()) and _holds(git, ref, entries):
            return ref
    return None


def _holds(git: Git, ref: str, entries: Mapping[str, Entry | None]) -> bool:
    stored = _stored(git, ref, entries)
    return all(stored.get(path) == entry for path, entry in entries.items())


def _refuse_unstored(git: Git, commit: str, entries: Mapping[str, Entry | None]) -> None:
    # `update-index --index-info` only warns of a name that some file system takes for .git (core.protectNTFS).
    stored = _stored(git, commit, entries)
    for path, entry in entries.items():
        if stored.get(path) != entry:
            raise CannotSalvage(f"git stores no file called {path!r}: rename it")


def saved_paths(found: Status) -> list[str]:
    """The paths whose content a salvage holds: not repositories inside the checkout that it does not track."""
    changed = [entry.path for entry in found.changed]
    return [*changed, *found.unmerged, *(path for path in found.untracked if not path.endswith("/"))]


def dirty_entries(
    git: Git, found: Status, *, write: bool = False, heed: Callable[[], None] | None = None
) -> dict[str, Entry | None]:
    """The content of each of ``saved_paths``: that of the file, or what is staged where a sparse checkout has no file."""
    entries = hash_paths(git, saved_paths(found), write=write, heed=heed)
    for entry in found.changed:
        # To git a file that is to be skipped, and is not there, is as the index has it.
        if entries[entry.path] is None and entry.worktree == "." and entry.mode_index != NO_FILE:
            entries[entry.path] = Entry(entry.mode_index, entry.id_index)
    return entries


def hash_paths(
    git: Git,
    paths: Iterable[str],
    *,
    write: bool,
    filtered: bool = False,
    heed: Callable[[], None] | None = None,
) -> dict[str, Entry | None]:
    """The content of each path as it is on disk; None where there is no file.

    ``write`` puts the content into the repository, ``filtered`` has it as `git add` would store it.
    """
    entries: dict[str, Entry | None] = {}
    regular: list[str] = []
    links: dict[str, bool] = {}
    for path in paths:
        if _beyond_link(git.place.root, path, links):
            entries[path] = None
            continue
        mode = _mode(git.place.root, path)
        commit = _submodule_head(git.place.root / path) if mode is None else None
        if commit is not None:
            entries[path] = Entry(GITLINK, commit)
        elif mode is None:
            entries[path] = None
        elif stat.S_ISLNK(mode):
            target = os.fsencode(os.readlink(git.place.root / path))
            entries[path] = Entry("120000", _hash(git, ("--stdin",), target, write=write)[0])
        else:
            regular.append(path)
            entries[path] = Entry("100755" if mode & stat.S_IXUSR else "100644", "")
    if write:
        filters.refuse_raw(git, regular)
    names = b"".join(quoted(path) + b"\n" for path in regular)
    how = ("--stdin-paths",) if filtered else ("--no-filters", "--stdin-paths")
    oids = _hash(git, how, names, write=write, heed=heed) if regular else []
    for path, oid in zip(regular, oids, strict=True):
        known = entries[path]
        entries[path] = Entry(known.mode if known else "100644", oid)
    return entries


def _beyond_link(root: Path, path: str, known: dict[str, bool]) -> bool:
    """Whether a directory of ``path`` is a symbolic link now: what it leads to is another file, and may be outside.

    Git counts the path as deleted then (symlinks.c). ``known`` remembers the directories that were looked at.
    """
    end = path.find("/")
    while end > 0:
        directory = path[:end]
        if directory not in known:
            known[directory] = os.path.islink(f"{root}/{directory}")
        if known[directory]:
            return True
        end = path.find("/", end + 1)
    return False


def _mode(root: Path, path: str) -> int | None:
    """The mode of a regular file or link, None for everything that git does not keep."""
    try:
        mode = os.lstat(root / path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    return mode if stat.S_ISREG(mode) or stat.S_ISLNK(mode) else None


def _submodule_head(directory: Path) -> str | None:
    """Where a submodule stands: all that its superproject keeps of it."""
    if directory.is_symlink() or not (directory / ".git").exists():
        return None
    return Git(directory).run("rev-parse", "--verify", "-q", "HEAD", check=False).text or None


def _hash(
    git: Git, args: Sequence[str], stdin: bytes, *, write: bool, heed: Callable[[], None] | None = None
) -> list[str]:
    flags = ["-w"] if write else []
    return git.run(
        *DURABLE, "hash-object", *flags, *args, stdin=stdin, timeout=CHECKOUT_TIMEOUT, heed=heed
    ).text.splitlines()


def _write_tree(git: Git, found: Status, entries: Mapping[str, Entry | None]) -> str:
    """The tree of HEAD with ``entries`` put into it."""
    # Deletions first: a file may stand where a directory was, or the other way round.
    nothing = "0" * len(found.head or SHA1)
    rows = [("0", nothing, path) for path, entry in entries.items() if entry is None]
    rows += [(entry.mode, entry.oid, path) for path, entry in entries.items() if entry is not None]
    return write_tree(git, found.head or "--empty", rows)


def _staged(git: Git, found: Status) -> str | None:
    """A commit of the index, where it holds content that neither HEAD nor the files have."""
    if any(entry.index != "." and entry.worktree != "." for entry in found.changed):
        return commit_index(git, found.head)
    return None


def commit_index(git: Git, head: str | None) -> str:
    """A commit of what is staged; unmerged paths are left out, for no tree can hold them."""
    rows = [(mode, oid, path) for mode, oid, stage, path in stages(git) if stage == "0"]
    tree = write_tree(git, "--empty", rows)
    parents = [head] if head else []
    return commit_tree(git, tree, parents, "hpm salvage: what was staged\n", dated=False)


def _message(found: Status, extra: Extra, agent_id: str, task_id: int | str) -> str:
    lines = [f"hpm salvage: task {task_id}, agent {agent_id}", ""]
    lines.append(f"branch: {found.branch or '(detached)'}")
    lines.append(f"head: {found.head or '(none)'}")
    lines += [f"commit: {commit}" for commit in extra.commits]
    lines += extra.lines
    return "\n".join(lines) + "\n"


def _directory(agent_id: str, task_id: int | str) -> str:
    # An agent id may end in ".lock", even twice; a ref's component may not.
    while agent_id.endswith(".lock"):
        agent_id = agent_id.removesuffix(".lock")
    return f"{SALVAGE}{agent_id}/{task_id}/"


def _store(git: Git, directory: str, commit: str) -> str:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    for number in range(1, 1000):
        ref = f"{directory}{stamp}" + (f"-{number}" if number > 1 else "")
        args = ["update-ref", "-m", "hpm salvage", ref, commit, "0" * len(commit)]
        created = git.run(*DURABLE, *args, check=False)
        if created.returncode == 0:
            return ref
        if b"reference already exists" not in created.err:
            raise CannotSalvage(f"cannot write {ref}: {one_line(decode(created.err), 200)}")
    raise CannotSalvage(f"no free name below {directory}")


def verify(
    git: Git, ref: str, found: Status, entries: Mapping[str, Entry | None], bounds: Bounds = ALLOWED
) -> None:
    """Read everything back: the ref, its tree, its objects, and that the files are still what was stored.

    Raises CannotSalvage.
    """
    now = take_status(git) if git.place.directory else found
    again = sorted(now.dirty) == sorted(found.dirty) and bounds.allows(git.place, saved_paths(now))
    if not again or dirty_entries(git, now, heed=bounds.heed) != entries:
        raise CannotSalvage(
            f"the files in {git.place.root} changed while they were being saved",
            "end what is still writing there, then try again",
        )
    if not _holds(git, ref, entries):
        raise CannotSalvage(f"{ref} does not hold what was saved")
    oids = "".join(f"{entry.oid}\n" for entry in entries.values() if entry and entry.mode != GITLINK)
    if b" missing" in git.run("cat-file", "--batch-check", stdin=oids.encode()).out:
        raise CannotSalvage(f"objects of {ref} are missing")


def _stored(git: Git, ref: str, entries: Mapping[str, Entry | None]) -> dict[str, Entry]:
    found = {}
    for line in git.run("ls-tree", "-r", "-z", ref).out.split(b"\0"):
        if line:
            facts, _, name = line.partition(b"\t")
            path = decode(name)
            if path in entries:
                mode, _, oid = facts.decode().split(" ")
                found[path] = Entry(mode, oid)
    return found
