"""Whether a runner takes care of places and of the repository: what it makes is whole, and what it stores may be stored."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools.errors import MISCONFIGURED
from hpm_tools.worktree.bounds import MOST_BYTES, MOST_FILES
from tests.worlds import gitfiles
from tests.worlds.history import History
from tests.worlds.ledger import content, ledgers
from tests.worlds.remains import git_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.worlds.history import Commit
    from tests.worlds.play import Story
    from tests.worlds.site import Runner

STORED = re.compile(r"task \d+(?:, unfinished)?: |hpm salvage: task ")
"""Subjects of the commits in which a runner stores what an agent left."""

OF_GIT = re.compile(r"(?:^|/)\.git(?!hub/|lab/|ea/)[^/]*/(?:HEAD|config|hooks/.*|objects/.*|refs/.*)$")
"""What lies in a repository's own directory, also where somebody gave that another name."""


def git(place: Path | str, *words: str, feed: str = "", index: str = "") -> str:
    """What git says; nothing where it fails."""
    env = {**os.environ, **({"GIT_INDEX_FILE": index} if index else {})}
    command = [
        "git",
        "--no-optional-locks",
        "-c",
        "safe.directory=*",
        "-c",
        "core.fsmonitor=false",
        "-C",
        str(place),
        *words,
    ]
    done = subprocess.run(
        command, input=feed, capture_output=True, text=True, errors="surrogateescape", check=False, env=env
    )
    return done.stdout if done.returncode == 0 else ""


def whole_places(story: Story) -> Iterator[str]:
    """A new worktree has what the operator's checkout has of the same commit: through filters, and in submodules."""
    site = story.site
    kept, now = site.directory / "backup" / "config", site.repo / ".git" / "config"
    if (site.settings.get("worktree") or {}).get("setup") or not (kept.is_file() and now.is_file()):
        return
    if kept.read_bytes() != now.read_bytes():
        return  # an agent has changed it: nobody can tell what held before
    seen: set[int] = set()
    for ledger in ledgers(site.logs):
        if ledger["who"] != "agent" or ledger["task"] in seen:
            continue
        seen.add(ledger["task"])
        place = Path(ledger["cwd"])
        base = ledger.get("head")
        if place.parent.name != ".worktrees" or ledger["run"] != 1 or not base:
            continue
        for path, wanted in expected(site.repo, base):
            if ledger["start"].get(str(place / path)) != wanted:
                yield f"the worktree of task {ledger['task']} did not have {path} as the checkout has it"


def expected(repo: Path, base: str) -> Iterator[tuple[str, str]]:
    """(path, name of its content) of what the checkout ``repo`` holds unchanged of the commit ``base``.

    Of repositories inside, those that are submodules: git has the objects of others in no place but theirs.
    """
    # `diff`, unlike `diff-files`, looks into files whose times alone are not those of the index.
    words = ("diff", "--name-only", "-z", "--no-ext-diff", "--ignore-submodules=none")
    changed = set(git(repo, *words).split("\0"))
    # Lower case and S: the index is told not to look whether they have changed.
    changed |= {line[2:] for line in git(repo, "ls-files", "-v", "-z").split("\0") if line[:1] not in "HMRCK"}
    if any(path.endswith(".gitattributes") for path in changed):
        return
    staged = {}
    for line in git(repo, "ls-files", "--stage", "-z").split("\0"):
        facts, _, path = line.partition("\t")
        if path and path not in changed:
            mode, name, _ = facts.split(" ")
            staged[path] = mode, name
    for line in git(repo, "ls-tree", "-r", "-z", base).split("\0"):
        facts, _, path = line.partition("\t")
        if not path or staged.get(path) != tuple(facts.split(" ")[::2]):
            continue
        mode, _, name = facts.split(" ")
        inner = repo / path
        if mode != "160000":
            found = content(str(inner))
            if found is not None:
                yield path, found
        elif is_submodule(inner, repo) and git(inner, "rev-parse", "HEAD").strip() == name:
            yield from ((f"{path}/{below}", found) for below, found in expected(inner, name))


def is_submodule(inner: Path, repo: Path) -> bool:
    """Whether git keeps the repository at ``inner`` among the modules of the one at ``repo``."""
    own, outer = gitfiles.common_directory(str(inner)), gitfiles.common_directory(str(repo))
    return own is not None and outer is not None and own.startswith(f"{outer}/modules/")


