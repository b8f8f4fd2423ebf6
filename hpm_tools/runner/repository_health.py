"""What `health` looks at in the repository: its checkout, its submodules, and what earlier tasks left in it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from hpm_tools.runner import occupancy
from hpm_tools.runner.health_line import Line
from hpm_tools.state.persistence import all_records
from hpm_tools.text import counted, one_line, size
from hpm_tools.worktree import (
    filters,
    layout,
    partial_clone,
    reachability,
    restore,
    submodule_fill,
    submodule_work,
    unborn,
)
from hpm_tools.worktree import git as safe_git
from hpm_tools.worktree.git import COMPLETE, Git
from hpm_tools.worktree.specials import Unsound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpm_tools.runner.toolbox import Toolbox


def git() -> Iterator[Line]:
    """Whether git is there, and new enough."""
    yield Line("git", True, safe_git.version())


def repository(tools: Toolbox) -> Iterator[Line]:
    """Whether the repository can be worked in, and whose the changes in its checkout are."""
    repository = tools.repository
    try:
        filters.refuse_unsound(Git(repository.place))
    except Unsound as error:
        yield Line("repository", False, error.message, error.hint)
        return
    inner = Git(repository.place)
    dirty = [*repository.dirty(repository.root), *submodule_work.uncommitted(inner)]
    facts = {"root": str(repository.root), "dirty": len(dirty)}
    changes = counted(len(dirty), "uncommitted change")
    claim = occupancy.claim(tools)
    unfinished = reachability.in_progress(repository.common_dir)
    if claim is not None and claim.unfinished:
        has = f" has {changes}" if dirty else ""  # it may be clean, and on another branch
        text = f"{repository.root}{has}: {claim.text}, and minor tasks of other agents wait"
        yield Line("repository", None, text, claim.hint, facts)
    elif claim is not None:
        yield Line("repository", True, f"{repository.root}: {claim.text}", "", facts)
    elif repository.head().commit is None:
        why = unborn.explain(repository)
        text = f"{repository.root} {why.what}: a task that needs a worktree is given back"
        yield Line("repository", None, text, why.way_out, facts)
    elif unfinished:
        yield Line(
            "repository",
            None,
            f"{repository.root} has a {unfinished} in progress: minor tasks go into worktrees",
            "finish it, or give the runners a clone of their own",
            facts,
        )
    elif dirty:
        yield Line(
            "repository",
            None,
            f"{repository.root} has {changes}: minor tasks go into worktrees",
            f"commit or stash them (git -C {shlex.quote(str(repository.root))} status), "
            "or give the runners a clone of their own",
            facts,
        )
    else:
        yield Line("repository", True, f"{repository.root} is clean", "", facts)


def missing_objects(tools: Toolbox) -> Iterator[Line]:
    """Whether a partial clone has what a new task starts from."""
    repository = tools.repository
    if not partial_clone.is_partial(repository.git):
        return
    base = tools.config.base_ref or repository.default_branch() or "HEAD"
    commit = repository.resolve(base) or repository.resolve(f"origin/{base}")
    if commit is None:
        return
    missing = partial_clone.missing(repository.git, commit)
    facts = {"base": base, "missing": missing}
    if missing:
        lacks = f"{counted(missing, 'object')} of {base}"
        text = f"the clone is partial and has not {lacks}: a task that needs a worktree of it is given back"
        yield Line("partial clone", None, text, COMPLETE, facts)
    else:
        yield Line("partial clone", True, f"all of {base} is here", "", facts)


def submodules(tools: Toolbox) -> Iterator[Line]:
    """What worktrees get of the repository's submodules, at what cost."""
    repository = tools.repository
    found = submodule_fill.supply(Git(repository.place), repository.common_dir)
    if not found.count:
        return
    took = "none was filled yet" if found.seconds is None else f"the last one took {found.seconds:.1f} s"
    text = f"{counted(found.count, 'submodule')}, {size(found.bytes)} here for worktrees; {took}"
    facts = {"count": found.count, "missing": found.missing, "bytes": found.bytes, "seconds": found.seconds}
    if found.missing:
        yield Line(
            "submodules",
            None,
            f"{text}; worktrees get no {', '.join(found.missing[:5])}",
            submodule_fill.way_to_supply(repository.root, found.missing),
            facts,
        )
    else:
        yield Line("submodules", True, text, "", facts)


def worktrees(tools: Toolbox) -> Iterator[Line]:
    """What earlier tasks left, and why it stays."""
    salvages = [found for found in restore.salvages(tools.repository.git) if not found.merged]
    if salvages:
        yield Line(
            "salvage",
            None,
            f"{counted(len(salvages), 'piece')} of work kept on no branch",
            "hpm worktree.list shows them; hpm worktree.restore --ref REF brings one back",
            {"count": len(salvages)},
        )
    for path in layout.kept_directories(tools.worktrees.base):
        yield Line("kept", None, f"{path} was set aside, in doubt", "look at it, then delete it by hand")
    in_use = {view.record.worktree_path for view in all_records(tools.state) if view.record is not None}
    for found in tools.worktrees.list():
        if not found.missing and str(found.path) not in in_use:
            reason, way_out = map(one_line, found.why_kept)
            yield Line(
                "worktree",
                None,
                f"{found.path} is still there, though no lock here names it"
                + (f"; it was not removed, because {reason}" if reason else ""),
                way_out
                or f"hpm worktree.remove --path {found.path} saves what is in it, or says what keeps it",
                {"path": str(found.path), "task_id": found.key.id if found.key else None},
            )
