"""Whether what was told is true, and enough: of branches, moved references, work that is called none, and losses."""

from __future__ import annotations

import re
from functools import (
    partial,
)
from pathlib import (
    Path,
)
from typing import TYPE_CHECKING, Any

from tests.worlds import gitfiles
from tests.worlds.findable import says
from tests.worlds.history import History
from tests.worlds.ledger import content, ledgers
from tests.worlds.remains import forgotten_runs, git_directory
from tests.worlds.reports import LEFTOVERS, Work, works

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.worlds.play import Story

HEADS = "refs/heads/"
OWNER = "refs/hpm/owner/"
RESERVED = frozenset(
    {"refs", "heads", "tags", "remotes", "notes", "replace", "stash", "bisect", "hpm", "worktrees"}
)
"""First parts of a branch's name by which git, or a person, takes it for another kind of reference."""

PSEUDO = re.compile(r"(?:[A-Z]+_)?HEAD|[0-9a-f]{7,40}")
UNWATCHED = ("refs/hpm/", "refs/stash", "refs/bisect/", "refs/worktree/", "refs/rewritten/")
NOTHING = "nothing was changed"
CLAIMED = re.compile(r"its work: (\d+) commits? on (\S+?)[;,\s]")
MOVED = re.compile(r"refs/heads/(\S+) was moved from ([0-9a-f]{12}) to ([0-9a-f]{12})")
LOST = re.compile(r"^\S+ \S+ task (\d+): lost after", re.MULTILINE)
OFFERED_TO_NOBODY = ("qa_done", "committed")


def sound_branches(story: Story) -> Iterator[str]:
    """No branch was made for a task that git reads as something else."""
    now, before = references(story), before_of(story)
    remotes = {name.split("/")[2] for name in before if name.startswith("refs/remotes/")}
    for name in now:
        branch = name.removeprefix(OWNER)
        if not name.startswith(OWNER) or HEADS + branch not in now or HEADS + branch in before:
            continue
        first = branch.partition("/")[0]
        if first in RESERVED | remotes or PSEUDO.fullmatch(branch) or f"refs/tags/{branch}" in before:
            yield f"the branch {branch} was made for a task, and reads as something else"


def moves_told(story: Story) -> Iterator[str]:
    """Of every reference that an agent moved, made or deleted, but its task's branch and new branches, people are told.

    Not of what it did in a run of which nobody knows any more how it began. A ledger takes for its agent's whatever
    moved during an act: so may the checkout's branch, on which the agent of another runner works.
    """
    before, now = known_before(story), references(story)
    forgotten = forgotten_runs(story)
    kept = ledgers(story.site.logs)
    others_in_place = len(story.agents) > 1 and any(map(partial(is_in_place, story), kept))
    for ledger in kept:
        if (ledger.get("task"), ledger.get("run")) in forgotten:
            continue
        in_place = others_in_place or is_in_place(story, ledger)
        names = (
            {key.rpartition(" ")[2] for key in ledger.get("refs", {}) if key.startswith(f"{git_dir(story)} ")}
            if ledger["who"] == "agent"
            else set()
        )
        for name in sorted(names):
            if not name.startswith("refs/") or name.startswith(UNWATCHED) or name in story.words:
                continue
            if name.startswith(HEADS):
                owned = OWNER + name.removeprefix(HEADS) in now
                if (
                    name not in before
                    or owned
                    or (in_place and name == f"{HEADS}{branch_of_checkout(story)}")
                ):
                    continue
            yield f"{name} was moved by the agent of task {ledger['task']}, and nobody was told"


def is_in_place(story: Story, ledger: dict[str, Any]) -> bool:
    return ledger.get("cwd") == str(story.site.repo)


def known_before(story: Story) -> set[str]:
    """The references of the repository before agents came; where it is a clone that a person made, those he has made."""
    place, before = git_dir(story), story.before
    if before is None or before.git_dir == place:
        return set(before_of(story))
    people = (ledger for ledger in ledgers(story.site.logs) if ledger["who"] != "agent")
    made = (key.partition(" ") for ledger in people for key in ledger["refs"])
    return {name for there, _, name in made if there == place}


def own_base(story: Story) -> Iterator[str]:
    """No maker's task starts from a commit that another task's agent made in a worktree of its own."""
    if any(ledger["who"] != "agent" and ledger.get("refs") for ledger in ledgers(story.site.logs)):
        return  # a person may have merged it
    history, done_by = History.of(git_dir(story)), works(story)
    made = {task: made_apart(story, work) for task, work in done_by.items()}
    for task, work in done_by.items():
        others = set().union(*(found for other, found in made.items() if other != task))
        reviewed = task <= len(story.world.tasks) and story.world.tasks[task - 1].kind == "review"
        if work.base is not None and not reviewed and (found := history.ancestors(work.base) & others):
            yield f"task {task} starts from {min(found)[:12]}, which another task's agent made"


def made_apart(story: Story, work: Work) -> set[str]:
    apart = (run for run in work.runs if f"{story.site.repo}/.worktrees/" in f"{run['cwd']}/")
    return {commit for run in apart for commit in run["commits"]}


