"""From which commit a task starts where an agent moved the ref that says so: from where it stood before."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from hpm_tools.errors import NotFound
from hpm_tools.names import shown
from hpm_tools.runner import own_moves
from hpm_tools.state.doubts import Doubts
from hpm_tools.state.ref_moves import RefMoves
from hpm_tools.worktree import attribution, refs
from hpm_tools.worktree.belief import PREFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.paths import StateDir
    from hpm_tools.worktree.belief import Believed
    from hpm_tools.worktree.repository import Repository


def believed(state: StateDir, repository: Repository, run_id: str | None = None) -> Believed | None:
    """What this host knows of refs that agents moved; None if it doubts none and no agent is at work.

    A ref that is moved by an agent which is still at work is doubted as one that was moved by an earlier one.
    ``run_id`` is the run that asks.
    """
    doubts = Doubts(state, str(repository.common_dir))
    at_work = sorted(
        own_moves.others(state, str(repository.common_dir), run_id), key=lambda snapshot: snapshot.at
    )
    if not doubts and not at_work:
        return None
    journal = RefMoves(state, str(repository.common_dir))
    before = {other.run_id: other.all_refs() or {} for other in at_work}

    def value(name: str, now: str | None) -> tuple[str | None] | None:
        if doubts.is_trusted(name, now):
            return None
        if name == refs.MAIN_HEAD and attribution.explained(repository.common_dir, name, None, now):
            return None  # somebody has been there since, and chose it
        known = doubts.believed(name, now)
        if known is not None:
            return known
        for other in at_work:
            if name == refs.MAIN_HEAD and not other.place.linked:
                continue  # the checkout is its own
            old = before[other.run_id].get(name)
            new_branch = old is None and name.startswith(refs.HEADS)
            if old == now or name == other.own_ref:
                continue
            if new_branch and not refs.would_be_default(name, before[other.run_id]):
                continue
            began = old or "0" * len(now or "")
            if attribution.explained(other.place.common_dir, name, began, now):
                continue
            if old is not None and own_moves.is_known(at_work, journal, other.at, ref=name, old=old, new=now):
                continue
            return (old,)
        return None

    return value


def doubted_checkout(state: StateDir, repository: Repository) -> tuple[str, str] | None:
    """Why an agent may have chosen what the main checkout holds, and by which ref: HEAD, or the branch; else None."""
    value = believed(state, repository)
    if value is None:
        return None
    head = repository.head(repository.root)
    where = head.branch or str(head.commit)[:12]
    if value(refs.MAIN_HEAD, refs.main_head(repository.git).get(refs.MAIN_HEAD)) is not None:
        return f"the checkout was put on {where} while an agent worked", refs.MAIN_HEAD
    branch = f"{refs.HEADS}{head.branch}"
    if head.branch and value(branch, head.commit) is not None:
        return f"the checkout is on {branch}, which was moved while an agent worked", branch
    return None


def way_out(repository: Repository, ref: str) -> str:
    """The command by which the operator says that a doubted ref is where it should be."""
    return f"hpm trust --repo {shlex.quote(str(repository.root))} --ref {shlex.quote(ref)}"


def trust(state: StateDir, repository: Repository, name: str) -> tuple[str, bool]:
    """Doubt a ref no longer as it is now: its full name, and whether that is new. NotFound if there is no such ref."""
    doubts = Doubts(state, str(repository.common_dir))
    now = refs.read(repository.git).ids
    for ref in (prefix + name for prefix in PREFIXES):
        if ref in now or doubts.believed(ref, None) is not None:
            return ref, doubts.trust(ref, now.get(ref))
    raise NotFound(f"{repository.root} has no ref {shown(name, 200)}", "git for-each-ref lists them")


def say_doubted(tools: Toolbox, doubted: Iterable[str]) -> None:
    """Warn of the refs in whose place an older value was used."""
    for name in doubted:
        tools.ui.warn(
            f"{name} was moved while an agent worked, so that new branches start from where it stood before; "
            f"if it is right as it is now: {way_out(tools.repository, name)}"
        )
