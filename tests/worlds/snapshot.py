"""The whole host before any runner came, and what may not have changed of it when all is over."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from tests.worlds import gitfiles
from tests.worlds.findable import places
from tests.worlds.ledger import HARMLESS, TREES, git_directories, ledgers, walk
from tests.worlds.remains import git_directory, temporary_files, trees

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.worlds.play import Story
    from tests.worlds.site import Site

OWN_REFS = "refs/hpm/"
TASK_BRANCH = re.compile(r"refs/heads/feature/task-\d+")


class Snapshot:
    """Every file of a site outside hpm's own places, the operator's references and git's own files."""

    def __init__(self, site: Site) -> None:
        self.site = site
        if not os.path.lexists(site.logs / TREES):
            os.symlink(trees(site), site.logs / TREES)
        self.files = dict(host_files(site))
        self.status = status(site)
        self.git_dir = str(git_directory(site))
        self.refs = gitfiles.references(self.git_dir)
        self.inside = gitfiles.own_files(self.git_dir)
        tips = gitfiles.tips(self.git_dir)
        kept = {
            name: commit for name, commit in tips.items() if name.startswith(("refs/", "logs/refs/stash"))
        }
        self.commits = gitfiles.reach(self.git_dir, kept.values(), objects=False)
        self.others = dict(other_repositories(site, self.git_dir))
        self.temporary = {str(path) for path in temporary_files(site)}
        """What looks temporary and was there before."""


def host_files(site: Site) -> Iterator[tuple[str, str]]:
    """Every file of people: of the checkout, of the home directory, and of what else lies beside them."""
    for top in places(site):
        if top not in (site.state, trees(site)):
            yield from walk(top, {str(path) for path in (trees(site), *site.own_places)})


def other_repositories(site: Site, git_dir: str) -> Iterator[tuple[str, str]]:
    """The references of every repository but the checkout's, and the files by which they work."""
    own = f"{trees(site)}/"
    for top in places(site):
        for place in gitfiles.git_directories(str(top)):
            if place != git_dir and not place.startswith(own):
                yield from ((f"{place} {name}", tip) for name, tip in gitfiles.references(place).items())
                yield from gitfiles.own_files(place).items()


def status(site: Site) -> dict[str, str]:
    """What git says of the checkout: path → the two letters, for ignored files ``!!``."""
    words = ("status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignored", "--no-renames")
    done = site.plain_git("--no-optional-locks", "-c", "core.fsmonitor=false", *words)
    found = {line[3:]: line[:2] for line in done.stdout.split("\0") if line}
    own = f"{os.path.relpath(trees(site), os.path.realpath(site.repo))}/"
    return {name: letters for name, letters in found.items() if not f"{name}/".startswith(own)}


class Deeds:
    """What people, agents and faults did themselves: of that, nothing has to be as it was."""

    def __init__(self, story: Story) -> None:
        self.files: dict[str, str | None] = {}
        """What people have left where: a blob, None where anything may be now."""

        self.refs: set[str] = set()
        self.inside: set[str] = set()
        self.all_below: list[str] = []
        kept = ledgers(story.site.logs)
        agents = {path for ledger in kept if ledger["who"] == "agent" for path in changed_by(ledger)}
        for ledger in kept:
            self.add(ledger, agents)

    def add(self, ledger: dict[str, Any], agents: set[str]) -> None:
        if ledger["acting"] not in HARMLESS:
            self.all_below += [f"{root}/" for root in ledger["roots"]]
        for path in ledger["spared"]:
            self.files[path] = None
            self.all_below.append(f"{path}/")
        self.refs |= {name.rpartition(" ")[2] for name in ledger["refs"]}
        self.inside |= {*ledger["inside"], *ledger["refs"]}
        self.files |= dict.fromkeys(changed_by(ledger))
        if ledger["who"] == "person":
            # What an agent writes, too, is nobody's alone: the one of the two who comes last may be either.
            self.files |= {path: name for path, name in ledger["files"].items() if path not in agents}

    def may(self, path: str) -> bool:
        """Whether anything may be at ``path`` now."""
        return (path in self.files and self.files[path] is None) or path.startswith(tuple(self.all_below))


