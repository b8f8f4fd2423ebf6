"""Whether anything is lost: what was in its place when a run ended, against all that can be found."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hpm_tools.config.model import REGENERABLE
from hpm_tools.worktree.archive import is_regenerable
from tests.worlds.findable import Findable
from tests.worlds.ledger import HARMLESS, NOTHING, ledgers
from tests.worlds.remains import forgotten_runs, trees

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.worlds.play import Story


@dataclass
class Claims:
    """What must be found: path and blob, or commit → who wrote it.

    ``theirs``: agents', which agents may destroy. ``untold``: those of them of which nobody can tell.
    """

    trees: str
    files: dict[tuple[str, str], str] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)
    theirs: set[object] = field(default_factory=set)
    untold: set[object] = field(default_factory=set)
    made: dict[str, set[str]] = field(default_factory=dict)
    """Worktree → what git and `worktree.setup` had put there when its first agent came: no agent's, wherever it moves it."""

    def add(self, ledger: dict[str, Any], patterns: Sequence[str], *, forgotten: bool = False) -> None:
        """One run or act more, in the order in which they happened; ``forgotten``: nobody knows of it any more."""
        who = writer(ledger)
        if ledger["acting"] not in HARMLESS:
            self.forget_below(ledger["roots"])
            return
        agent = ledger["who"] == "agent"
        gone = {(path, name) for path, name in ledger["gone"]}
        blobs = {name for _, name in gone}
        for key in [*self.files]:
            # What an agent moved or changed is gone by its own hand; a person's things only where they lay.
            if key in gone or (key in self.theirs and key[1] in blobs):
                del self.files[key]
        for commit in ledger["gone_commits"]:
            if commit in self.theirs or not agent:
                self.commits.pop(commit, None)
        if ledger["who"] == "fault":
            return
        if agent and ledger["run"] == 1 and f"{ledger['cwd']}/".startswith(self.trees):
            self.made.setdefault(ledger["cwd"], set(ledger["start"].values()))
        made = self.made.get(ledger.get("cwd", ""), set())
        ignored = set(ledger["ignored"])
        for path, name in ledger["files"].items():
            if (
                name != NOTHING
                and name not in made
                and not (path in ignored and is_regenerable(path, patterns))
            ):
                self.files[path, name] = who
                if agent:
                    self.theirs.add((path, name))
                if forgotten:
                    self.untold.add((path, name))
        for commit in ledger["commits"]:
            self.commits.setdefault(commit, who)
            if agent:
                self.theirs.add(commit)
            if forgotten:
                self.untold.add(commit)

    def forget_below(self, roots: Sequence[str]) -> None:
        """Somebody died in the middle of an act: nobody knows what it had destroyed by then."""
        tops = tuple(f"{root}/" for root in roots)
        for key in [key for key in self.files if key in self.theirs and key[0].startswith(tops)]:
            del self.files[key]
        for commit in [commit for commit in self.commits if commit in self.theirs]:
            del self.commits[commit]


def writer(ledger: dict[str, Any]) -> str:
    if ledger["who"] != "agent":
        return f"the {ledger['who']}"
    return f"the agent of task {ledger['task']}, run {ledger['run']}"


def claims(story: Story) -> Claims:
    """All that must be found in the end."""
    before = story.before
    found = Claims(f"{trees(story.site)}/")
    if before is not None:
        found.files |= dict.fromkeys(before.files.items(), "the operator")
        found.commits |= dict.fromkeys(before.commits, "the operator")
    worktree = story.site.settings.get("worktree") or {}
    patterns = worktree.get("regenerable", REGENERABLE)
    forgotten = forgotten_runs(story)
    for ledger in ledgers(story.site.logs):
        if ledger["who"] != "repair":  # what a person does by commands must lose nothing either
            run = ledger.get("task"), ledger.get("run")
            found.add(ledger, patterns, forgotten=run in forgotten)
    return found


def nothing_lost(story: Story) -> Iterator[str]:
    """Every byte in its place when its run ended can be found, and people know where to look."""
    wanted = claims(story)
    found = Findable(story.site, story.words)
    to_tell = wanted.theirs - wanted.untold
    for (path, name), who in wanted.files.items():
        if name not in found.everything:
            yield f"{os.path.relpath(path, story.site.directory)}, written by {who}, is nowhere"
        elif (path, name) in to_tell and name not in found.named:
            yield f"{os.path.relpath(path, story.site.directory)}, written by {who}, is where nobody is told of"
    for commit, who in wanted.commits.items():
        if commit not in found.everything:
            yield f"commit {commit[:12]}, made by {who}, is nowhere"
        elif commit in to_tell and commit not in found.named:
            yield f"commit {commit[:12]}, made by {who}, is where nobody is told of"
