"""Which commits and files are a task's own in a checkout where other tasks had turns between its own.

A task whose runner was killed goes on in the shared checkout after others committed there: what lies between its
snapshot and HEAD is then theirs as well. Its own are the stretches of HEAD's way that lie in its own turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from hpm_tools.worktree import prepared
from hpm_tools.worktree.standing import commits_between

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hpm_tools.worktree.git import Git


class Turn(NamedTuple):
    """``head``: where HEAD was as the turn began, ``own`` whether it is the task's that is asked about."""

    own: bool
    head: str | None


@dataclass(frozen=True, slots=True)
class Together:
    """Who else worked in the checkout since the snapshot, one at a time: the ids of their runs, and the turns since.

    ``ours``: whether what lies uncommitted in the checkout is the task's own, which had the newest turn.
    """

    run_ids: frozenset[str] = frozenset()
    turns: Sequence[Turn] = ()
    ours: bool = True


ALONE = Together()


class Stretch(NamedTuple):
    """Where HEAD was as one of the task's turns began and ended."""

    start: str | None
    end: str | None


def stretches(start: str | None, head: str | None, turns: Sequence[Turn]) -> list[Stretch]:
    """What of HEAD's way from ``start``, in a turn of the task's own, to ``head`` lies in its own turns."""
    found, own, since = [], True, start
    for turn in turns:
        if own and not turn.own:
            found.append(Stretch(since, turn.head))
        elif turn.own and not own:
            since = turn.head
        own = turn.own
    if own:
        found.append(Stretch(since, head))
    return [stretch for stretch in found if stretch.start != stretch.end]


@dataclass(frozen=True, slots=True)
class OwnWork:
    """``commits``: those of HEAD that were made in the task's turns, oldest first. ``changed``: the paths that its
    turns, taken together, change otherwise than the set-up had (prepared.py). ``others``: the rest of the commits."""

    commits: Sequence[str]
    changed: Sequence[str]
    others: Sequence[str]


def look(
    git: Git, own: Sequence[Stretch], head: str | None, among: Sequence[str], known: Mapping[str, str]
) -> OwnWork:
    """What was done in the ``own`` stretches; ``among`` are the commits that ``head`` has on top of the first one's start.

    What one stretch did and a later one took back is no change. A stretch with an end that is lost, because an agent
    rewrote the history and pruned it, shows nothing. Where a later turn's agent rewrote all the commits, what of their
    files is still as they had it counts.
    """
    whole = len(own) == 1 and own[0].end == head  # nobody else had a turn: git was asked already
    made = [among] if whole else [commits_between(git, *stretch)[0] for stretch in own]
    found = {commit for commits in made for commit in commits}
    there = [commit for commit in among if commit in found]
    rest = [commit for commit in among if commit not in found]
    if len(own) == 1 and there:
        return OwnWork(there, prepared.committed(git, *own[0], known), rest)
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    worked_on: dict[str, None] = {}
    for stretch, new in zip(own, made, strict=True):
        if not all(_exists(git, commit) for commit in stretch if commit):
            continue
        for path, (before, after) in prepared.sides(git, *stretch).items():
            first.setdefault(path, before)
            last[path] = after
        if new:  # else commits were taken off only
            worked_on |= dict.fromkeys(prepared.committed(git, *stretch, known))
    changed = [path for path in worked_on if first.get(path) != last.get(path)]
    if changed and not there:
        now = prepared.sides(git, own[0].start, head)
        changed = [path for path in changed if path in now and now[path][1] == last[path]]
    return OwnWork(there, changed, rest)


def _exists(git: Git, commit: str) -> bool:
    return git.run("cat-file", "-e", f"{commit}^{{commit}}", check=False).returncode == 0
