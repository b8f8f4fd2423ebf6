"""Whether the repository is in a state to work in: what it is not stops pick-up until it is mended."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpm_tools.runner.policy import back_off
from hpm_tools.worktree import filters, refused_config
from hpm_tools.worktree.git import Git, GitError
from hpm_tools.worktree.specials import Unsound, refuse_misplaced

if TYPE_CHECKING:
    from hpm_tools.errors import HpmError
    from hpm_tools.runner.toolbox import Toolbox


class Soundness:
    """Looks before each pick-up, and tells once when what it finds begins and when it is over."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools
        self._told = ""
        self._in_a_row = 0
        self._doubted = False
        self._config: tuple[int, ...] = ()

    def refuse_unsound(self) -> None:
        """Raise Unsound or GitError if the repository cannot be worked in."""
        self._tools.repository.refuse_replaced()
        git = Git(self._tools.repository.place)
        refuse_misplaced(git.place)
        self._refuse_refused_config(git)
        filters.refuse_unapproved(git)

    def _refuse_refused_config(self, git: Git) -> None:
        """Ask git where the configuration has changed since it was last asked: else it would cost each pick-up a process."""
        try:
            found = os.stat(git.place.common_dir / "config")
        except OSError:
            return
        seen = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if seen != self._config:
            refused_config.refuse_refused(git)
            self._config = seen

    def pause(self) -> float:
        """Seconds to wait before the next look, if nothing may be taken now; else 0."""
        try:
            self.refuse_unsound()
            if self._doubted:
                self._tools.repository.dirty()
        except (Unsound, GitError) as error:
            return self.refused(error)
        if self._told:
            self._tools.tell("health_restored", text="the repository can be worked in again")
        self._told, self._in_a_row, self._doubted = "", 0, False
        return 0.0

    def refused(self, error: HpmError) -> float:
        """Seconds to wait after ``error``, at which git broke off in the checkout; from now on it is looked at, too."""
        self._doubted = True
        self._tell(error)
        self._in_a_row += 1
        return back_off(self._in_a_row - 1, self._tools.config.retry_pause)

    def _tell(self, error: HpmError) -> None:
        if self._told != error.message:
            self._told = error.message
            way_out = f" ({error.hint})" if error.hint else ""
            self._tools.tell("health_failed", text=f"no task is taken: {error.message}{way_out}")