def true_nothing(story: Story) -> Iterator[str]:
    """Where people are told that nothing was changed, nothing that was still lies there or in the stash.

    What lies in the checkout, outside the task's place, may be told apart from that, by its name. What an agent does
    elsewhere on the host nobody can know.
    """
    stashes = gitfiles.tips(git_dir(story))
    stashed = {
        commit for name, commit in stashes.items() if name.startswith(("refs/stash", "logs/refs/stash"))
    }
    for row in story.rows:
        work = works(story).get(row["id"])
        lines = [line.strip() for line in row["said"].splitlines()]
        if work is None or NOTHING not in lines or len(work.runs) > 1:
            continue
        last = work.last
        apart = {*last["ignored"], *last["odd"]}
        nested = tuple(f"{place}/" for place in last["nested"])
        for path, name in last["files"].items():
            own = path not in apart and (not path.startswith(nested) or is_submodule(last, path))
            if not path.startswith(f"{last['cwd']}/"):
                own &= path.startswith(f"{story.site.repo}/") and not says(
                    row["said"], Path(path).name, below=True
                )
            if own and content(path) == name:
                yield f"task {row['id']}: {NOTHING}, it says, but {path} was"
        for commit in stashed & set(last["commits"]):
            yield f"task {row['id']}: {NOTHING}, it says, but {commit[:12]} was stashed"


def is_submodule(ledger: dict[str, Any], path: str) -> bool:
    """Whether the file lies in a repository that was there before the agent."""
    tops = [place for place in ledger["nested"] if path.startswith(f"{place}/")]
    return bool(tops) and any(found.startswith(f"{max(tops, key=len)}/") for found in ledger["start"])


def true_counts(story: Story) -> Iterator[str]:
    """A branch that is said to hold so many commits of a task holds as many that nobody had before."""
    now, history = references(story), History.of(git_dir(story))
    undone = {
        key.rpartition(" ")[2]
        for ledger in ledgers(story.site.logs)
        if ledger["who"] != "agent"
        for key in ledger["refs"]
    }
    old = set().union(*(history.ancestors(commit) for commit in before_of(story).values()))
    for number, branch in set(CLAIMED.findall(f"{story.words}\n")):
        tip = now.get(HEADS + branch)
        if tip is None or HEADS + branch in undone:  # a person may have moved it back
            continue
        if len(history.ancestors(tip) - old) < int(number):
            yield f"{number} commits are said to be on {branch}, which has {len(history.ancestors(tip) - old)} new ones"


def no_false_alarm(story: Story) -> Iterator[str]:
    """No commit that a task made in the checkout, as it should, is told as somebody's tampering.

    Where an agent has changed the record of the runner in the checkout nobody can know who works there.
    """
    forged = {
        runner.agent
        for runner in story.site.launched
        if f"the record of agent {runner.agent};" in runner.output
    }
    if any(f"works in {story.site.repo} on" in r.output for r in story.site.launched if r.agent in forged):
        return
    history = History.of(git_dir(story))
    here = {
        commit
        for ledger in ledgers(story.site.logs)
        if ledger["who"] == "agent" and ledger["cwd"] == str(story.site.repo)
        for commit in ledger["commits"]
    }
    for branch, old, short in set(MOVED.findall(story.words)):
        new = next((commit for name, commit in history.commits.items() if name.startswith(short)), None)
        if (
            new is not None
            and any(name.startswith(old) for name in history.ancestors(new.name))  # else it was rewritten
            and (new.name in here or LEFTOVERS.match(new.subject))
            and branch_of_checkout(story) == branch
        ):
            yield f"{branch} is told as moved to {short}, which is task work: {new.subject!r}"


def no_needless_loss(story: Story) -> Iterator[str]:
    """No task that nobody else touched is given up as lost, and left under work."""
    lost = {int(number) for number in LOST.findall(story.words)}
    for row in story.rows:
        words = "SELECT changed_by FROM changelog WHERE task_id = ?"
        if row["status"] != "under_work" or row["locked_by"] is not None or row["id"] not in lost:
            continue
        if {str(who) for (who,) in story.site.board.sql(words, row["id"])} <= {*story.agents, "pm1"}:
            yield f"task {row['id']} was given up as lost, though nobody else took it"


def not_taken_back(story: Story) -> Iterator[str]:
    """Nobody holds what the board offers to nobody."""
    for row in story.rows:
        if row["status"] in OFFERED_TO_NOBODY and row["locked_by"] is not None:
            yield f"task {row['id']} is {row['status']}, and locked by {row['locked_by']}"


def git_dir(story: Story) -> str:
    return str(git_directory(story.site))


def references(story: Story) -> dict[str, str]:
    return gitfiles.references(git_dir(story))


def before_of(story: Story) -> dict[str, str]:
    """The references before any runner came, of the repository that runners use in the end."""
    if (made := story.site.made_later.get(git_dir(story))) is not None:
        return made
    return story.before.refs if story.before is not None else {}


def branch_of_checkout(story: Story) -> str:
    return references(story).get("HEAD", "").removeprefix("ref: ").removeprefix(HEADS)


TRUTHS: dict[str, Callable[[Story], Iterator[str]]] = {
    "branches": sound_branches,
    "moves": moves_told,
    "base": own_base,
    "nothing": true_nothing,
    "counts": true_counts,
    "alarm": no_false_alarm,
    "needless": no_needless_loss,
    "taken back": not_taken_back,
}
