"""What a new worktree gets before its agent starts: copies of ignored files, and the operator's set-up."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.errors import CannotCreate
from hpm_tools.process.env import helper_environment
from hpm_tools.process.supervise import Clocks, Ending, supervise
from hpm_tools.text import duration, one_line
from hpm_tools.worktree import archive
from hpm_tools.worktree.files import descend
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git, decode
from hpm_tools.worktree.place import read_small
from hpm_tools.worktree.salvage import CannotSalvage
from hpm_tools.worktree.status import take_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from hpm_tools.worktree.place import Place
    from hpm_tools.worktree.repository import Repository
    from hpm_tools.worktree.worktrees import GitWorktree

INCLUDE_FILE = ".worktreeinclude"
MOST_KNOWN = 5000
"""Ignored files whose digests are remembered; more than that are treated as the agent's."""


class SetupFailed(CannotCreate):
    """The operator's set-up program failed in a new worktree, or took too long."""


def prepare(worktrees: GitWorktree, place: Place) -> dict[str, str]:
    """Copy and set up; the digests of the ignored files that are there before any agent.

    Raises SetupFailed if the set-up fails or exceeds its limit, CannotCreate if a file cannot be copied.
    """
    copied = copy_ignored(worktrees.repository, place.root, worktrees.copy)
    if worktrees.setup:
        run_setup(
            worktrees.setup,
            place.root,
            worktrees.setup_timeout,
            run_id=worktrees.run_id,
            should_stop=worktrees.should_stop,
            clean=worktrees.clean,
        )
    elif not copied:
        return {}
    found = take_status(Git(place), ignored=True)
    known = {}
    try:
        paths = archive.precious(place.root, found.ignored, worktrees.regenerable, {})
    except CannotSalvage:
        return {}
    for path in paths[:MOST_KNOWN]:
        if fingerprint := archive.fingerprint(place.root / path):
            known[path] = fingerprint
    return known


def copy_ignored(repository: Repository, target: Path, patterns: Sequence[str]) -> list[str]:
    """Copy the ignored files of the main worktree that match ``patterns`` or its `.worktreeinclude`.

    Patterns are written as in .gitignore. Only regular files that git ignores are copied, and no path
    goes through a symbolic link on either side: an agent can write the patterns, but gets nothing from
    outside the repository, nor anything that it would not see there.
    """
    listed = (read_small(repository.root / INCLUDE_FILE) or "").splitlines()
    lines = [line for line in (*patterns, *listed) if line.strip() and not line.startswith("#")]
    wanted = [line for line in lines if "\0" not in line]
    return [path for path in _matching(repository, wanted) if _copy(repository.root, target, path)]


def _matching(repository: Repository, patterns: Sequence[str]) -> list[str]:
    """The ignored files of the main worktree that match ``patterns``."""
    git = Git(repository.place)
    matching = _others(git, *(f"--exclude={pattern}" for pattern in patterns)) if patterns else []
    # Directories that are ignored as a whole, node_modules above all, come as one name.
    ignored = frozenset(_others(git, "--exclude-standard", "--directory")) if matching else frozenset()
    return [path for path in matching if path in ignored or any(top in ignored for top in _above(path))]


def _others(git: Git, *args: str) -> list[str]:
    listed = git.run("ls-files", "--others", "--ignored", "-z", *args, timeout=CHECKOUT_TIMEOUT).out
    return [path for path in decode(listed).split("\0") if path]


def _above(path: str) -> Iterator[str]:
    """The directories above ``path``, each with its slash."""
    for end, character in enumerate(path):
        if character == "/":
            yield path[: end + 1]


def _copy(source: Path, target: Path, path: str) -> bool:
    """Copy one file below ``source`` to the same place below ``target``.

    False if it is not a plain file, if a link is in the way on either side, or if the file is there already.
    """
    *parents, name = path.split("/")
    try:
        here = descend(source, parents, make=False)
        try:
            reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
        finally:
            os.close(here)
    except OSError:
        return False
    try:
        found = os.fstat(reading)
        return stat.S_ISREG(found.st_mode) and _copy_open(
            reading, target, parents, name, found.st_mode & 0o777
        )
    except OSError as error:
        raise CannotCreate(f"cannot copy {path} into {target}: {error.strerror}") from error
    finally:
        os.close(reading)


def _copy_open(reading: int, target: Path, parents: Sequence[str], name: str, mode: int) -> bool:
    try:
        there = descend(target, parents, make=True)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            return False
        raise
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        # no failpoint: between setup.before and setup.after
        writing = os.open(name, flags, mode, dir_fd=there)
    except FileExistsError:
        return False
    finally:
        os.close(there)
    with failpoints.around("setup"), os.fdopen(writing, "wb") as file:
        while chunk := os.read(reading, archive.CHUNK):
            file.write(chunk)
    return True


def run_setup(
    argv: Sequence[str],
    directory: Path,
    timeout: float,
    *,
    run_id: str | None = None,
    should_stop: Callable[[], str | None] | None = None,
    clean: Callable[[str], str] = str,
) -> None:
    """Run the operator's set-up program in a new worktree. Raises SetupFailed if it fails.

    It gets no login of the agent's: what it runs may well come from the repository. ``run_id`` marks its
    processes, so that whoever takes over from a killed runner finds and ends them. ``should_stop`` is asked
    while it runs; a reason ends it. ``clean`` takes the secrets out of what it said.
    """
    with failpoints.around("setup"):
        done = supervise(
            list(argv),
            cwd=directory,
            env=helper_environment(os.environ),
            clocks=Clocks(total=timeout, grace=5.0),
            should_stop=should_stop,
            cookie=run_id,
        )
    if done.ending is Ending.EXITED and done.returncode == 0:
        return
    how = {
        Ending.TIMED_OUT: f"did not end within {duration(timeout)}",
        Ending.STOPPED: f"was stopped: {done.stop_reason}",
    }.get(done.ending, f"exited {done.returncode}")
    # Cleaned before it is cut: of a secret that is cut in two the rest would be shown.
    said = one_line((done.stderr if done.stderr.total else done.stdout).cleaned(clean)[-300:], 200)
    raise SetupFailed(
        f"the worktree's set-up {one_line(' '.join(argv), 80)} {how}" + (f": {said}" if said else ""),
        f"try it by hand in {directory.parent}, or change worktree.setup in the configuration",
    )
