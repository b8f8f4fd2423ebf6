"""Which processes belong to a run, over time: what was once seen to belong stays known after its parents are gone."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpm_tools.process import launch
from hpm_tools.process.identity import Stat, ancestors
from hpm_tools.process.tree import (
    ProcessRef,
    cookie_of,
    own_children,
    process_numbers,
    process_table,
    ref_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_UNSURE_LOOKS = 40
_UNSURE_PAUSE = 0.005


@dataclass(frozen=True, slots=True)
class Before:
    """What there was before a run began: this process's children, and the numbers of all processes."""

    children: frozenset[ProcessRef] = frozenset()
    numbers: frozenset[int] = frozenset()

    @classmethod
    def now(cls, *, all_may_serve: bool = False) -> Before:
        """``all_may_serve``: a process that was there before may be a server's that executes something for the run."""
        return cls(_children(), frozenset() if all_may_serve else process_numbers())


def _children() -> frozenset[ProcessRef]:
    if own_children() == frozenset():
        return frozenset()
    me = os.getpid()
    return frozenset(ref_of(stat) for stat in process_table().values() if stat.ppid == me)


class Family:
    """The processes of one run.

    A process belongs to it by any of these proofs, never by resemblance:
    - it is ``first``, the process that the run started, or in the session that ``first`` leads (looked at
      only while ``first`` keeps its number, alive or as a zombie);
    - it carries the run's cookie;
    - it is a child of a member, now or when it was seen before;
    - it is an orphan in another session that this process adopted while no other run was under way. This
      finds daemons that cleared their environment. ``adopts`` says whether that holds now; ``before``
      names the children this process had before the run. Without ``adopts`` orphans are neither claimed nor reaped.
    """

    def __init__(
        self,
        first: ProcessRef | None,
        cookie: str | None,
        *,
        adopts: Callable[[], bool] | None = None,
        before: Before = Before(),
    ) -> None:
        self._first = first
        self._cookie = cookie
        self._adopts = adopts
        self._before = before
        self._known: set[ProcessRef] = {first} if first else set()
        self._strangers: set[tuple[ProcessRef, bytes]] = set()
        self._unsure = False

    def living(self) -> list[ProcessRef]:
        """Return the members that are alive now; orphans that we adopted and that have died are reaped on the way.

        An empty list can be inconclusive: a process in the middle of an exec cannot be recognised, and an
        orphan may come while the processes are read. So an empty scan of that kind is repeated (40 times, 5 ms apart).
        """
        for _ in range(_UNSURE_LOOKS):
            members = self.look()
            if members or not self._unsure:
                break
            time.sleep(_UNSURE_PAUSE)
        return sorted(ref_of(stat) for stat in members)

    def group(self) -> list[ProcessRef]:
        """The living members in the process group that ``first`` leads."""
        return sorted(ref_of(stat) for stat in self.look() if self._first and stat.pgid == self._first.pid)

    def look(self) -> list[Stat]:
        """Look once at all processes that may be members and return the living ones."""
        table = process_table(without=self._strange_numbers())
        born_here = launch.started_here()
        adopts = self._adopts is not None and self._adopts()
        self._unsure = adopts and bool((own_children() or frozenset()) - table.keys())
        members = self._members(table, born_here, adopts=adopts)
        self._strangers &= {(ref_of(stat), stat.image) for stat in table.values()}
        self._known = {ref_of(stat) for stat in members}
        for stat in table.values():
            if stat.zombie and self._adopts is not None and stat.pid not in born_here:
                self._reap(stat, adopted=adopts and self._adopted(stat, born_here))
        return [stat for stat in members if not stat.zombie]

    def _strange_numbers(self) -> frozenset[int]:
        """Numbers that need no look: after a run that left us no child, those that were there before it.

        While we adopt orphans, whatever the run started is our child once its own parents have died. Only
        what another process started for the run, or took over in a PID namespace of its own, is not: that
        has a new number. In a run so long that it was looked at, a number may have been used again. `Before` names no
        numbers where those that were there before may have executed something for the run.
        """
        first = self._first
        if first is None or self._known != {first} or self._adopts is None or not self._adopts():
            return frozenset()
        left = own_children() if launch.has_exited(first.pid) else None
        return self._before.numbers if left is not None and left <= {first.pid} else frozenset()

    def _members(self, table: Mapping[int, Stat], born_here: frozenset[int], *, adopts: bool) -> list[Stat]:
        spared = frozenset(ancestors())
        leader = self._first.pid if self._first and _is_still(self._first) else -1
        offspring: dict[int, list[Stat]] = {}
        for pid, stat in table.items():
            if pid not in spared:
                offspring.setdefault(stat.ppid, []).append(stat)
        found: dict[int, Stat] = {}
        others = [stat for stats in offspring.values() for stat in stats]
        for belongs in (
            lambda stat: ref_of(stat) in self._known or stat.session == leader,
            lambda stat: (
                self._carries(stat) or (adopts and not stat.zombie and self._adopted(stat, born_here))
            ),
        ):
            for stat in others:
                if stat.pid not in found and belongs(stat):
                    _add_with_offspring(stat, offspring, found)
        return list(found.values())

    def _carries(self, stat: Stat) -> bool:
        """Whether the process carries the cookie. One seen without it is read again when it executes something else.

        It may be older than the run: a server's worker that waited for something to execute.
        """
        if self._cookie is None or stat.zombie or (ref_of(stat), stat.image) in self._strangers:
            return False
        cookie = cookie_of(stat.pid)
        if cookie is None:
            self._unsure = True
        elif cookie != self._cookie:
            self._strangers.add((ref_of(stat), stat.image))
        return cookie == self._cookie

    def _adopted(self, stat: Stat, born_here: frozenset[int]) -> bool:
        """Whether it came to us as an orphan of this run: a child we neither had nor started, in another session."""
        return (
            stat.ppid == os.getpid()
            and stat.session != os.getsid(0)
            and stat.pid not in born_here
            and ref_of(stat) not in self._before.children
            and not cookie_of(stat.pid)
        )

    def _reap(self, stat: Stat, *, adopted: bool) -> None:
        """Collect a dead orphan, if nobody here can have started it and be waiting for its status.

        That holds for members, for adopted processes, and for those of a session that is neither ours nor
        their own: a child started here is in one of those two.
        """
        if stat.ppid != os.getpid() or ref_of(stat) == self._first:
            return
        if adopted or ref_of(stat) in self._known or stat.session not in (os.getsid(0), stat.pid):
            try:
                os.waitpid(stat.pid, os.WNOHANG)
            except ChildProcessError:
                pass


def _add_with_offspring(member: Stat, offspring: Mapping[int, list[Stat]], found: dict[int, Stat]) -> None:
    waiting = [member]
    while waiting:
        stat = waiting.pop()
        if stat.pid not in found:
            found[stat.pid] = stat
            young = offspring.get(stat.pid)
            if young and _is_still(ref_of(stat)):
                waiting += young


def _is_still(process: ProcessRef) -> bool:
    """Whether the process, alive or a zombie, has its number yet: then it had it all the time we looked."""
    try:
        stat = Stat.of(process.pid)
    except PermissionError:
        return False
    return stat is not None and stat.start == process.start
