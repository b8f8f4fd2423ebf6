"""Whose hand something was, by the reflogs: agents are started so that git leaves their run's mark there.

A hint that tells an agent's honest detours from the operator's work, no proof: a reflog is a file that an agent can write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.worktree import attribution, refs, registration
from hpm_tools.worktree.log_lines import log_lines
from hpm_tools.worktree.registration import Registration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hpm_tools.worktree.log_lines import LogLine
    from hpm_tools.worktree.place import Place

LONGEST_LOG = 1 << 20
"""Bytes of a reflog that are read, from its end."""


class Reflogs:
    """A repository's reflogs, read as far as they tell what the agent of a run did."""

    def __init__(self, run_id: str, checkout: Place) -> None:
        self.mark = f"{attribution.MARK} {run_id}"
        self.checkout = checkout
        self._common = checkout.common_dir

    def marked(self, path: Path) -> bool:
        return any(line.reason.startswith(self.mark) for line in read_log(path))

    def marked_by_another(self, path: Path) -> bool:
        """Whether the agent of another run left its mark there, and ours did not."""
        reasons = [line.reason for line in read_log(path)]
        others = any(reason.startswith(f"{attribution.MARK} ") for reason in reasons)
        return others and not any(reason.startswith(self.mark) for reason in reasons)

    def made_by_others(self, branch: str) -> bool:
        """Whether the log of ``branch`` says that a person, or another run, put commits on it."""
        reasons = [line.reason for line in read_log(self._common / "logs" / refs.HEADS / branch)]
        if any(reason.startswith(self.mark) for reason in reasons):
            return False
        return any(reason and not reason.startswith("branch: ") for reason in reasons)

    def stashed_by_run(self, base: str, branch: str | None, time: int) -> bool | None:
        """Whether the reset that follows a stash has the run's mark; None where no reset is seen.

        `git stash push -- PATH` makes none.
        """
        for path in self._heads_of(branch):
            for line in read_log(path):
                # Times are whole seconds: the runner's own checkout may stand just before the stash.
                runners = line.reason == attribution.MARK or line.reason.startswith(f"{attribution.MARK}:")
                if line.old == line.new == base and line.time >= time and not runners:
                    return line.reason.startswith(self.mark)
        return None

    def _heads_of(self, branch: str | None) -> Iterator[Path]:
        if self.main_branch() == branch:
            yield self._common / "logs" / "HEAD"
        for found in registration.all_of(self._common):
            if found.head()[1] == branch:
                yield found.admin / "logs" / "HEAD"

    def main_branch(self) -> str | None:
        """The branch that is checked out in the main worktree, None when detached."""
        return Registration(self.checkout.root, self._common, None, None).head()[1]


def read_log(path: Path) -> list[LogLine]:
    """The newest entries of a reflog, oldest first; none where there is no such file."""
    return [line for line in log_lines(path, -LONGEST_LOG, LONGEST_LOG) if line.complete]
