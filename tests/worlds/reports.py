"""Whether what was reported as done is: against the ledgers of the agents and the commits that were made."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from hpm_tools.config.model import DROPPINGS
from tests.worlds import gitfiles
from tests.worlds.findable import (
    says,
)
from tests.worlds.history import (
    History,
)
from tests.worlds.ledger import HARMLESS, ledgers
from tests.worlds.remains import git_directory, trees

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.worlds.play import Story

DONE = {("dev_done", False), ("qa_done", True)}
"""(status, whether qa sets it)."""

BRANCH = re.compile(r"^branch: (\S+)$", re.MULTILINE)
COMMIT = re.compile(r"^(?:commit|seen at): ([0-9a-f]{40})$", re.MULTILINE)
NO_CHANGE = re.compile(r"^no change: ", re.MULTILINE)
CLAIMS = frozenset({"done", "no_change", "printed", "two", "too_much"})
"""Outcomes that say, in some way, that the task is done; ``rejected`` ends as qa's own status."""

OVERLOOKED = "which git overlooks as before the run"
"""How a report says of files that they are not committed, for their flag was there before the agent."""

LEFTOVERS = re.compile(r"task (\d+)(?:, unfinished)?: ")
"""Subject of a commit that a runner made of what its agent left."""

MARKED_AS_OTHERS = ("filter", "text", "eol", "ident", "working-tree-encoding", "crlf")
"""Attributes by which a file's bytes differ from its blob."""


class Work:
    """What the agents of one task did, by their ledgers: paths are relative to the place of each run."""

    def __init__(self, runs: list[dict[str, Any]]) -> None:
        self.runs = runs
        self.first, self.last = runs[0], runs[-1]
        self.sure = all(run["acting"] in HARMLESS for run in runs)
        self.start = self.relative(self.first, self.first["start"])
        self.touched: set[str] = set()
        for run in runs:
            self.touched |= {self.inside(run, path) for path in (*run["files"], *gone(run))}
        self.commits = {commit for run in runs for commit in run["commits"]}

    @staticmethod
    def inside(run: dict[str, Any], path: str) -> str:
        """``path`` as git names it in the repository; one elsewhere by the root that it lies below."""
        for root in sorted(run["roots"], key=len, reverse=True):
            if path.startswith(f"{root}/"):
                return path[len(root) + 1 :]
        return path

    def relative(self, run: dict[str, Any], files: dict[str, str]) -> dict[str, str]:
        return {self.inside(run, path): name for path, name in files.items()}

    @property
    def base(self) -> str | None:
        """The commit that the first run began with."""
        found: str | None = self.first.get("head")
        return found


def gone(ledger: dict[str, Any]) -> set[str]:
    """The paths at which something was deleted or changed."""
    return {path for path, _ in ledger["gone"]}


def works(story: Story) -> dict[int, Work]:
    runs: dict[int, list[dict[str, Any]]] = {}
    for ledger in ledgers(story.site.logs):
        if ledger["who"] == "agent":
            runs.setdefault(int(ledger["task"]), []).append(ledger)
    return {task: Work(found) for task, found in runs.items()}


def no_false_done(story: Story) -> Iterator[str]:
    """Whatever is reported as done is work of the task's own agents, and lies where the report says."""
    site = story.site
    git_dir = str(git_directory(site))
    history, done_by = History.of(git_dir), works(story)
    settings = site.settings.get("worktree") or {}
    droppings = settings.get("droppings", DROPPINGS)
    exact = not changes_bytes(story, git_dir)
    for row in [*story.rows, *story.probed]:
        role = story.agents.get(row["by"])
        if (row["status"], role == "qa") not in DONE or role is None:
            continue  # also what qa gave back: somebody else has reported it
        number, notes = row["id"], row["notes"]
        named = COMMIT.findall(notes)
        if not named:
            yield f"task {number} is {row['status']}, and its notes name no commit: {notes!r}"
            continue
        commit, branches = named[-1], BRANCH.findall(notes)
        unchanged = bool(NO_CHANGE.search(notes))
        yield from is_reached(history, number, commit, branches, story, unchanged=unchanged)
        work = done_by.get(number)
        if work is None:
            yield f"task {number} is {row['status']}, and no agent ever ran"
            continue
        outcome = work.last["outcome"]
        if outcome not in CLAIMS:
            yield f"task {number} is {row['status']}, and its last agent's outcome was {outcome}"
        if row["status"] != "dev_done":
            continue
        if unchanged and outcome != "no_change":
            yield f"task {number} is shown as no change, and its agent said {outcome}"
        if work.sure:
            yield from is_work(history, number, commit, work, unchanged=unchanged)
        if not unchanged:
            told = "\n".join(line for line in row["said"].splitlines() if OVERLOOKED in line)
            yield from holds_the_last_run(history, number, commit, work, droppings, told=told, exact=exact)
    yield from others_files(history, done_by, story)


def is_reached(
    history: History, number: int, commit: str, branches: list[str], story: Story, *, unchanged: bool
) -> Iterator[str]:
    """The commit is there, and on the branch that the report names."""
    if commit not in history.commits:
        yield f"task {number} is done with {commit[:12]}, which no reference reaches"
    elif branches and not unchanged:
        name = f"refs/heads/{branches[-1]}"
        moved = any(name in ref for ledger in ledgers(story.site.logs) for ref in ledger["refs"])
        tip = history.refs.get(name)
        if (tip is None or commit not in history.ancestors(tip)) and not moved:
            yield f"task {number} is done with {commit[:12]}, which {branches[-1]} does not reach"


