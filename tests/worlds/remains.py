"""What must not be left when all is over: processes, guards, records, temporary files; and what no file may say."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools.errors import HpmError
from hpm_tools.state.guard import held
from hpm_tools.state.record import parse
from tests.support.board_process import KEY
from tests.support.waiting import wait_until
from tests.worlds import gitfiles
from tests.worlds.ledger import ledgers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.worlds.play import Story
    from tests.worlds.site import Site

SECONDS_TO_SETTLE = 25.0
"""Less than what agents start lives by itself (acts_processes.LIFE)."""

TEMPORARY = (".tmp", ".new", ".part", ".hpm-new")


def nothing_runs(story: Story) -> Iterator[str]:
    """Nothing of any run is alive: no runner, no agent, no child of one, no hook."""
    try:
        wait_until(lambda: not list(living(story.site)), SECONDS_TO_SETTLE, "the end of all processes")
    except AssertionError:
        yield from living(story.site)


def living(site: Site) -> Iterator[str]:
    """Every process of the world that lives; those that hide their environment are known from the log ``spawned``.

    Those may escape where a runner was killed, as security.md says.
    """
    yield from site.processes()
    if not any(runner.killed for runner in site.launched):
        yield from (f"{pid}: left by an agent" for pid in site.spawned())


def tidy(story: Story) -> Iterator[str]:
    """Guards are free, records are gone or told, and no temporary file is left.

    The log ``left`` names locks of a git that an agent killed: they go when a git of the runner's meets them.
    """
    site = story.site
    for path in (site.state / "locks").glob("*.lock"):
        try:
            parse(path.read_bytes())
        except (HpmError, OSError) as error:
            yield f"the record {path.name} is not valid: {error}"
        else:
            agent = path.name.removeprefix("agent-").removesuffix(".lock")
            if not any(agent in line for line in story.health):
                yield f"the record {path.name} is left, and health does not name it"
    yield from (f"the question {path.name} is left" for path in (site.state / "locks").glob("*.prompt"))
    for path in [*site.state.rglob("*.guard"), *(git_directory(site) / "hpm").glob("*.guard")]:
        if path.is_file() and not path.is_symlink() and held(str(path)):
            yield f"the guard {path.name} is held"
    before = {*(story.before.temporary if story.before is not None else ()), *site.log("left")}
    for path in temporary_files(site):
        if path.parent == site.temporary and path.name.startswith("hpm-") and records_lost(story):
            continue  # nobody knows any more which run it was
        if str(path) not in before:
            yield f"{path.relative_to(site.directory)} is left"


def records_lost(story: Story) -> bool:
    """Whether a runner was killed whose record then was lost or could not be read: it alone knew of its run."""
    killed = any(runner.killed for runner in story.site.launched)
    unreadable = any((story.site.state / "locks").glob("*.corrupt-*"))
    return killed and (unreadable or "fault state_lost" in story.happened)


def forgotten_runs(story: Story) -> set[tuple[int, int]]:
    """(task, run) of agents of whom nobody can say any more what was there when they began: a record was lost."""
    runs = [
        (int(ledger["task"]), int(ledger["run"]))
        for ledger in ledgers(story.site.logs)
        if ledger["who"] == "agent"
    ]
    last = dict(sorted(runs))
    return {(task, run) for task, run in runs if run < last[task]} if records_lost(story) else set()


def temporary_files(site: Site) -> Iterator[Path]:
    """What programs make for a moment: of ours, and of git."""
    for path in below(site.state):
        if path.name.endswith(TEMPORARY):
            yield path
    for path in below(git_directory(site)):
        if path.name.endswith((*TEMPORARY, ".lock")) or path.name.startswith(("hpm-index-", "tmp_")):
            yield path
    for pattern in (".trash-*", ".removing-*"):
        yield from site.repo.glob(pattern)
        yield from trees(site).glob(pattern)
    yield from site.repo.rglob("*.hpm-new")
    yield from site.temporary.iterdir()


def git_directory(site: Site) -> Path:
    """Where the repository's own files are; its configuration does not matter."""
    return Path(gitfiles.common_directory(str(site.repo)) or site.repo / ".git")


def trees(site: Site) -> Path:
    """Where hpm makes worktrees and keeps what was moved aside."""
    configured = site.settings.get("worktree_base")
    return (
        Path(os.path.realpath(configured)) if configured else Path(os.path.realpath(site.repo)) / ".worktrees"
    )


def private(story: Story) -> Iterator[str]:
    """What lies in the state directory is for its owner alone."""
    for path in below(story.site.state):
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue
        if stat.S_ISREG(mode) and mode & 0o077:
            yield f"{path.relative_to(story.site.directory)} may be read by others: {stat.filemode(mode)}"


def no_secret(story: Story) -> Iterator[str]:
    """The board's key is in no file below the world's directory."""
    key = KEY.encode()
    for path in below(story.site.directory):
        try:
            found = path.lstat()
            if stat.S_ISREG(found.st_mode) and found.st_size < 64 << 20 and key in path.read_bytes():
                yield f"the board's key is in {path.relative_to(story.site.directory)}"
        except OSError:
            continue


def below(directory: Path) -> Iterator[Path]:
    """Every file below a directory; links are not followed."""
    for top, _, files in os.walk(directory):
        yield from (Path(top) / name for name in files)
