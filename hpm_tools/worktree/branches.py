"""Which branch a task works on, and whose a branch is.

`refs/hpm/owner/<branch>` points to a blob that holds the owning task's key, because the board reuses
ids after a delete and records do not live for ever.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from hpm_tools.errors import CannotCreate, Misconfigured, UsageError
from hpm_tools.names import branch as valid_branch
from hpm_tools.names import shown
from hpm_tools.worktree import replaced_git, unborn
from hpm_tools.worktree.belief import Belief
from hpm_tools.worktree.git import decode
from hpm_tools.worktree.refs import DEFAULT_NAMES, MAIN_HEAD, SYMBOLIC, main_head
from hpm_tools.worktree.task_key import TaskKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpm_tools.worktree.belief import Believed
    from hpm_tools.worktree.repository import Repository

HEADS = "refs/heads/"
OWNER = "refs/hpm/owner/"
REMOTE = "refs/remotes/origin/"
TAGS = "refs/tags/"
STASH = "stash"
OF_GIT = frozenset(
    (
        "bisect",
        "hpm",
        "main-worktree",
        "notes",
        "prefetch",
        "replace",
        "rewritten",
        "stash",
        "worktree",
        "worktrees",
    )
)
"""Besides heads/, tags/ and remotes/: what git, and we, have below refs/ or read there (gitrevisions(7), git-worktree(1))."""
OWN_PREFIXES = ("feature/", "hpm/", "")
"""How the branches begin that are made for a task."""

MOST_SUFFIXES = 100


def is_default_name(name: str) -> bool:
    """Whether a branch ``name`` would be taken for the default branch; also where the file system ignores case."""
    return name.casefold() in DEFAULT_NAMES


@dataclass(frozen=True, slots=True)
class Choice:
    """The branch to work on, the commit it is or will be at, and whether it must be made.

    ``refused``: why the wanted branch is not the task's, where a person can do something about it, or "". ``doubted``:
    refs that were read as where they stood before an agent may have moved them.
    """

    branch: str
    commit: str
    new: bool
    refused: str = ""
    doubted: tuple[str, ...] = ()


class _Ref(NamedTuple):
    commit: str
    checked_out: str


class Branches:
    """The branches of a repository at one moment, and the choice among them for one task.

    What ``believed`` doubts is neither continued nor started from as it is.
    """

    def __init__(self, repository: Repository, key: TaskKey, believed: Believed | None = None) -> None:
        self._repository = repository
        self._git = repository.git
        self._belief = Belief(self._git, believed)
        self.key = key
        self._blob = self._git.run("hash-object", "-w", "--stdin", stdin=key.to_json().encode()).text
        self._heads: dict[str, _Ref] = {}
        self._tags: set[str] = set()
        """Tags that have a name which this task's branch could have."""
        self._remotes: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._ours: dict[str, bool] = {self._blob: True}
        self._default: str | None = None
        self._read()

    def _read(self) -> None:
        # Each field ends in NUL: the path of a worktree may hold a newline.
        fields = "%(refname)%00%(objectname)%00%(worktreepath)%00%(symref)%00"
        own_tags = [f"{TAGS}{prefix}task-{self.key.id}*" for prefix in OWN_PREFIXES]
        kinds = (HEADS, OWNER, REMOTE, *own_tags)
        listed = decode(self._git.run("for-each-ref", f"--format={fields}", *kinds).out)
        found = iter(listed.replace("\0\n", "\0").split("\0"))
        head = None
        for name, oid, checked_out, target in zip(found, found, found, found, strict=False):
            if name.startswith(HEADS):
                self._heads[name.removeprefix(HEADS)] = _Ref(oid, checked_out)
            elif name.startswith(OWNER):
                self._owners[name.removeprefix(OWNER)] = oid
            elif name.startswith(TAGS):
                self._tags.add(name.removeprefix(TAGS))
            elif name == f"{REMOTE}HEAD":
                head = f"{SYMBOLIC}{target}"
            else:
                self._remotes[name.removeprefix(REMOTE)] = oid
        head = self._belief.value(f"{REMOTE}HEAD", head)
        if head is not None and head.startswith(SYMBOLIC + REMOTE):
            self._default = head.removeprefix(SYMBOLIC + REMOTE)

    @cached_property
    def default(self) -> str | None:
        """The repository's default branch, read from the same listing where that tells."""
        if found := self._default or next(filter(self._is_default, DEFAULT_NAMES), None):
            return found
        if (before := self._head_before()) is None:
            return self._repository.default_branch()
        return before.removeprefix(HEADS) if before.startswith(HEADS) else None

    def _is_default(self, name: str) -> bool:
        """Whether the branch ``name``, one of DEFAULT_NAMES, is there, and neither a task's nor made by an agent."""
        found = self._heads.get(name)
        if found is None or name in self._owners:
            return False
        return not self._belief.made(HEADS + name, found.commit)

    def _head_before(self) -> str | None:
        """Where the main checkout was before an agent put it elsewhere, a branch or a commit; None if none did."""
        now = main_head(self._git).get(MAIN_HEAD)
        value = self._belief.value(MAIN_HEAD, now)
        return value.removeprefix(SYMBOLIC) if value is not None and value != now else None

    def choose(self, wanted: str | None, base: str | None) -> Choice:
        """The branch for this task: its own from before, else ``wanted`` if it may be used, else a new one.

        ``wanted`` is used only if it is valid, reads as nothing else, and is neither the default branch nor called
        as one, not checked out anywhere and not another task's; otherwise ``feature/task-{id}`` starts from it.
        ``base`` is what a branch starts from that nothing else determines. Raises Misconfigured if there is no commit
        to start from.
        """
        # The default branch is not used anyhow, whatever else has its name.
        refused = self._refusal(wanted) if wanted and wanted != self.default else ""
        choice = self._choose(None if refused else wanted or None, base)
        if wanted and choice.branch != wanted:
            refused = refused or self._in_vanished(wanted)
        return replace(choice, refused=refused, doubted=tuple(self._belief.doubted))

    def _choose(self, wanted: str | None, base: str | None) -> Choice:
        mine = [name for name, blob in self._owners.items() if blob == self._blob and name in self._heads]
        for name in mine:
            if self._usable(name):
                return Choice(name, self._heads[name].commit, new=False)
        if wanted is not None and not mine and self._usable(wanted):
            if wanted in self._heads:
                return Choice(wanted, self._heads[wanted].commit, new=False)
            return Choice(wanted, self._start(wanted, base), new=True)
        start = (mine and self._head(mine[0])) or self._start(wanted, base)
        for name in self._own_names():
            # A new branch with a tag's name would read as that tag (gitrevisions(7)).
            if self._usable(name) and (name in self._heads or name not in self._tags):
                found = self._heads.get(name)
                return Choice(name, found.commit if found else start, new=found is None)
        raise CannotCreate(
            f"no free branch name for task {self.key.id}",
            f"delete branches that are no longer needed: git branch --list 'feature/task-{self.key.id}*'",
        )

    def claim(self, choice: Choice) -> None:
        """Make the branch if it is new, and write down that it is this task's, in one transaction.

        Together, so that no crash leaves a branch behind that nobody owns.
        """
        commands = []
        if choice.new:
            commands.append(f"create {HEADS}{choice.branch} {choice.commit}")
        if choice.branch not in self._owners or not self._owned(choice.branch):
            commands.append(f"update {OWNER}{choice.branch} {self._blob}")
        self._transact(commands, f"hpm: task {self.key.id}")

    def unclaim(self, choice: Choice) -> None:
        """Undo ``claim`` of a new branch, unless somebody has committed to it since."""
        if choice.new:
            commands = [
                f"delete {HEADS}{choice.branch} {choice.commit}",
                f"delete {OWNER}{choice.branch} {self._blob}",
            ]
            self._transact(commands, "", check=False)

    def _transact(self, commands: list[str], reason: str, *, check: bool = True) -> None:
        if commands:
            script = "".join(f"{command}\n" for command in ("start", *commands, "prepare", "commit"))
            self._git.run("update-ref", "-m", reason or "hpm", "--stdin", stdin=script.encode(), check=check)

    def _refusal(self, wanted: str) -> str:
        """Why ``wanted`` cannot be a task's branch here: it is no branch name, or reads as something else; or "".

        A branch ``origin/main`` makes the remote's one ambiguous for everybody (gitrevisions(7)).
        """
        try:
            valid_branch(wanted)
        except UsageError as error:
            return error.message
        # The name alone reads as that remote's HEAD; where the file system ignores case, `Origin` is `origin`.
        below = f"{wanted}/".casefold()
        remote = max(
            (name for name in self._remote_names() if below.startswith(f"{name}/".casefold())), default=""
        )
        if remote:
            return f"branch {shown(wanted)} reads as a branch of the remote {shown(remote)}"
        if self._git.text("for-each-ref", "--format=x", TAGS + wanted):
            return f"branch {shown(wanted)} reads as the tag of that name"
        if read := self._read_as(wanted):
            return f"branch {shown(wanted)} reads as {read}"
        if kind := self._kind(wanted):
            return f"branch {shown(wanted)} reads as one of refs/{kind}, which are no branches"
        twin = self._twin(wanted)
        return f"branch {shown(wanted)} differs only by case from {shown(twin)}" if twin else ""

    def _in_vanished(self, wanted: str) -> str:
        """That ``wanted`` cannot be used for a worktree that is gone: git still counts it as checked out there."""
        where = self._heads[wanted].checked_out if wanted in self._heads else ""
        if not where or os.path.lexists(where):
            return ""
        way_out = shlex.join(["git", "-C", str(self._repository.root), "worktree", "remove", where])
        return f"branch {shown(wanted)} is checked out in {where}, which is gone ({way_out})"

    def _read_as(self, wanted: str) -> str:
        """What git takes ``wanted`` for while there is no such branch: a ref's short name, an abbreviated id, what
        `git describe` says (gitrevisions(7)); or ""."""
        if wanted in self._heads:
            return ""
        commit = self._git.run("rev-parse", "--verify", "-q", wanted, check=False)
        return f"the name of {commit.text[:12]}" if commit.returncode == 0 else ""

    def _kind(self, wanted: str) -> str:
        """The directory of refs, other than branches, that the new branch ``wanted`` reads as a part of; or "".

        One ref of that name later, made by whoever, and every reader of the branch gets the other one.
        """
        first, slash, _ = wanted.partition("/")
        if wanted in self._heads or not (slash or first.lower() == STASH):
            return ""
        taken = first.lower() in OF_GIT
        taken = taken or bool(self._git.text("for-each-ref", "--count=1", "--format=x", f"refs/{first}/"))
        return f"{first}{slash}" if taken else ""

    def _remote_names(self) -> set[str]:
        listed = self._git.run("config", "-z", "--name-only", "--get-regexp", r"^remote\.", check=False)
        return {name[len("remote.") :].rpartition(".")[0] for name in decode(listed.out).split("\0") if name}

    def _twin(self, name: str) -> str | None:
        """A branch that differs from ``name`` only by case: one file on file systems that ignore case."""
        if name in self._heads:
            return None
        folded = name.casefold()
        return next((other for other in self._heads if other.casefold() == folded), None)

    def _usable(self, name: str) -> bool:
        # Made for a task it would be the default branch from then on, and the next tasks would start from its work.
        if name == self.default or is_default_name(name):
            return False
        found = self._heads.get(name)
        if found is not None and (found.checked_out or (name in self._owners and not self._owned(name))):
            return False
        if found is not None and self._belief.doubts(HEADS + name, found.commit):
            return False
        return not self._blocked(name, self._heads) and not self._blocked(name, self._owners)

    def _owned(self, name: str) -> bool:
        """Whether the branch is written down as this task's."""
        blob = self._owners[name]
        if blob not in self._ours:
            text = self._git.run("cat-file", "blob", blob, check=False).text
            owner = TaskKey.from_json(text)
            self._ours[blob] = owner is not None and owner.same_as(self.key)
        return self._ours[blob]

    @staticmethod
    def _blocked(name: str, names: dict[str, _Ref] | dict[str, str]) -> bool:
        """Whether ``a/b`` cannot exist because ``a`` does, or the other way round."""
        parts = name.split("/")
        above = {"/".join(parts[:count]) for count in range(1, len(parts))}
        return any(other in above or other.startswith(name + "/") for other in names)

    def _own_names(self) -> Iterator[str]:
        for prefix in OWN_PREFIXES:
            for number in range(1, MOST_SUFFIXES):
                yield f"{prefix}task-{self.key.id}" + (f"-{number}" if number > 1 else "")

    def _head(self, name: str | None) -> str | None:
        found = self._heads.get(name) if name else None
        return self._belief.value(HEADS + name, found.commit) if name and found else None

    def _remote(self, name: str | None) -> str | None:
        found = self._remotes.get(name) if name else None
        return self._belief.value(REMOTE + name, found) if name and found else None

    def _start(self, wanted: str | None, base: str | None) -> str:
        """The commit that a new branch starts from."""
        default = self.default
        # A `main` that a runner made for a task, before it was known better, holds that task's work.
        of_a_task = wanted in self._owners and is_default_name(wanted) if wanted else False
        named = None if wanted == default or of_a_task else wanted
        if start := self._head(named) or self._remote(named):
            return start
        if base:
            revision = self._belief.revision(base)
            if revision is None:
                raise Misconfigured(
                    f"the base {base!r} was made while an agent worked",
                    f"if you made it: hpm trust --ref {self._belief.doubted[-1]}; or set base_ref to a commit's id",
                )
            commit = self._repository.resolve(revision)
            if commit is None:
                raise Misconfigured(
                    f"the base {base!r} names no commit of {self._repository.root}",
                    "give --base a branch, a tag or a commit, e.g. main or origin/main",
                )
            return commit
        commit = self._head(default) or self._remote(default)
        commit = commit or self._repository.resolve(self._head_before() or "HEAD")
        if commit is None:
            back = replaced_git.look_alike(self._repository.root)
            other = f"; or, if the repository that lies beside it is the right one: {back}" if back else ""
            why = unborn.explain(self._repository)
            raise Misconfigured(
                f"{self._repository.root} {why.what}: no commit to start from", f"{why.way_out}{other}"
            )
        return commit
