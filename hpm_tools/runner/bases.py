"""From which commit a task starts where an agent moved the ref that says so: from where it stood before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.errors import Misconfigured
from hpm_tools.state.doubts import Doubts
from hpm_tools.state.paths import StateDir
from hpm_tools.worktree import refs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hpm_tools.config.model import Config
    from hpm_tools.ui import TerminalUI
    from hpm_tools.worktree.repository import Repository

PREFIXES = (refs.REMOTES, refs.HEADS, "refs/tags/", "refs/", "")
"""Remote branches first: a branch or tag that an agent named `origin/main` is none."""

DEEPEST = 5


def trusted(config: Config, repository: Repository, ui: TerminalUI) -> str | None:
    """``base_ref``, or the commit to use in its place where the ref was moved while an agent worked.

    Without ``base_ref`` the default branch is looked at. Raises Misconfigured if an agent's run made it.
    """
    doubts = Doubts(StateDir(config.home), str(repository.common_dir))
    if not doubts:
        return config.base_ref
    name = config.base_ref or repository.default_branch()
    if name is None:
        return None
    ids = refs.read(repository.git).ids
    doubted = False
    for prefix in PREFIXES:
        value, moved = _value(prefix + name, ids, doubts)
        doubted = doubted or moved
        if value is not None:
            if not doubted:
                return config.base_ref
            ui.warn(
                f"{name} was moved while an agent worked, so that new branches start from where it stood before: "
                f"{value[:12]}; to start from another commit, set base_ref to its id"
            )
            return value
    if doubted:
        raise Misconfigured(
            f"the base {name!r} was made while an agent worked",
            "set base_ref to the id of a commit that you trust",
        )
    return config.base_ref


def _value(name: str, ids: Mapping[str, str], doubts: Doubts) -> tuple[str | None, bool]:
    """What the ref ``name`` is to be read as, None if it is none; and whether it, or one that it names, is doubted."""
    doubted = False
    for _ in range(DEEPEST):
        value = ids.get(name)
        instead = doubts.believed(name, value)
        if instead is not None:
            value, doubted = instead[0], True
        if value is None or not value.startswith(refs.SYMBOLIC):
            return value, doubted
        name = value.removeprefix(refs.SYMBOLIC)
    return None, doubted