def changed_by(ledger: dict[str, Any]) -> set[str]:
    """Every path at which this hand left something else than it found."""
    return {*(path for path, _ in ledger["gone"]), *ledger["odd"], *ledger["files"]}


def untouched(story: Story) -> Iterator[str]:
    """No file of the host outside hpm's places was changed but by people, agents and faults themselves."""
    before = story.before
    if before is None:
        return
    site, deeds = story.site, Deeds(story)
    yield from checkout_and_host(site, before, deeds, story.words)
    yield from references(before, deeds, story)
    now = gitfiles.own_files(before.git_dir)
    for path in sorted(before.inside.keys() | now.keys()):
        was, is_now = (own_lines_out(site, path, found.get(path)) for found in (before.inside, now))
        if was != is_now and path not in deeds.inside and not path.endswith("/HEAD"):
            yield f"{short(site, path)} was {said(was)} and is {said(is_now)}"
    others = dict(other_repositories(site, before.git_dir))
    for name, was in before.others.items():
        if others.get(name) != was and name not in deeds.inside:
            yield f"{short(site, name)} was {said(was)} and is {said(others.get(name))}"


def own_lines_out(site: Site, path: str, text: str | None) -> str | None:
    """The text without the line that hpm adds to it; a file that has nothing else is as good as none."""
    if text is None or not path.endswith("info/exclude"):
        return text
    own = re.escape(os.path.relpath(trees(site), os.path.realpath(site.repo)))
    return re.sub(rf"^/?{own}/?$", "", text, flags=re.MULTILINE).strip() or None


def checkout_and_host(site: Site, before: Snapshot, deeds: Deeds, words: str) -> Iterator[str]:
    """Files are as they were, or as a person left them; what git has in the checkout may move on with its branch."""
    expected: dict[str, str | None] = {**before.files, **deeds.files}
    now, changed = dict(host_files(site)), status(site)
    checkout = f"{site.repo}/"
    nested = tuple(f"{top}/" for top in git_directories(site.repo) if top != str(site.repo))
    for path in sorted(expected.keys() | now.keys()):
        was, is_now = expected.get(path), now.get(path)
        if was == is_now or deeds.may(path):
            continue
        name = path.removeprefix(checkout)
        if path.startswith(checkout) and not path.startswith(nested):
            clean = name not in before.status and name not in changed
            if clean and not (path in deeds.files and is_now is None):
                continue
        yield f"{short(site, path)} was {said(was)} and is {said(is_now)}"
    if re.search(rf"\buncommitted (?:files )?in {re.escape(str(site.repo))}(?![\w/-])", words):
        return
    for name, letters in changed.items():
        if letters != "!!" and name not in before.status and deeds.may(checkout + name) and name not in words:
            yield f"the checkout was left with {letters} {name}, of which nobody was told"


def references(before: Snapshot, deeds: Deeds, story: Story) -> Iterator[str]:
    """The operator's references are where they were, but for those that a task's commits move forward."""
    now = gitfiles.references(before.git_dir)
    told = set(re.findall(r"^branch: (\S+)$", story.words, re.MULTILINE))
    for name in sorted(before.refs.keys() | now.keys()):
        was, is_now = before.refs.get(name), now.get(name)
        if was == is_now or name.startswith(OWN_REFS) or name in deeds.refs:
            continue
        if TASK_BRANCH.fullmatch(name) or (name.removeprefix("refs/heads/") in told and is_now is not None):
            continue
        yield f"{name} was {was} and is {is_now}"


def said(found: str | None) -> str:
    return "not there" if found is None else repr(found[:60])


def short(site: Site, path: str | Path) -> str:
    return os.path.relpath(path, site.directory)