def is_work(history: History, number: int, commit: str, work: Work, *, unchanged: bool) -> Iterator[str]:
    """The commit differs from the start of the first run by what agents of this task did; if not, the report says so."""
    real = {
        path
        for path, found in history.difference(work.base, commit).items()
        if work.start.get(path) != found and (path in work.touched or brought(history, commit, work, path))
    }
    if not real and not unchanged:
        yield f"task {number} is dev_done with {commit[:12]}, which changes nothing: {sorted(work.touched)}"


def brought(history: History, commit: str, work: Work, path: str) -> bool:
    """Whether a commit that this task's agents made, or made known, changes the file."""
    return any(path in history.commits[name].changed for name in history.ancestors(commit) & work.commits)


def holds_the_last_run(
    history: History, number: int, commit: str, work: Work, droppings: Any, *, told: str, exact: bool
) -> Iterator[str]:
    """Every file that the last run has changed in its place is in the commit, as it was; what it deleted is not.

    ``told``: where people are told what is not in it, because the operator had git overlook it before.
    """
    last = work.last
    tree, place = history.tree(commit), f"{last['cwd']}/"
    apart = {*last["ignored"], *last["odd"]}
    inner = tuple(f"{top}/" for top in last["nested"])
    left = {
        path.removeprefix(place): name
        for path, name in last["files"].items()
        if path not in apart and path.startswith(place) and not path.startswith(inner)
    }
    if last["away"]:
        left = dict.fromkeys(moved(last, place, apart))
    for inside, name in left.items():
        if any(fnmatchcase(part, pattern) for part in inside.split("/") for pattern in droppings):
            continue
        if says(told, inside):
            continue
        if inside not in tree:
            yield f"task {number} is dev_done, and {inside} of its last run is not in {commit[:12]}"
        elif name not in (None, tree[inside]) and exact:
            yield f"task {number} is dev_done, and {inside} is not in {commit[:12]} as its last run left it"
    if last["away"]:
        return  # nothing was deleted of a place that was moved, or deleted, as a whole
    for path in gone(last) - last["files"].keys() - apart:
        inside = path.removeprefix(place)
        if path.startswith(place) and not path.startswith(inner) and inside in tree:
            yield f"task {number} is dev_done, and {inside}, deleted by its last run, is still in {commit[:12]}"


def moved(last: dict[str, Any], place: str, apart: set[str]) -> Iterator[str]:
    """The files that the last run had in its place and has, unchanged, in another one: it moved all of it there."""
    lost = {(path.removeprefix(place), name) for path, name in last["gone"] if path.startswith(place)}
    for top in (*last["roots"][1:], *last["nested"]):
        for path, name in last["files"].items():
            inside = path.removeprefix(f"{top}/")
            if path not in apart and (inside, name) in lost:
                yield inside


def others_files(history: History, done_by: dict[int, Work], story: Story) -> Iterator[str]:
    """A runner's own commit holds what the agents of its task left: nobody else's files, and no set-up's."""
    others: dict[tuple[str, str], str] = {}
    began: dict[tuple[str, str], int] = {}
    for ledger in ledgers(story.site.logs):
        who = f"task {ledger['task']}" if ledger["who"] == "agent" else ledger["who"]
        for path, name in ledger["files"].items():
            key = Work.inside(ledger, path), name
            others.setdefault(key, who)
            began.setdefault(key, ledger["began"])
    for commit in history.commits.values():
        found = LEFTOVERS.match(commit.subject)
        work = done_by.get(int(found[1])) if found else None
        if work is None or not work.sure or len(commit.parents) != 1:
            continue
        said = f"{commit.name[:12]} of task {work.first['task']}"
        base = history.tree(work.base) if work.base is not None else {}
        for path, name in commit.changed.items():
            if path in work.touched or (name is not None and base.get(path) == name):
                continue  # what its agent took out of the history by a reset, and left lying there, goes in again
            whose = others.get((path, name or ""))
            if whose == "person" and began[path, name or ""] >= work.first["began"]:
                continue  # in one checkout nobody can tell whose a file is that came while the agent worked
            if name is not None and whose is not None:
                yield f"{said} holds {path}, written by {whose}"
            elif work.start.get(path) == name:
                yield f"{said} holds {path}, which was so before its agent began"
            elif path in work.start:  # a new one may be of a program that the agent has left at work
                yield f"{said} changes {path}, which its agents did not touch"


def changes_bytes(story: Story, git_dir: str) -> bool:
    """Whether some configuration or attribute has git store other bytes than a file has."""
    before = story.before
    inside = before.inside if before is not None else gitfiles.own_files(git_dir)
    texts = [text for path, text in inside.items() if path.endswith(("config", "attributes"))]
    for top in (story.site.repo, *trees(story.site).glob("task-*")):
        found = (path for path in top.rglob(".gitattributes") if path.is_file())
        texts += [path.read_text(encoding="utf-8", errors="replace") for path in found]
    home = story.site.home / ".gitconfig"
    texts.append(home.read_text(encoding="utf-8", errors="replace") if home.is_file() else "")
    words = (*MARKED_AS_OTHERS, "autocrlf", "[filter")
    return any(word in text for text in texts for word in words) or os.path.isdir(f"{git_dir}/lfs")