def within_limits(story: Story) -> Iterator[str]:
    """No more of what an agent left is taken into git at once than two settings allow; what it has there itself is no more."""
    site = story.site
    settings = {**(site.settings.get("worktree") or {})}
    most_files = int(
        site.more.get("HEADLESS_PM_WORKTREE_MAX_FILES") or settings.get("max_files") or MOST_FILES
    )
    most_bytes = int(
        site.more.get("HEADLESS_PM_WORKTREE_MAX_BYTES") or settings.get("max_bytes") or MOST_BYTES
    )
    git_dir = str(git_directory(site))
    own: set[str] | None = None
    for commit in stored(git_dir):
        names = {name for name in commit.changed.values() if name is not None}
        if len(names) > most_files or size(git_dir, names) > most_bytes:
            own = stored_by_agents(story, git_dir) if own is None else own
            names -= own
        if len(names) > most_files or size(git_dir, names) > most_bytes:
            total = size(git_dir, names)
            yield f"{commit.name[:12]} holds {len(names)} files with {total} bytes, more than is to be taken in at once"


def size(git_dir: str, names: set[str]) -> int:
    """The bytes of these objects together."""
    asked = gitfiles.run(git_dir, "cat-file", "--batch-check=%(objectsize)", feed="\n".join(names))
    return sum(int(found) for found in asked.stdout.split() if found.isdecimal())


def stored_by_agents(story: Story, git_dir: str) -> set[str]:
    """The objects of commits that agents made, those of the stash among them."""
    made = {commit for ledger in ledgers(story.site.logs) for commit in ledger["commits"]}
    return gitfiles.reach(git_dir, made)


def nothing_past_a_filter(story: Story) -> Iterator[str]:
    """What goes through a filter is stored as the filter makes it, or not at all."""
    repo = story.site.repo
    configured = git(repo, "config", "--get-regexp", r"^filter\..*\.(clean|process)$")
    programs = {
        line.split(" ")[0].rpartition(".")[0].removeprefix("filter."): line.partition(" ")[2]
        for line in configured.splitlines()
    }
    programs.pop("lfs", None)
    if not programs:
        return
    plain: dict[str, set[str]] = {}
    own: set[str] = set()
    for ledger in ledgers(story.site.logs):
        own |= set(ledger["commits"])
        for path, name in ledger["files"].items():
            plain.setdefault(os.path.basename(path), set()).add(name)
    git_dir = str(git_directory(story.site))
    for commit in stored(git_dir):
        if commit.name in own:
            continue
        with tempfile.TemporaryDirectory() as place:
            index = f"{place}/index"
            git(repo, "read-tree", commit.name, index=index)
            words = ("check-attr", "--cached", "-z", "--stdin", "filter")
            fields = git(repo, *words, feed="\0".join(commit.changed), index=index).split("\0")
        for path, name in zip(fields[0::3], fields[2::3], strict=False):
            blob = commit.changed.get(path)
            if name in programs and blob is not None and blob in plain.get(os.path.basename(path), ()):
                (content_of,) = gitfiles.blobs(git_dir, [blob])
                if filtered(programs[name], content_of) != content_of:
                    yield f"{commit.name[:12]} holds {path} in plain text, past the filter {name}"


def filtered(program: str, data: bytes) -> bytes | None:
    """What a clean filter makes of a file; None where it fails."""
    done = subprocess.run(["sh", "-c", program], input=data, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def no_repository_committed(story: Story) -> Iterator[str]:
    """What an agent has of a repository of its own, its configuration and hooks, is in no commit of a runner's."""
    for commit in stored(str(git_directory(story.site))):
        for path, name in commit.changed.items():
            if name is not None and OF_GIT.search(path):
                yield f"{commit.name[:12]} holds {path}, a part of a repository"
                break


def stored(git_dir: str) -> Iterator[Commit]:
    """The commits in which runners stored what agents left."""
    yield from (commit for commit in History.of(git_dir).commits.values() if STORED.match(commit.subject))


PAUSED = "error: no task is taken since"
"""How a runner that ends begins to say that pick-up is paused."""


def health_says_why(story: Story) -> Iterator[str]:
    """Where runners are refused, `health` says so: then, or, of what nobody has mended since, in the end.

    Who asks twice while no runner is started has mended something in between. A pause of pick-up passes by itself,
    and is over when health is asked.
    """
    launched, disturbed, started = story.site.launched, len(story.agents), len(story.agents)
    for number, lines in story.looks:
        refused_last = number > started and is_refused(launched[number - 1])
        if refused_last and not is_failing(lines):
            yield f"a runner was refused, and health has nothing to say: {launched[number - 1]}"
        started = number
    refused = [runner for runner in launched[disturbed:started] if is_refused(runner)]
    if refused and not story.repaired and not any(is_failing(lines) for _, lines in story.looks):
        yield f"a runner was refused, and health never said why: {refused[-1]}"


def is_refused(runner: Runner) -> bool:
    """Whether the runner could not work for a reason that lasts until somebody mends it."""
    return runner.code == MISCONFIGURED and PAUSED not in runner.output


def is_failing(lines: list[str]) -> bool:
    """Whether `health` names something that must be mended; a warning stops no runner."""
    return any("'ok': False" in line for line in lines)
